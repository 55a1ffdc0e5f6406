"""Everything that changes while a run learns, and how it is kept and brought back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.loader import Data
from sepkit.precision import Precision
from sepkit.training.learning.early_stopping import EarlyStopping
from sepkit.training.learning.freezing import freeze
from sepkit.training.learning.optimizer import build_optimizer
from sepkit.training.learning.position import Position
from sepkit.training.learning.randomness import seed_all
from sepkit.training.learning.schedule import Schedule
from sepkit.training.ranks import Ranks

# Skipped steps in a row after which a network is taken to be lost.
DIVERGED = 3


@dataclass
class Learner:
    """A network and what trains it.

    Attributes:
        network: The network, which the optimiser changes.
        parallel: The same behind what averages gradients over ranks.
        averaged: The moving average of its weights, if there is one.
        monitor: Which score of a validation counts, "loss" or "sdr".
        fixed: The settings that cannot change when a run goes on.
    """

    network: nn.Module
    parallel: nn.Module
    averaged: AveragedModel | None
    optimizer: Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    stopping: EarlyStopping
    ranks: Ranks
    monitor: str
    fixed: dict[str, Any]
    position: Position = field(default_factory=Position)

    @property
    def judged(self) -> nn.Module:
        """What is validated, saved and used: the average if there is one, else the network."""
        return self.network if self.averaged is None else self.averaged.module

    @property
    def sound(self) -> bool:
        """Whether a run may go on from here: steps are still taken, and all weights are finite."""
        weights = self.network.parameters()
        return self.position.in_a_row <= DIVERGED and all(bool(torch.isfinite(weight).all()) for weight in weights)


def build(config: RunConfig, data: Data, ranks: Ranks, precision: Precision) -> Learner:
    """Return a learner with random weights, the same on every rank; what is random later differs."""
    seed_all(config.seed)
    network = config.model.build(config.audio)
    seed_all(config.seed + ranks.number)
    learner = assemble(config, network, data.steps_per_epoch, ranks, precision)
    learner.stopping.measure = _measure(config, [song.name for song in data.validation_songs])
    return learner


def assemble(
    config: RunConfig, network: nn.Module, steps_per_epoch: int, ranks: Ranks, precision: Precision
) -> Learner:
    """Return what trains a network as `[train]` says."""
    settings = config.train
    network = ranks.with_shared_statistics(network).to(ranks.device)
    freeze(network, settings.freeze)
    optimizer = build_optimizer(settings.optimizer, (p for p in network.parameters() if p.requires_grad))
    average = AveragedModel(network, avg_fn=_average(settings.ema), use_buffers=True) if settings.ema else None
    return Learner(
        network=network,
        parallel=ranks.wrapped(network),
        averaged=average,
        optimizer=optimizer,
        schedule=Schedule(settings.schedule, optimizer, settings.epochs * steps_per_epoch),
        scaler=precision.scaler(),
        stopping=EarlyStopping(settings.patience, _measure(config, ())),
        ranks=ranks,
        monitor=settings.validation.monitor,
        fixed=fixed(config),
    )


def fixed(config: RunConfig) -> dict[str, Any]:
    """Return those settings of the training without which the moments in a state mean nothing."""
    return {"train.optimizer.name": config.train.optimizer.name, "train.freeze": list(config.train.freeze)}


def start_from(learner: Learner, weights: ModelFile) -> list[str]:
    """Take over those weights of a model that have the same name and shape; return what was left, and why.

    Raises:
        ModelFileError: nothing fits.
    """
    own = learner.network.state_dict()
    left = model_file.misfits(own, weights.weights)
    kept = {name: tensor for name, tensor in weights.weights.items() if name in own and name not in left}
    if not kept:
        model_file.check_weights(weights.path, own, weights.weights)
    learner.network.load_state_dict({**own, **kept})
    if learner.averaged is not None:
        learner.averaged.module.load_state_dict(learner.network.state_dict())
    return list(left.values())


def _measure(config: RunConfig, songs: Sequence[str]) -> str:
    """Return all that the score of a validation depends on beside the network."""
    losses = [loss.model_dump(mode="json") for loss in config.losses]
    train = config.train
    return json.dumps([train.validation.monitor, losses, train.source_weights, train.chunk_seconds, list(songs)])


def _average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """The moving average of torch, with a decay that grows to its limit: early averages would be of random weights."""

    def update(average: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        if not weight.is_floating_point():  # a table of indices, a counter
            return weight
        seen = float(count)
        moved = torch.lerp(average, weight, 1 - min(decay, (1 + seen) / (10 + seen)))
        return torch.where(average == weight, weight, moved)  # infinity stays what it is

    return update
