"""SIGINT and SIGTERM as a wish that the loop grants between two steps; a second one ends the process at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

# Seconds within which signals count as one: a whole group may get one, and again each of its processes.
TOGETHER = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """`number` is that of the signal that came, 0 as long as none has."""

    def __init__(self) -> None:
        self.number = 0
        self._at = 0.0

    @property
    def came(self) -> bool:
        """Whether the process was asked to stop."""
        return self.number != 0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.came and monotonic() - self._at > TOGETHER:
            os._exit(128 + number)  # files appear by renaming, so there is nothing that could be left half done
        if not self.came:
            self.number, self._at = number, monotonic()


@contextmanager
def listening() -> Iterator[StopSignal]:
    """Take SIGINT and SIGTERM over from whoever handles them. Only the main thread of a process can do that."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.receive) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
