"""The time that a run will take and the share of waiting for data, measured over its first steps."""

from dataclasses import dataclass

# Steps that are not measured: they allocate memory, choose kernels and wait for the first batches.
WARM_UP = 2
# The steps, and their seconds, from which a pace is known.
STEPS, SECONDS = 3, 5.0
# The share of waiting for data above which the display gives advice.
WAITING = 0.1
# The seconds of an epoch above which the display names a smaller config on a CPU.
LONG_EPOCH = 30 * 60.0


@dataclass(slots=True)
class Pace:
    """The steps of a session so far: their number, the seconds that they took, and those that they waited for data."""

    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    _known: bool = False

    def add(self, seconds: float, waited: float) -> bool:
        """Count a step; return True once, when enough is known."""
        self.steps += 1
        if self.steps <= WARM_UP:
            return False
        self.seconds += seconds
        self.waited += waited
        before, self._known = self._known, self.measured >= STEPS and self.seconds >= SECONDS
        return self._known and not before

    @property
    def measured(self) -> int:
        """The steps that count."""
        return max(0, self.steps - WARM_UP)

    @property
    def waiting(self) -> float:
        """The share of the time, from 0 to 1, in which the network waited for data."""
        return self.waited / self.seconds if self.seconds else 0.0

    def epoch(self, steps_per_epoch: int, validation: float) -> float:
        """Return the seconds of an epoch, whose validation takes `validation` seconds."""
        return self.seconds / max(1, self.measured) * steps_per_epoch + validation

    def estimate(self, steps_per_epoch: int, epochs: int, validation: float) -> str:
        """Return a sentence on the time of an epoch and of the `epochs` that are left."""
        epoch = self.epoch(steps_per_epoch, validation)
        left = f", the {epochs} that are left about {duration(epochs * epoch)} at most" if epochs > 1 else ""
        return f"An epoch takes about {duration(epoch)}{left} (measured over {self.measured} steps)"


def duration(seconds: float) -> str:
    """Return a time to plan with: one number and its unit."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(1, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} days"
