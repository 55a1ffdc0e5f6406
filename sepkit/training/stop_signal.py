"""SIGINT, SIGTERM and SIGHUP (a closed terminal) end the loop after a step; a second one ends the process at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType

# Seconds within which signals count as one: a whole group may get one, and again each of its processes.
TOGETHER = 1.0
_SHOW_CURSOR = "\x1b[?25h\n"
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(Exception):  # noqa: N818  no error: it leaves the work that a signal ended
    """A signal ended the run."""


class StopSignal:
    """The first signal that came: `number`, 0 as long as none has."""

    def __init__(self, *, speaks: bool = False, alone: bool = True) -> None:
        """`alone`: no other ranks have to agree before the process may leave a step."""
        self.number = 0
        self._speaks = speaks
        self._alone = alone
        self._at = 0.0

    @property
    def came(self) -> bool:
        """True after a signal."""
        return self.number != 0

    def check(self) -> None:
        """Raise Interrupted after a signal, within a step or a validation. Several ranks agree after a step instead."""
        if self.came and self._alone:
            raise Interrupted

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.came and monotonic() - self._at > TOGETHER:
            self._say(_SHOW_CURSOR if sys.stderr.isatty() else "")
            os._exit(128 + number)  # files appear by renaming, so nothing is left half written
        if not self.came:
            self.take_over(number)
            self._say(f"\n{signal.Signals(number).name}: stopping after this step; a second one stops without saving\n")

    def take_over(self, number: int) -> None:
        """Take over a signal that came to this process, or to another that trains with it."""
        if number and not self.came:
            self.number, self._at = number, monotonic()

    def _say(self, text: str) -> None:
        """Write past all buffers: the handler may have interrupted code that was filling them."""
        if self._speaks:
            with suppress(OSError):  # the terminal may have been closed
                os.write(2, text.encode())


@contextmanager
def listening(*, speaks: bool = False, alone: bool = True) -> Iterator[StopSignal]:
    """Take over the signals, except ignored ones, as under nohup. Only the main thread of a process can do that."""
    stop = StopSignal(speaks=speaks, alone=alone)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    handled = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.receive) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
