"""Everything that changes while a run learns, and how it is kept and brought back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.device import Precision
from sepkit.training import state as states
from sepkit.training.early_stopping import EarlyStopping
from sepkit.training.optimizer import build_optimizer, build_schedule


@dataclass
class Learner:
    """A network and what trains it; `epoch` epochs of `steps_per_epoch` steps are done."""

    network: nn.Module
    optimizer: Optimizer
    schedule: LambdaLR
    scaler: torch.amp.GradScaler
    stopping: EarlyStopping
    steps_per_epoch: int
    epoch: int = 0

    @property
    def step(self) -> int:
        """The optimiser steps done."""
        return self.epoch * self.steps_per_epoch

    def save(self, path: Path, manifest: dict[str, Any]) -> None:
        """Write all that `load` needs."""
        tree = {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stopping": asdict(self.stopping),
            "random": states.random_states(),
            "epoch": self.epoch,
        }
        states.save(path, tree, manifest)


def build(config: RunConfig, steps_per_epoch: int, device: torch.device, precision: Precision) -> Learner:
    """Return a learner with random weights."""
    network = config.model.build(config.audio).to(device)
    optimizer = build_optimizer(config.train.optimizer, network.parameters())
    schedule = build_schedule(config.train.schedule, optimizer, config.train.epochs * steps_per_epoch)
    stopping = EarlyStopping(config.train.patience)
    return Learner(network, optimizer, schedule, precision.scaler(), stopping, steps_per_epoch)


def start_from(learner: Learner, weights: ModelFile) -> None:
    """Take over the weights of a model.

    Raises:
        ModelFileError: they do not fit.
    """
    model_file.check_weights(weights.path, learner.network.state_dict(), weights.weights)
    learner.network.load_state_dict(weights.weights)


def load(learner: Learner, state: Path, config: RunConfig, *, best_is_known: bool) -> None:
    """Continue from a state. Settings come from the config, which may have changed; moments and counters from the file.

    Without `best_is_known` the best model did not come along, and the next finite epoch is the best.

    Raises:
        ModelFileError: the file is corrupt, or its weights do not fit.
    """
    tree = states.load(state)[1]
    model_file.check_weights(state, learner.network.state_dict(), tree["model"])
    learner.network.load_state_dict(tree["model"])
    learner.optimizer.load_state_dict({**learner.optimizer.state_dict(), "state": tree["optimizer"]["state"]})
    if tree["scaler"] and learner.scaler.is_enabled():  # a run may go on where there is nothing to scale, or begin to
        learner.scaler.load_state_dict(tree["scaler"])
    if best_is_known:
        learner.stopping = EarlyStopping(**{**tree["stopping"], "patience": config.train.patience})
    states.restore_random_states(tree["random"])
    learner.epoch = tree["epoch"]
    total = config.train.epochs * learner.steps_per_epoch
    learner.schedule = build_schedule(config.train.schedule, learner.optimizer, total, learner.step)
