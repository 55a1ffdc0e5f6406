"""One optimiser step, and the guard against what is not finite."""

from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sepkit.data.chunks import Batch, on_device
from sepkit.precision import Precision
from sepkit.settings import TrainSettings
from sepkit.training.learning.learner import Learner
from sepkit.training.learning.objective import Objective


class Step(NamedTuple):
    """The mean loss over all ranks, and whether the step was taken."""

    loss: float
    taken: bool


def take_step(
    learner: Learner, batch: Batch, objective: Objective, precision: Precision, settings: TrainSettings
) -> Step:
    """Learn from a batch. Where the loss or the gradient is not finite, everything stays as it was.

    Every rank must call it with its own share of the batch, and all come to the same decision: the gradient that they
    look at is the average.
    """
    buffers = {name: buffer.clone() for name, buffer in learner.network.named_buffers()}
    learner.optimizer.zero_grad(set_to_none=True)
    loss = float(learner.ranks.total(_backward(learner, batch, objective, precision, settings.accumulate)))
    taken = isfinite(loss) and _descend(learner, settings.clip_norm or inf)
    if not taken:
        _put_back(learner.network, buffers)
    elif learner.averaged is not None:
        learner.averaged.update_parameters(learner.network)
    return Step(loss, taken)


def _descend(learner: Learner, largest_norm: float) -> bool:
    """Move the weights along the gradient, unless it is not finite; then a scaler takes its scale to be too large."""
    learner.scaler.unscale_(learner.optimizer)
    finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(learner.network.parameters(), largest_norm)))
    if finite:
        learner.scaler.step(learner.optimizer)
        learner.schedule.step()
    learner.scaler.update()
    return finite


def _put_back(network: nn.Module, buffers: dict[str, Tensor]) -> None:
    """Undo what a forward pass has done to the statistics of a network."""
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name in buffers and buffer.shape == buffers[name].shape:
                buffer.copy_(buffers[name])


def broken_tracks(learner: Learner, batch: Batch) -> tuple[list[str], bool]:
    """Return the tracks of the whole batch in whose chunks a sample is not finite, and True; or all of its tracks, and
    False, if all samples are. Every rank must call it.
    """
    finite = [torch.isfinite(batch[part]).flatten(1).all(1) for part in ("mixture", "targets")]
    broken = learner.ranks.gathered(~(finite[0] & finite[1])).flatten().tolist()
    chunks = [tracks for tracks, bad in zip(batch["tracks"], broken, strict=True) if bad] or batch["tracks"]
    return list(dict.fromkeys(track for tracks in chunks for track in tracks)), any(broken)


def _backward(learner: Learner, batch: Batch, objective: Objective, precision: Precision, parts: int) -> Tensor:
    """Add up the gradients of all parts of this rank's share, and return its share of the loss."""
    ranks = learner.ranks
    whole = objective.weight(batch["present_everywhere"])
    losses = []
    share = (*on_device(batch, ranks.device), batch["present"])
    pieces = zip(*(tensor.chunk(parts) for tensor in share), strict=True)
    for number, (mixture, targets, present) in enumerate(pieces, 1):
        if isinstance(learner.parallel, nn.parallel.DistributedDataParallel):
            learner.parallel.require_backward_grad_sync = number == parts
        with precision.autocast():
            estimate = learner.parallel(mixture)
        weight = objective.weight(present) / whole if whole else 0.0
        loss = objective(estimate, targets, present) * weight
        learner.scaler.scale(loss * ranks.count).backward()  # the ranks' gradients are averaged, not added
        losses.append(loss.detach())
    return torch.stack(losses).cpu().double().sum()
