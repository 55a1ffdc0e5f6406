"""What an audio file is, without decoding it."""

from dataclasses import dataclass
from pathlib import Path

import soundfile

from sepkit.audio.ffmpeg import stream_header
from sepkit.audio.formats import READABLE
from sepkit.component import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, AudioFile, Stream
from sepkit.errors import AudioError


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
    return info.samplerate, info.channels, info.frames


def cause(error: Exception) -> str:
    """Return what libsndfile says, without the path that it repeats."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(str(text).split()).rstrip(".")
