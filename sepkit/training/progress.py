"""The position of a run, and early stopping."""

from dataclasses import dataclass
from math import isfinite


@dataclass(slots=True)
class Position:
    """The steps and epochs done, in the middle of an epoch too.

    Attributes:
        epoch: Epochs that are done.
        step: Steps that are done, skipped ones included: the number of the next batch.
        epoch_step: Those of the present epoch.
        loss_sum: The sum of the losses of its steps that were taken.
        counted: The number of these.
        skipped: Its steps whose loss or gradient was not finite.
        in_a_row: The last steps, one after the other, that were skipped.
        seconds: The time that its steps took.
    """

    epoch: int = 0
    step: int = 0
    epoch_step: int = 0
    loss_sum: float = 0.0
    counted: int = 0
    skipped: int = 0
    in_a_row: int = 0
    seconds: float = 0.0

    @property
    def loss(self) -> float:
        """The mean loss of the epoch so far, NaN before its first step that counts."""
        return self.loss_sum / self.counted if self.counted else float("nan")

    def advance(self, loss: float, *, taken: bool, seconds: float) -> None:
        """Count a step that was taken, or skipped."""
        self.step += 1
        self.epoch_step += 1
        self.seconds += seconds
        if taken:
            self.loss_sum += loss
            self.counted += 1
            self.in_a_row = 0
        else:
            self.skipped += 1
            self.in_a_row += 1

    def close_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch += 1
        self.epoch_step = self.counted = self.skipped = 0
        self.loss_sum = self.seconds = 0.0


@dataclass(slots=True)
class EarlyStopping:
    """Counts the epochs since the best score, of which less is better. One that is not finite is never better.

    Attributes:
        patience: Epochs without a better score before the run stops.
        measure: All that scores depend on beside the network: scores of different measures cannot be compared.
        best: The best score, None before the first finite one; infinity for that of another measure.
        best_epoch: Its epoch, or the epoch at which waiting started.
        epoch: The last epoch counted.
    """

    patience: int
    measure: str
    best: float | None = None
    best_epoch: int = 0
    epoch: int = 0

    def update(self, epoch: int, score: float | None) -> bool:
        """Take the score of an epoch, None if it was not measured; return True if it is the best so far."""
        self.epoch = epoch
        if score is None or not isfinite(score) or (self.best is not None and score >= self.best):
            return False
        self.best, self.best_epoch = score, epoch
        return True

    @property
    def waited(self) -> int:
        """The epochs since the best."""
        return self.epoch - self.best_epoch

    @property
    def exhausted(self) -> bool:
        """True once `patience` epochs in a row were no better."""
        return self.waited >= self.patience
