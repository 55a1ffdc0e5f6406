"""The learning rate over a run, by torch's own schedulers."""

from math import cos, pi
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, ReduceLROnPlateau

from sepkit.config import ScheduleSettings

# Where the cosine ends, as a share of the learning rate.
_FLOOR = 0.01


class Schedule:
    """The rates of `[train.schedule]` for a run of `total` optimiser steps.

    "constant" and "cosine" are functions of the steps taken; only "plateau" remembers more.
    """

    def __init__(self, settings: ScheduleSettings, optimizer: Optimizer, total: int) -> None:
        self.steps = 0
        self._settings = settings
        self._optimizer = optimizer
        self._total = total
        self._plateau: ReduceLROnPlateau | None = None
        self._each_step: LambdaLR | LinearLR
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        if settings.name == "plateau":
            warmup = settings.warmup_steps
            self._each_step = LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
            self._plateau = ReduceLROnPlateau(
                optimizer, factor=settings.factor, patience=settings.patience, threshold=0.0
            )
        else:
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
        if self._plateau is not None:
            self._plateau.step(score)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs."""
        plateau = self._plateau.state_dict() if self._plateau is not None else {}
        return {"steps": self.steps, "rate": self.rate, "initial": self._initial, "plateau": plateau}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another schedule was. Settings, and a changed learning rate, are this one's own."""
        self.steps = state["steps"]
        if self._plateau is None:
            self._each_step = LambdaLR(self._optimizer, self._factor, last_epoch=self.steps - 1)
        elif state["plateau"]:
            self._each_step.last_epoch = self.steps
            own = {"factor": self._plateau.factor, "patience": self._plateau.patience}
            self._plateau.load_state_dict({**state["plateau"], **own})
            rate = state["rate"] * (self._initial / state["initial"])
            for group in self._optimizer.param_groups:
                group["lr"] = rate

    @property
    def _initial(self) -> float:
        return float(self._optimizer.param_groups[0]["initial_lr"])

    def _factor(self, step: int) -> float:
        warmup = self._settings.warmup_steps
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self._settings.name == "constant":
            return 1.0
        done = (step - warmup) / max(1, self._total - warmup)
        return _FLOOR + (1 - _FLOOR) * 0.5 * (1 + cos(pi * min(1.0, done)))
