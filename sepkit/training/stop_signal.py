"""SIGINT, SIGTERM and SIGHUP (a closed terminal) as a wish that the loop grants between two steps; a second one ends
the process at once.
"""

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


class StopSignal:
    """`number` is that of the signal that came, 0 as long as none has."""

    def __init__(self, *, speaks: bool) -> None:
        self.number = 0
        self._speaks = speaks
        self._at = 0.0

    @property
    def came(self) -> bool:
        """Whether the process was asked to stop."""
        return self.number != 0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.came and monotonic() - self._at > TOGETHER:
            self._say(_SHOW_CURSOR if sys.stderr.isatty() else "")
            os._exit(128 + number)  # files appear by renaming, so there is nothing that could be left half done
        if not self.came:
            self.hear_of(number)
            self._say(f"\n{signal.Signals(number).name}: stopping after this step; a second one stops without saving\n")

    def hear_of(self, number: int) -> None:
        """Take over a signal that came to this process, or to another that trains with it."""
        if number and not self.came:
            self.number, self._at = number, monotonic()

    def _say(self, text: str) -> None:
        """Write past all buffers: the handler may have interrupted whoever was filling them."""
        if self._speaks:
            with suppress(OSError):  # the terminal may be what was closed
                os.write(2, text.encode())


@contextmanager
def listening(*, speaks: bool = False) -> Iterator[StopSignal]:
    """Take the signals over from whoever handles them, but for those that are ignored, as under nohup. Only the main
    thread of a process can do that.
    """
    stop = StopSignal(speaks=speaks)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.receive) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
