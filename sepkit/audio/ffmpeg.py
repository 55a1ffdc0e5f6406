"""Audio that libsndfile cannot read, decoded by ffmpeg.

The streams of a corpus, such as those of a `.stem.mp4`, are read in part. stempeg's own reader decodes from the start
of the file at every call. Here ffmpeg seeks instead; it is asked for a little more than is wanted, because a lossy
codec needs some frames before its output is that of the whole stream.

Containers from strangers are decoded from their start, under a time limit: not all of them say where a frame is.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sepkit.audio.damage import damaged
from sepkit.audio.formats import LONGEST
from sepkit.audio.tags import LONGEST_TAG, Tags
from sepkit.audio.untrusted.sniff import container_of, looks
from sepkit.audio.untrusted.watched_process import WatchedProcess
from sepkit.errors import AudioError
from sepkit.track import HIGHEST_RATE, MOST_CHANNELS, Stream

if TYPE_CHECKING:
    from sepkit.component import Samples

# Frames decoded before the wanted ones and thrown away: four AAC frames.
PREROLL = 4096
# Frames beyond the wanted ones, so that rounding the duration to microseconds loses none.
SLACK = 64
# What containers from strangers may be, and reach: one that lists other files or addresses is none.
CLOSED = ("-protocol_whitelist", "file", "-format_whitelist", "mov,matroska,asf,aac,ogg,mp3,flac,wav,aiff")
# Formats whose length is guessed from the bitrate of the first frames.
GUESSED = ("aac", "mp3")
# What it says of a file that is not whole, and then ends as if it were.
COMPLAINT = re.compile(rb"partial file|ended prematurely|Error while decoding|Error submitting packet to decoder")
# Bytes that may be allocated at once.
MOST_BYTES = 2**29
# Frames by which decoding may end before an exact length: a few codec frames.
TOLERANCE = 8192


@dataclass(frozen=True, slots=True)
class Container:
    """The first audio stream of a file: rate in Hz, channels, frames; and the file's tags.

    `exact`: its length is counted in frames, not in milliseconds. `robust`: its format lets decoders skip what is no
    frame, such as a tag, so that this is no damage.
    """

    sample_rate: int
    channels: int
    frames: int
    tags: Tags
    exact: bool = True
    robust: bool = False

    @property
    def tolerance(self) -> int:
        """The frames that there may be fewer, or more if the length is not exact."""
        return TOLERANCE if self.exact else self.sample_rate // 2


def stream_header(stream: Stream) -> tuple[int, int, int]:
    """Return rate, channels and frames of an audio stream.

    Raises:
        AudioError: ffmpeg is missing, the file is not readable, or it has no such audio stream.
    """
    require(stream.path, stream.path.suffix)
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
    require(stream.path, stream.path.suffix)
    first = max(0, start - PREROLL)
    seek = ["-ss", f"{first / sample_rate:.6f}"] if first else []  # seeking to 0 would skip the codec's lead-in
    duration = f"{(start - first + frames + SLACK) / sample_rate:.6f}"
    source = ["-t", duration, "-i", f"file:{stream.path}", "-map", f"0:a:{stream.number}"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", *seek, *source, "-f", "f32le", "pipe:1"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise AudioError(f"{stream}: decoding failed ({last_line(done.stderr)}); fetch or export the file again")
    samples = np.frombuffer(done.stdout, "<f4").reshape(-1, channels)
    return samples[start - first : start - first + frames]


def available() -> bool:
    """Whether ffmpeg and ffprobe are on PATH."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def require(path: Path, what: str) -> None:
    """Raise an AudioError if ffmpeg is not there for `path`; `what` it is needed for, such as ".m4a"."""
    if not available():
        raise AudioError(
            f"{path}: ffmpeg not found, needed for {what}; install it (apt-get, brew or winget install ffmpeg)"
        )


