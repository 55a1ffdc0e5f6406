"""What an audio file is, without decoding it."""

import re
from dataclasses import dataclass
from pathlib import Path

import soundfile

from sepkit.audio.ffmpeg import stream_header
from sepkit.audio.formats import READABLE
from sepkit.component import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, AudioFile, Stream
from sepkit.errors import AudioError

# libsndfile's words about the samples of WAV and AIFF files that lack their end.
_SHORTER = re.compile(r"(?:data|SSND)\s*: (\d+) \(should be (\d+)\)")
# Lengths in bytes that mean "unknown".
PIPED = 2**31 - 2**16


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
    path = file.path if isinstance(file, Stream) else file
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if path.is_dir():
        raise AudioError(f"{path}: a folder, not an audio file")
    if not path.is_file():
        raise AudioError(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty")
    info = AudioInfo(*(stream_header(file) if isinstance(file, Stream) else _header(file)))
    if info.frames < 1:
        raise AudioError(f"{file}: the file holds no samples")
    if not LOWEST_RATE <= info.sample_rate <= HIGHEST_RATE or not 1 <= info.channels <= MOST_CHANNELS:
        raise AudioError(
            f"{file}: {info.sample_rate} Hz and {info.channels} channels; "
            f"sepkit reads {LOWEST_RATE} to {HIGHEST_RATE} Hz and up to {MOST_CHANNELS} channels"
        )
    return info


def _header(path: Path) -> tuple[int, int, int]:
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioError(f"{path}: not readable as audio ({cause(error)}). {READABLE}") from None
    _check_whole(path, info)
    return info.samplerate, info.channels, info.frames


def _check_whole(path: Path, info: "soundfile._SoundFileInfo") -> None:
    """Raise an error where a file ends before its header says: libsndfile only notes that in its log.

    What a pipe wrote has no length in its header, but the largest number that fits.
    """
    found = _SHORTER.search(info.extra_info)
    if found and int(found[2]) < int(found[1]) < PIPED:
        seconds = info.duration * int(found[1]) / max(1, int(found[2]))
        raise AudioError(
            f"{path}: truncated, holds {info.duration:.1f} s of {seconds:.1f} s; fetch or export the file again"
        )


def cause(error: Exception) -> str:
    """Return what libsndfile says, without the path that it repeats."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(str(text).split()).rstrip(".")
