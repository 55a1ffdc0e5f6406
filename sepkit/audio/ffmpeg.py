"""Audio streams that libsndfile cannot read, such as those of a `.stem.mp4`: probed by stempeg, decoded by ffmpeg.

stempeg's own reader decodes from the start of the file at every call. Here ffmpeg seeks instead; it is asked for a
little more than is wanted, because a lossy codec needs some frames before its output is that of the whole stream.
"""

import shutil
import subprocess
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sepkit.component import Stream
from sepkit.errors import AudioError

if TYPE_CHECKING:
    from sepkit.component import Samples

# Frames decoded before the wanted ones and thrown away: four AAC frames.
PREROLL = 4096
# Frames beyond the wanted ones, so that rounding the duration to microseconds loses none.
SLACK = 64


def stream_header(stream: Stream) -> tuple[int, int, int]:
    """Return rate, channels and frames of an audio stream.

    Raises:
        AudioError: ffmpeg is missing, the file is not readable, or it has no such audio stream.
    """
    _require_ffmpeg(stream.path)
    status = stream.path.stat()
    streams = _audio_streams(str(stream.path), status.st_size, status.st_mtime_ns)
    if stream.number >= len(streams):
        raise AudioError(f"{stream.path}: no audio stream {stream.number}; it has {len(streams)}, counted from 0")
    found = streams[stream.number]
    try:
        sample_rate, ticks = int(found["sample_rate"]), int(found["duration_ts"])
        return sample_rate, int(found["channels"]), round(ticks * Fraction(found["time_base"]) * sample_rate)
    except (KeyError, ValueError) as error:
        raise AudioError(f"{stream}: ffmpeg does not tell its rate, channels and length ({error})") from None


def decode_stream(stream: Stream, sample_rate: int, channels: int, start: int, frames: int) -> "Samples":
    """Return frames [start, start + frames) as [time, channels], fewer where the stream ends before.

    Raises:
        AudioError: ffmpeg is missing or fails.
    """
    _require_ffmpeg(stream.path)
    first = max(0, start - PREROLL)
    seek = ["-ss", f"{first / sample_rate:.6f}"] if first else []  # seeking to 0 would skip the codec's lead-in
    duration = f"{(start - first + frames + SLACK) / sample_rate:.6f}"
    source = ["-t", duration, "-i", f"file:{stream.path}", "-map", f"0:a:{stream.number}"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", *seek, *source, "-f", "f32le", "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise AudioError(f"{stream}: decoding failed ({_last_line(done.stderr)}); fetch or export the file again")
    samples = np.frombuffer(done.stdout, "<f4").reshape(-1, channels)
    return samples[start - first : start - first + frames]


@lru_cache(maxsize=8)
def _audio_streams(path: str, size: int, modified: int) -> list[dict[str, Any]]:
    """The header as long as the file is the same: a song of five streams is probed once, not five times."""
    import stempeg

    try:
        streams: list[dict[str, Any]] = stempeg.Info(f"file:{path}").audio_streams
    except Exception as error:  # noqa: BLE001  ffmpeg-python's Error is one, stempeg raises Warning
        raise AudioError(f"{path}: not readable by ffmpeg ({_last_line(getattr(error, 'stderr', b''))})") from None
    return streams


def _require_ffmpeg(path: Path) -> None:
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise AudioError(
            f"{path}: ffmpeg not found, needed for {path.suffix}; install it (apt-get, brew or winget install ffmpeg)"
        )


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"
