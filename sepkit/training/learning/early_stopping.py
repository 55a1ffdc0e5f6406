"""When a run has stopped getting better."""

from dataclasses import dataclass
from math import isfinite


@dataclass(slots=True)
class EarlyStopping:
    """Counts the epochs since the best score, of which less is better. One that is not finite is never better.

    Attributes:
        patience: Epochs without a better score that are waited for.
        measure: What the scores are: two of different measures cannot be compared.
        best: The best score, None before the first finite one.
        best_epoch: Its epoch, or the one from which on is waited.
        epoch: The last epoch that was heard of.
    """

    patience: int
    measure: str
    best: float | None = None
    best_epoch: int = 0
    epoch: int = 0

    def update(self, epoch: int, score: float | None) -> bool:
        """Take the score of an epoch, None where it was not measured; return whether it is the best so far."""
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
        """True once `patience` epochs have brought nothing better."""
        return self.waited >= self.patience
