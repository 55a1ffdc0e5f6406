"""An open audio file, whichever library reads it, and the errors of truncated, damaged and unknown files."""

from collections.abc import Callable, Iterator
from typing import Protocol

from sepkit.arrays import Samples
from sepkit.audio.tags import Tags
from sepkit.errors import AudioError
from sepkit.track import AudioFile


class Source(Protocol):
    """An open audio file.

    Attributes:
        sample_rate: In Hz.
        channels: Their number.
        frames: Its length; None if the file does not state one that can be relied on, see `count`.
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
        """Yield frames [start, start + frames), or fewer at the end of the file, in blocks [time, channel] of `block`.

        An empty block is a sign of life. Only for a source whose `frames` are known.

        Raises:
            AudioError: the file is truncated or damaged.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class UnreadableError(AudioError):
    """A file of a format that one library does not know; another may."""


def truncated(file: AudioFile, seconds: float, total: float) -> AudioError:
    """Return the error of a file that ends after some of its seconds."""
    return AudioError(f"{file}: truncated, decoded {seconds:.1f} s of {total:.1f} s; fetch or export the file again")


def damaged(file: AudioFile, seconds: float, total: float | None) -> AudioError:
    """Return the error of a file that fails to decode after some seconds; `total` is None if its length is unknown."""
    decoded = f"decoded {seconds:.1f} s" + ("" if total is None else f" of {total:.1f} s")
    return AudioError(f"{file}: truncated or damaged: {decoded}; fetch or export the file again")
