"""A network and all that changes while it learns: one optimiser step, and the guard against NaN and infinity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import Batch, on_device
from sepkit.precision import Precision
from sepkit.settings import OptimizerSettings
from sepkit.training.freezing import freeze
from sepkit.training.objective import Objective
from sepkit.training.progress import EarlyStopping, Position
from sepkit.training.ranks import Ranks
from sepkit.training.schedule import Schedule

# Skipped steps in a row after which a network is taken to have diverged.
DIVERGED = 3


class Step(NamedTuple):
    """The mean loss over all ranks, and True if the step was taken."""

    loss: float
    taken: bool


class Learner:
    """A network, and all that trains it as `[train]` says.

    Attributes:
        network: The network, which the optimiser changes.
        parallel: The same network with gradients averaged over the ranks.
        averaged: The moving average of its weights, or None.
        monitor: The score of a validation that counts, "loss" or "sdr".
    """

    def __init__(self, config: RunConfig, network: nn.Module, steps_per_epoch: int, ranks: Ranks) -> None:
        settings = config.train
        self.ranks = ranks
        self.monitor = settings.validation.monitor
        self.precision = Precision.of(settings.precision, ranks.device)
        self.objective = Objective(config)
        self.network = ranks.with_shared_statistics(network).to(ranks.device)
        freeze(self.network, settings.freeze)
        self.averaged = (
            AveragedModel(self.network, avg_fn=_average(settings.ema), use_buffers=True) if settings.ema else None
        )
        self.parallel = ranks.wrapped(self.network)
        self.optimizer = _optimizer(settings.optimizer, (p for p in self.network.parameters() if p.requires_grad))
        total = settings.epochs * steps_per_epoch
        self.schedule = Schedule(settings.schedule, settings.optimizer, self.optimizer, total)
        self.scaler = self.precision.scaler()
        self.stopping = EarlyStopping(settings.patience, "")
        self.position = Position()
        self._settings = settings

    @property
    def evaluated_network(self) -> nn.Module:
        """The network that is validated, saved and used: the average if there is one."""
        return self.network if self.averaged is None else self.averaged.module

    @property
    def is_done(self) -> bool:
        """True after the last epoch, or once patience has ended."""
        return self.position.epoch >= self._settings.epochs or self.stopping.exhausted

    def is_finite(self) -> bool:
        """Return True if a run can resume from here: all weights are finite, and steps are still taken."""
        weights = self.network.parameters()
        return self.position.in_a_row <= DIVERGED and all(bool(torch.isfinite(weight).all()) for weight in weights)

    def start_from(self, weights: ModelFile) -> list[str]:
        """Take over the weights of a model that have the same name and shape; return a reason for each other one.

        Raises:
            ModelFileError: nothing fits.
        """
        own = self.network.state_dict()
        theirs = weights.weights_for(own)
        left = model_file.misfits(own, theirs)
        kept = {name: tensor for name, tensor in theirs.items() if name in own and name not in left}
        if not kept:
            model_file.check_weights(weights.path, own, theirs)
        self.network.load_state_dict({**own, **kept})
        if self.averaged is not None:
            self.averaged.module.load_state_dict(self.network.state_dict())
        return list(left.values())

    def take_step(self, batch: Batch) -> Step:
        """Learn from a batch. If the loss or the gradient is not finite, everything stays as it was.

        Every rank must call it with its own part of the batch, and all come to the same decision: the gradient that
        they check is the average.
        """
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        self.optimizer.zero_grad(set_to_none=True)
        loss = float(self.ranks.total(self._backward(batch)))
        taken = isfinite(loss) and self._descend()
        if not taken:
            self._restore_buffers(buffers)
        elif self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return Step(loss, taken)

    def _backward(self, batch: Batch) -> Tensor:
        """Add up the gradients of this rank's part, in `train.accumulate` passes; return its share of the loss."""
        passes, whole = self._settings.accumulate, self.objective.weight(batch["present_everywhere"])
        losses = []
        tensors = (*on_device(batch, self.ranks.device), batch["present"])
        pieces = zip(*(tensor.chunk(passes) for tensor in tensors), strict=True)
        for number, (mixture, targets, present) in enumerate(pieces, 1):
            if isinstance(self.parallel, nn.parallel.DistributedDataParallel):
                self.parallel.require_backward_grad_sync = number == passes
            with self.precision.autocast():
                estimate = self.parallel(mixture)
            weight = self.objective.weight(present) / whole if whole else 0.0
            loss = self.objective(estimate, targets, present) * weight
            self.scaler.scale(loss * self.ranks.count).backward()  # the ranks' gradients are averaged, not added
            losses.append(loss.detach())
        return torch.stack(losses).cpu().double().sum()

    def _descend(self) -> bool:
        """Move the weights along the gradient if it is finite; otherwise a scaler takes its scale to be too large."""
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.clip_norm or inf)
        finite = bool(torch.isfinite(norm))
        if finite:
            self.scaler.step(self.optimizer)
            self.schedule.step()
        self.scaler.update()
        return finite

    def _restore_buffers(self, buffers: dict[str, Tensor]) -> None:
        """Undo the changes of a forward pass to the statistics of the network."""
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                if name in buffers and buffer.shape == buffers[name].shape:
                    buffer.copy_(buffers[name])

    def broken_tracks(self, batch: Batch) -> tuple[list[str], bool]:
        """Return the tracks of the whole batch in whose chunks a sample is not finite, and True; if all samples are
        finite, return all of its tracks, and False. Every rank must call it.
        """
        finite = [torch.isfinite(batch[part]).flatten(1).all(1) for part in ("mixture", "targets")]
        broken = self.ranks.gathered(~(finite[0] & finite[1])).flatten().tolist()
        chunks = [tracks for tracks, bad in zip(batch["tracks"], broken, strict=True) if bad] or batch["tracks"]
        return list(dict.fromkeys(track for tracks in chunks for track in tracks)), any(broken)


def _optimizer(settings: OptimizerSettings, parameters: Iterable[nn.Parameter]) -> Optimizer:
    lr, decay = settings.lr, settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=settings.momentum)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=lr, weight_decay=decay)


def _average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return a moving average whose decay grows to its limit: early averages would be of random weights."""

    def update(average: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        if not weight.is_floating_point():  # a table of indices, a counter
            return weight
        seen = float(count)
        moved = torch.lerp(average, weight, 1 - min(decay, (1 + seen) / (10 + seen)))
        return torch.where(average == weight, weight, moved)  # infinity stays infinity

    return update
