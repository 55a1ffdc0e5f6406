"""The learning rate over a run."""

from math import cos, inf, pi
from typing import Any

from torch.optim import Optimizer

from sepkit.settings import OptimizerSettings, ScheduleSettings

# The share of the learning rate at which the cosine and a cooldown end.
_FLOOR = 0.01


class Schedule:
    """The rates of `[train.schedule]` for a run of `total` optimiser steps.

    The rate is a pure function of the settings, of the steps taken and of the drops of "plateau", so that settings may
    change when a run is resumed.
    """

    def __init__(self, settings: ScheduleSettings, base: OptimizerSettings, optimizer: Optimizer, total: int) -> None:
        self.steps = 0
        self._settings = settings
        self._base = base.lr
        self._optimizer = optimizer
        self._total = total
        self._drop = 1.0
        self._best, self._waited = inf, 0  # of "plateau": the best score, and the validations since
        self._set_rate()

    @property
    def rate(self) -> float:
        """The rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """Count an optimiser step."""
        self.steps += 1
        self._set_rate()

    def validated(self, score: float) -> None:
        """Take the score of a validation, of which less is better: "plateau" drops after `patience` without a better
        one.
        """
        if self._settings.name != "plateau":
            return
        self._best, self._waited = (score, 0) if score < self._best else (self._best, self._waited + 1)
        if self._waited > self._settings.patience:
            self._drop *= self._settings.factor
            self._waited = 0
        self._set_rate()

    def state_dict(self) -> dict[str, Any]:
        """Return the entries that `load_state_dict` needs."""
        plateau = {"best": self._best, "num_bad_epochs": self._waited}
        return {"steps": self.steps, "drop": self._drop, "plateau": plateau}

    def load_state_dict(self, state: dict[str, Any], *, scores_are_known: bool) -> None:
        """Resume another schedule with the settings of this one; unknown scores are those of another measure."""
        self.steps = state["steps"]
        if self._settings.name == "plateau":
            self._drop = state["drop"]
            if scores_are_known:
                self._best, self._waited = state["plateau"]["best"], state["plateau"]["num_bad_epochs"]
        self._set_rate()

    def _set_rate(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._base * self._factor()

    def _factor(self) -> float:
        warmup = self._settings.warmup_steps
        if self.steps < warmup:
            return self._drop * (self.steps + 1) / (warmup + 1)
        if self._settings.name != "cosine":
            return self._drop * self._cooldown()
        done = (self.steps - warmup) / max(1, self._total - warmup)
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + cos(pi * min(1.0, done)))

    def _cooldown(self) -> float:
        """Return the share of the rate that is left near the end of the run."""
        steps = self._settings.cooldown_steps
        return _FLOOR + (1 - _FLOOR) * max(0.0, min(1.0, (self._total - self.steps) / steps)) if steps else 1.0
