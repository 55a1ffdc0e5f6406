"""When a run has stopped getting better."""

from dataclasses import dataclass
from math import isfinite


@dataclass(slots=True)
class EarlyStopping:
    """Counts the epochs since the best validation loss. A loss that is not finite never counts as better."""

    patience: int
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take the loss of an epoch; return whether it is the best so far."""
        if isfinite(loss) and (self.best is None or loss < self.best):
            self.best, self.best_epoch, self.waited = loss, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def exhausted(self) -> bool:
        """True once `patience` epochs have brought nothing better."""
        return self.waited >= self.patience
