"""The learning rate over a run, by torch's own schedulers."""

from math import cos, pi
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from sepkit.settings import ScheduleSettings

# Where the cosine ends, as a share of the learning rate.
_FLOOR = 0.01


class Schedule:
    """The rates of `[train.schedule]` for a run of `total` optimiser steps.

    A rate is the learning rate of the config times a function of the steps taken, times the drops of "plateau". So
    settings may change when a run goes on; all that is remembered are the steps and the drops.
    """

    def __init__(self, settings: ScheduleSettings, optimizer: Optimizer, total: int) -> None:
        self.steps = 0
        self._settings = settings
        self._optimizer = optimizer
        self._total = total
        # torch's scheduler drops the rate of an optimiser; that of this one is the factor of all drops.
        self._drops = SGD([Parameter(torch.empty(0))], lr=1.0)
        self._plateau = ReduceLROnPlateau(
            self._drops, factor=settings.factor, patience=settings.patience, threshold=0.0
        )
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self._each_step = LambdaLR(optimizer, self._factor)

    @property
    def rate(self) -> float:
        """The rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """Go on after an optimiser step."""
        self.steps += 1
        self._each_step.step()

    def judge(self, score: float) -> None:
        """Take the score of a validation, of which less is better."""
        if self._settings.name == "plateau":
            self._plateau.step(score)
            self._set_rate()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs."""
        return {"steps": self.steps, "drop": self._drop, "plateau": self._plateau.state_dict()}

    def load_state_dict(self, state: dict[str, Any], *, scores_are_known: bool) -> None:
        """Go on where another schedule was, with one's own settings; unknown scores are those of another measure."""
        self.steps = state["steps"]
        if self._settings.name == "plateau":
            self._drops.param_groups[0]["lr"] = state["drop"]
            if scores_are_known:
                own = {"factor": self._plateau.factor, "patience": self._plateau.patience}
                self._plateau.load_state_dict({**state["plateau"], **own})
        self._each_step = LambdaLR(self._optimizer, self._factor, last_epoch=self.steps - 1)
        self._set_rate()

    @property
    def _drop(self) -> float:
        return float(self._drops.param_groups[0]["lr"])

    def _set_rate(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._factor(self.steps)

    def _factor(self, step: int) -> float:
        warmup = self._settings.warmup_steps
        if step < warmup:
            return self._drop * (step + 1) / (warmup + 1)
        if self._settings.name != "cosine":
            return self._drop
        done = (step - warmup) / max(1, self._total - warmup)
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + cos(pi * min(1.0, done)))
