"""An open audio file, the same whatever library reads it."""

from collections.abc import Callable, Iterator
from typing import Protocol

from sepkit.arrays import Samples
from sepkit.audio.tags import Tags


class Source(Protocol):
    """An open audio file.

    Attributes:
        sample_rate: In Hz.
        channels: How many.
        frames: Its length; None where the file does not state one that can be relied on, see `count`.
        silence: Seconds by which `blocks` has filled gaps in the file's timestamps so far.
    """

    sample_rate: int
    channels: int
    frames: int | None
    silence: float

    @property
    def tags(self) -> Tags:
        """Title, artist and comment of the file."""
        ...

    def count(self, alive: Callable[[], None]) -> int:
        """Return the number of frames that decoding brings; call `alive` about every second of audio.

        Raises:
            AudioError: the file is truncated or damaged.
        """
        ...

    def blocks(self, start: int, frames: int, block: int) -> "Iterator[Samples]":
        """Yield frames [start, start + frames) in blocks [time, channel] of at most `block`, all that the file has.

        An empty block is a sign of life. Only for a source whose `frames` are known.

        Raises:
            AudioError: the file is truncated or damaged.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
