"""One optimiser step, and the guard against what is not finite."""

from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sepkit.config import TrainSettings
from sepkit.data.chunks import Batch, on_device
from sepkit.device import Precision
from sepkit.training.learning.learner import Learner
from sepkit.training.learning.objective import Objective


class Step(NamedTuple):
    """The mean loss over all ranks, the norm of the gradient before clipping, and whether the step was taken."""

    loss: float
    norm: float
    taken: bool


def take_step(
    learner: Learner, batch: Batch, objective: Objective, precision: Precision, settings: TrainSettings
) -> Step:
    """Learn from a batch. Where the loss or the gradient is not finite, everything stays as it was.

    Every rank must call it with its own share of the batch, and all come to the same decision: the gradient that they
    look at is the average.
    """
    buffers = [buffer.clone() for buffer in learner.network.buffers()]
    learner.optimizer.zero_grad(set_to_none=True)
    loss = float(learner.ranks.total(_backward(learner, batch, objective, precision, settings.accumulate)))
    learner.scaler.unscale_(learner.optimizer)
    norm = float(nn.utils.clip_grad_norm_(learner.network.parameters(), settings.clip_norm or inf))
    taken = isfinite(loss) and isfinite(norm)
    if taken:
        learner.scaler.step(learner.optimizer)
        learner.schedule.step()
    else:  # the forward pass has spoilt the statistics of its norms
        for buffer, before in zip(learner.network.buffers(), buffers, strict=True):
            buffer.copy_(before)
    learner.scaler.update()
    if taken and learner.averaged is not None:
        learner.averaged.update_parameters(learner.network)
    return Step(loss, norm, taken)


def broken_tracks(learner: Learner, batch: Batch) -> list[str]:
    """Return the tracks of the whole batch in whose chunks a sample is not finite, or all of its tracks if none is.

    Every rank must call it.
    """
    finite = [torch.isfinite(batch[part]).flatten(1).all(1) for part in ("mixture", "targets")]
    broken = learner.ranks.gathered(~(finite[0] & finite[1])).flatten().tolist()
    chunks = [tracks for tracks, bad in zip(batch["tracks"], broken, strict=True) if bad] or batch["tracks"]
    return list(dict.fromkeys(track for tracks in chunks for track in tracks))


def _backward(learner: Learner, batch: Batch, objective: Objective, precision: Precision, parts: int) -> Tensor:
    """Add up the gradients of all parts of this rank's share, and return its share of the loss."""
    ranks = learner.ranks
    whole = objective.weight(batch["present_everywhere"])
    total = torch.zeros((), dtype=torch.float64, device=ranks.device)
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
        total += loss.detach()
    return total