def last_line(stderr: bytes) -> str:
    """Return the last line of what a process said."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def container(path: Path, patience: float) -> Container:
    """Return what a file says; its frames are counted where it does not say how many there are.

    Raises:
        AudioError: ffmpeg is missing, or gives no sign of life for `patience` seconds; or the file is not readable.
    """
    require(path, path.suffix)
    status = path.stat()
    return _container(path, status.st_size, status.st_mtime_ns, patience)


def container_blocks(
    path: Path, container: Container, start: int, frames: int | None, patience: float
) -> "Generator[Samples, None, None]":
    """Yield frames [start, start + frames) in blocks [time, channel] of a second, fewer where the stream ends before.

    What a codec adds behind an exact length is left out.

    Raises:
        AudioError: ffmpeg fails, finds damage, or gives no sign of life for `patience` seconds.
    """
    if frames == 0:
        return
    end = container.frames + (0 if container.exact else container.tolerance)
    stop = end if frames is None else min(start + frames, end)
    at = 0
    with closing(_blocks(path, container, patience)) as blocks:
        for block in blocks:
            wanted = block[max(0, start - at) : max(0, stop - at)]
            at += len(block)
            if len(wanted):
                yield wanted
            if at >= stop:
                return


@lru_cache(maxsize=8)
def _container(path: Path, size: int, modified: int, patience: float) -> Container:
    found = _ffprobe(path, patience)
    try:
        stream, form = found["streams"][0], found["format"]
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
        # The length of a file is that of its longest stream, which may be a film.
        alone = form.get("duration") if form["nb_streams"] == 1 else None
        seconds = Fraction(stream.get("duration") or alone or 0)
        guessed = form["format_name"] in GUESSED
        # Half of the rate is the clock of AAC whose upper band is added by the decoder.
        exact = "duration" in stream and Fraction(stream["time_base"]) * rate <= 2
    except IndexError:
        raise AudioError(f"{path}: the file holds no audio stream") from None
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise AudioError(f"{path}: ffmpeg does not tell its rate, channels and length ({error})") from None
    tags = _tags({**stream.get("tags", {}), **form.get("tags", {})})
    header = Container(rate, channels, round(seconds * rate), tags, exact, robust=form["format_name"] == "mp3")
    if (seconds and not guessed) or not (0 < rate <= HIGHEST_RATE and 0 < channels <= MOST_CHANNELS):
        return header
    return replace(header, frames=_counted(path, replace(header, frames=0), patience), exact=True)


def _counted(path: Path, container: Container, patience: float) -> int:
    """Return how many frames there are: of an endless stream, more than there may be."""
    frames, most = 0, LONGEST * 3600 * container.sample_rate
    with closing(_blocks(path, container, patience)) as blocks:
        for block in blocks:
            frames += len(block)
            if frames > most:
                break
    return frames


def _ffprobe(path: Path, patience: float) -> dict[str, Any]:
    """By ffprobe itself: stempeg cannot limit its time."""
    shown = (
        "stream=sample_rate,channels,duration,time_base:format=format_name,nb_streams,duration:format_tags:stream_tags"
    )
    command = ["ffprobe", "-v", "error", "-max_alloc", str(MOST_BYTES), *CLOSED, "-select_streams", "a:0"]
    command += ["-show_entries", shown, "-of", "json", f"file:{path}"]
    try:
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=patience,
            start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _hangs(path, patience) from None
    if done.returncode:
        kind = container_of(path)
        if kind:
            raise AudioError(
                f"{path}: truncated or damaged {kind}: ffmpeg cannot read it; fetch or export the file again"
            )
        raise AudioError(f"{path}: not readable by ffmpeg{looks(path)}")
    found: dict[str, Any] = json.loads(done.stdout.decode("utf-8", "replace"))
    return found


def _tags(found: dict[str, str]) -> Tags:
    names = {name.lower(): text[:LONGEST_TAG].strip() for name, text in found.items()}
    return Tags(*(names.get(name, "") for name in ("title", "artist", "comment")))


def _blocks(path: Path, container: Container, patience: float) -> "Generator[Samples, None, None]":
    """The whole stream, a second at a time."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-max_alloc", str(MOST_BYTES), *CLOSED, "-threads", "1"]
    command += ["-i", f"file:{path}", "-map", "0:a:0", "-f", "f32le", "pipe:1"]
    process, decoded = WatchedProcess(command, patience, complaint=COMPLAINT), 0
    try:
        filled = size = 4 * container.sample_rate * container.channels
        while filled == size:
            block = np.empty((container.sample_rate, container.channels), "<f4")
            filled = process.fill(block.data.cast("B"))
            whole = block[: filled // (4 * container.channels)]
            decoded += len(whole)
            if len(whole):
                yield whole
        code = process.wait()
    finally:
        process.end()
    if process.hung:
        raise _hangs(path, patience)
    if process.complained and not container.robust:
        rate, frames = container.sample_rate, container.frames
        raise damaged(path, decoded / rate, frames / rate if frames else None)
    if code:
        raise AudioError(f"{path}: decoding failed ({process.last_words}); fetch or export the file again")


def _hangs(path: Path, patience: float) -> AudioError:
    return AudioError(f"{path}: ffmpeg did not answer within {patience:g} s; it may be damaged: export it again")


@lru_cache(maxsize=8)
def _audio_streams(path: str, size: int, modified: int) -> list[dict[str, Any]]:
    """The header as long as the file is the same: a song of five streams is probed once, not five times."""
    import stempeg

    try:
        streams: list[dict[str, Any]] = stempeg.Info(f"file:{path}").audio_streams
    except Exception as error:  # noqa: BLE001  ffmpeg-python's Error is one, stempeg raises Warning
        raise AudioError(f"{path}: not readable by ffmpeg ({last_line(getattr(error, 'stderr', b''))})") from None
    return streams
