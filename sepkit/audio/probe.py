"""What an audio file is, without decoding it."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import soundfile

from sepkit.audio.ffmpeg import stream_header
from sepkit.audio.formats import LONGEST, READABLE
from sepkit.audio.untrusted.integrity import check_ogg
from sepkit.audio.untrusted.sniff import looks
from sepkit.errors import AudioError, did_you_mean
from sepkit.track import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, AudioFile, Stream

# libsndfile's words about WAV and AIFF files that lack their end: of their samples; of an RF64 or W64, of the file.
_SHORTER = re.compile(r"(data|SSND|Riff size|riff)\s*: (\d+) \(should be (\d+)\)")
# Lengths in bytes, and up to 64 KB below them, that mean "unknown".
_PIPED = (2**31, 2**32, 2**63, 2**64)


class UnreadableError(AudioError):
    """A file that libsndfile does not know, and ffmpeg may."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Rate in Hz, channel count, and frames (samples of each channel)."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def probe(file: AudioFile) -> AudioInfo:
    """Return what the header of `file` says.

    Raises:
        AudioError: no such file, a folder or a special file, empty, or not audio that can be read here.
    """
    if isinstance(file, Stream):
        check_file(file.path)
        info = AudioInfo(*stream_header(file))
        check_info(file, info)
        return info
    with opened(file) as (_, info):
        return info


@contextmanager
def opened(path: Path) -> "Iterator[tuple[soundfile.SoundFile, AudioInfo]]":
    """Yield a file that libsndfile has opened, and its header.

    Raises:
        AudioError: see `probe`.
    """
    check_file(path)
    check_ogg(path)
    with open_sound(path) as sound:
        info = AudioInfo(sound.samplerate, sound.channels, sound.frames)
        _check_whole(path, sound, info)
        check_info(path, info)
        yield sound, info


def open_sound(path: Path) -> "soundfile.SoundFile":
    """Return a file that libsndfile has opened, to be closed.

    Raises:
        UnreadableError: libsndfile does not read it.
    """
    # soundfile encodes strings strictly, and libsndfile takes "-" for its standard input.
    name = os.fsencode(path.absolute()) if os.name == "posix" else str(path)
    try:
        return soundfile.SoundFile(name)
    except (soundfile.LibsndfileError, TypeError):  # whose words are often false: "file does not exist"
        raise UnreadableError(f"{path}: not readable as audio{looks(path)}. {READABLE}") from None


def check_file(path: Path) -> None:
    """Raise AudioError for what is no file with something in it. Opens nothing: to open a FIFO may last for ever."""
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
    """Return the file in the same folder that may be meant, as the end of a message, or nothing."""
    with suppress(OSError, ValueError):
        hint = did_you_mean(path.name, (other.name for other in path.parent.iterdir() if other.is_file()))
        return hint and f".{hint}"
    return ""


def check_info(file: AudioFile, info: AudioInfo) -> None:
    """Raise AudioError for a header that is beyond what sepkit reads."""
    if info.frames < 1:
        raise AudioError(f"{file}: the file holds no samples")
    if not LOWEST_RATE <= info.sample_rate <= HIGHEST_RATE or not 1 <= info.channels <= MOST_CHANNELS:
        raise AudioError(
            f"{file}: {info.sample_rate} Hz and {info.channels} channels; "
            f"sepkit reads {LOWEST_RATE} to {HIGHEST_RATE} Hz and up to {MOST_CHANNELS} channels"
        )
    if info.seconds > LONGEST * 3600:
        raise AudioError(
            f"{file}: its header claims {info.seconds / 3600:.0f} hours, or does not know its length; "
            f"sepkit reads up to {LONGEST} hours: export the file again"
        )


def _check_whole(path: Path, sound: "soundfile.SoundFile", info: AudioInfo) -> None:
    """Raise an error where a file ends before its header says: libsndfile only notes that in its log.

    What a pipe wrote has no length in its header, but the largest number that fits.
    """
    found = _SHORTER.search(sound.extra_info)
    if not found:
        return
    claimed, held = int(found[2]), int(found[3])
    slack = 0 if found[1] in ("data", "SSND") else 8  # some count a file's own head
    if held + slack < claimed and not any(most - 2**16 <= claimed <= most for most in _PIPED):
        seconds = info.seconds * claimed / max(1, held)
        raise AudioError(
            f"{path}: truncated, holds {info.seconds:.1f} s of {seconds:.1f} s; fetch or export the file again"
        )


def cause(error: Exception) -> str:
    """Return what libsndfile says, without the path that it repeats."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(str(text).split()).rstrip(".")
