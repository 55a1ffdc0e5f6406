"""The choice of a library: libsndfile, if it opens a file and its length is certain; else FFmpeg's, through PyAV."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit.audio.info import AudioInfo, check_bounds
from sepkit.audio.integrity import check_ogg, tagged_frames
from sepkit.audio.libsndfile import LibsndfileSource
from sepkit.audio.sniff import container_of
from sepkit.audio.source import Source, UnreadableError, truncated
from sepkit.errors import AudioError, did_you_mean
from sepkit.track import AudioFile, Stream

if TYPE_CHECKING:
    from sepkit.audio.pyav import PyAVSource

# Frames of an mp3, each of up to 1152 samples, by which its tag may be off.
_MISCOUNTED = 2
# Samples that encoders of mp3 add, and libsndfile leaves out where the tag says so.
_MPEG_PADDING = 3 * 1152


@contextmanager
def opened(file: AudioFile, known: AudioInfo | None = None, *, seeks: bool = False) -> Iterator[Source]:
    """Yield an open file.

    Args:
        file: A file, or one audio stream of it.
        known: Its description from an earlier opening, or that of a part from its start. Nothing is checked again.
        seeks: Decode only the needed part; see `PyAVSource`.

    Raises:
        AudioError: no such file, a folder or a special file, empty, truncated, not audio that can be read here, or
            with a header beyond all bounds.
    """
    check_file(file.path if isinstance(file, Stream) else file)
    with closing(_known(file, known, seeks=seeks) if known else _checked(file)) as source:
        check_bounds(file, source.sample_rate, source.channels, source.frames)
        yield source


def _known(file: AudioFile, info: AudioInfo, *, seeks: bool) -> Source:
    if not (isinstance(file, Stream) or info.counted or container_of(file)):
        with suppress(UnreadableError):
            return LibsndfileSource(file)
    return _through_pyav(file, info.frames, seeks=seeks)


def _checked(file: AudioFile) -> Source:
    if isinstance(file, Stream) or container_of(file):
        return _through_pyav(file)
    check_ogg(file)
    try:
        sound = LibsndfileSource(file)
    except UnreadableError as error:
        try:
            return _through_pyav(file)
        except UnreadableError:
            raise error from None
    with ExitStack() as stack:
        stack.callback(sound.close)
        if sound.frames is not None and (not sound.is_mpeg or _states_its_length(sound, file)):
            stack.pop_all()
            return sound
    return _through_pyav(file)


def _through_pyav(file: AudioFile, frames: int | None = None, *, seeks: bool = False) -> PyAVSource:
    """Open a file with FFmpeg's libraries, which are large: only files that need them cost their import."""
    from sepkit.audio.pyav import PyAVSource

    return PyAVSource(file, frames, seeks=seeks)


def _states_its_length(sound: LibsndfileSource, path: Path) -> bool:
    """Return whether an mp3 states its length in a tag, holds that many frames, and no other file follows.

    libsndfile guesses from the first frame otherwise: after a quiet start, a fifth of a song is the whole.
    """
    tagged = tagged_frames(path)
    if not tagged:
        return False
    with closing(_through_pyav(path)) as other:
        held, frames = other.packets()
    stated = frames * tagged // max(1, held)  # samples, with the encoder's delay
    alike = 0 <= stated - (sound.frames or 0) <= _MPEG_PADDING
    if held < tagged - _MISCOUNTED:
        total = sound.frames if sound.frames and alike else stated
        raise truncated(path, frames / sound.sample_rate, total / sound.sample_rate)
    return alike and 0 <= held - tagged <= _MISCOUNTED and sound.has_end()


def check_file(path: Path) -> None:
    """Raise AudioError for a path that is no file, or an empty one, without opening it: that may block on a FIFO."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(f"{path}: no such file{_close_to(path)}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be looked up ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{path}: a folder, not an audio file")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{path}: not a regular file")
    if status.st_size == 0:
        raise AudioError(f"{path}: the file is empty")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: cannot be read (Permission denied)")


def _close_to(path: Path) -> str:
    """Return the closest name in the same folder as the end of a message, or an empty string."""
    with suppress(OSError, ValueError):
        hint = did_you_mean(path.name, (other.name for other in path.parent.iterdir() if other.is_file()))
        return hint and f".{hint}"
    return ""
