"""torch's optimisers and rate schedules, as the config asks for them."""

from collections.abc import Iterable
from math import cos, pi

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sepkit.config import OptimizerSettings, ScheduleSettings

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
# Where the cosine ends, as a share of the learning rate.
_FLOOR = 0.01


def build_optimizer(settings: OptimizerSettings, parameters: Iterable[Parameter]) -> Optimizer:
    """Return the optimiser of `[train.optimizer]`."""
    optimizer: Optimizer = _OPTIMIZERS[settings.name](parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    return optimizer


def build_schedule(settings: ScheduleSettings, optimizer: Optimizer, steps: int, done: int = 0) -> LambdaLR:
    """Return the schedule of `[train.schedule]` for a run of `steps` optimiser steps, `done` of them before.

    The rate is a function of the step alone, so it needs no state. Step the schedule after each optimiser step.
    """

    def factor(step: int) -> float:
        if step < settings.warmup_steps:
            return (step + 1) / (settings.warmup_steps + 1)
        if settings.name == "constant":
            return 1.0
        done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + cos(pi * min(1.0, done)))

    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, factor, last_epoch=done - 1)
