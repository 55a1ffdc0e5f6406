"""Where a run is."""

from dataclasses import dataclass


@dataclass(slots=True)
class Position:
    """How far a run has come, in the middle of an epoch too.

    Attributes:
        epoch: Epochs that are done.
        step: Steps that are done, skipped ones included: the number of the next batch.
        epoch_step: Those of the epoch that is going on.
        loss_sum: The losses of those that were taken.
        counted: How many were.
        skipped: Those whose loss or gradient was not finite.
        in_a_row: The last steps, one after the other, that were skipped.
        seconds: What they took.
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
