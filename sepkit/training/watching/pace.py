"""How long a run will take and what it waits for, measured over its first steps: they are taken anyway."""

from dataclasses import dataclass

# Steps that are not measured: they allocate memory, choose kernels and wait for the first batches.
WARM_UP = 2
# The least that tells a pace: steps, and their seconds.
STEPS, SECONDS = 3, 5.0
# The share of the time that steps wait for data from which on it is worth a word.
WAITING = 0.1
# The time of an epoch, in seconds, from which on a CPU is told of a smaller config.
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

    def estimate(self, steps_per_epoch: int, epochs: int, validation: float) -> str:
        """Return how long an epoch and the `epochs` that are left take; a validation takes `validation` seconds."""
        epoch = self.epoch(steps_per_epoch, validation)
        every = f"An epoch takes about {duration(epoch)}"
        left = f", the {epochs} that are left about {duration(epochs * epoch)} at most" if epochs > 1 else ""
        return f"{every}{left} (measured over {self.measured} steps)"

    def epoch(self, steps_per_epoch: int, validation: float) -> float:
        """Return the seconds of an epoch."""
        return self.seconds / max(1, self.measured) * steps_per_epoch + validation


def duration(seconds: float) -> str:
    """Return a time to plan with: one number and its unit."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(1, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} days"
