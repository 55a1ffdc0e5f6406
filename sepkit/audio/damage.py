"""Errors for files that are truncated, damaged or not audio."""

from sepkit.errors import AudioError
from sepkit.track import AudioFile


class UnreadableError(AudioError):
    """A file that a library does not know, and another may."""


def truncated(file: AudioFile, seconds: float, total: float) -> AudioError:
    """Return the error of a file that breaks off after some of its seconds."""
    return AudioError(f"{file}: truncated, decoded {seconds:.1f} s of {total:.1f} s; fetch or export the file again")


def damaged(file: AudioFile, seconds: float, total: float | None) -> AudioError:
    """Return the error of a file that fails to decode after some seconds; `total` is None if its length is unknown."""
    decoded = f"decoded {seconds:.1f} s" + ("" if total is None else f" of {total:.1f} s")
    return AudioError(f"{file}: truncated or damaged: {decoded}; fetch or export the file again")
