"""`.stem.mp4`: a song and its stems as AAC streams of one file, as stempeg's readers and DJ software take them.

stempeg's own writers hold all stems in memory several times over, pass them through 16-bit files, and need MP4Box,
which notes the time, for Native Instruments' metadata. So here ffmpeg reads the raw stems from disk. stempeg tells
which AAC encoder there is, how streams are named, and what the metadata says; their box is put in at the end.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import SEEK_END
from pathlib import Path
from threading import Event
from typing import BinaryIO

from sepkit.audio import ffmpeg
from sepkit.audio.tags import Tags
from sepkit.errors import AudioError

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Hz that AAC has"""
MOST_CHANNELS = 2
# Bits per second of each stream, as stempeg and Native Instruments write them.
BITRATE = 256_000
# Native Instruments' players know a mixture and this many stereo stems, no fewer and no more.
NI_STEMS = 4
_FULL = "No space left on device"
# Seconds after which ffmpeg is looked at again.
_LOOK = 0.1


def require_ffmpeg(path: Path) -> None:
    """Raise an AudioError if ffmpeg is not there to write `path`."""
    ffmpeg.require(path, ".stem.mp4")


def write_stem_mp4(
    path: Path,
    stems: Mapping[str, Path],
    sample_rate: int,
    channels: int,
    tags: Tags,
    gain: float,
    name: Path | None = None,
    abandoned: Event | None = None,
) -> None:
    """Write raw stems, float32 little-endian [time, channel], as streams in their order; the first is the default.

    Each is multiplied by `gain`. The first is the mixture; with four stereo stems beside it, Native Instruments'
    metadata are written, too. Players may decode up to one AAC frame (1024) more than was written, of silence.
    `name` is what errors call a temporary `path`. Once another thread sets `abandoned`, ffmpeg is killed.

    Raises:
        AudioError: ffmpeg is missing, fails or is killed, or the disk is full.
    """
    name = name or path
    require_ffmpeg(name)
    command = _command(path, stems, sample_rate, channels, tags, gain)
    code, errors = _run(command, abandoned or Event())
    if code:
        raise AudioError(f"{name}: cannot be written ({_reason(errors)})")
    try:
        with path.open("r+b") as file:
            if len(stems) == 1 + NI_STEMS and channels == 2:
                _add_metadata(file, list(stems)[1:])
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AudioError(f"{name}: cannot be written ({error.strerror or error})") from None


def _command(
    path: Path, stems: Mapping[str, Path], sample_rate: int, channels: int, tags: Tags, gain: float
) -> list[str]:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    for raw in stems.values():
        command += ["-f", "f32le", "-ar", f"{sample_rate}", "-ac", f"{channels}", "-i", f"file:{raw}"]
    for number, name in enumerate(stems):
        described = f"-metadata:s:a:{number}"  # players show the title; stempeg reads the handler's name
        command += ["-map", f"{number}:a", described, f"title={name}", described, f"handler_name={name}"]
        command += [f"-disposition:a:{number}", "0" if number else "default"]
    for key, text in (("title", tags.title), ("artist", tags.artist), ("comment", tags.comment)):
        command += ["-metadata", f"{key}={text}"]
    command += ["-af", f"volume={gain:.9g}:precision=float", "-c:a", _encoder(), "-b:a", f"{BITRATE}"]
    # bitexact: neither versions nor the time; M4A: the brand that Native Instruments' files have.
    return [*command, "-fflags", "+bitexact", "-flags:a", "+bitexact", "-brand", "M4A ", "-f", "mp4", f"file:{path}"]


def _encoder() -> str:
    import stempeg

    return "libfdk_aac" if "libfdk_aac" in (stempeg.check_available_aac_encoders() or []) else "aac"


def _run(command: list[str], abandoned: Event) -> tuple[int, bytes]:
    """Return the exit code of a command and its stderr. Whatever ends the waiting ends the command as well."""
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            while not abandoned.is_set():
                with suppress(subprocess.TimeoutExpired):
                    _, errors = process.communicate(timeout=_LOOK)
                    return process.returncode, errors
        finally:
            process.kill()  # which does nothing to one that has ended
    return process.returncode, b"abandoned"


def _reason(errors: bytes) -> str:
    return _FULL if _FULL.encode() in errors else ffmpeg.last_line(errors)


def _add_metadata(file: BinaryIO, names: Sequence[str]) -> None:
    """Put Native Instruments' box into `moov/udta`, which ffmpeg writes last: nothing behind them moves."""
    start, movie = _last_box(file)
    kept, user = bytearray(), b""
    for kind, box in _boxes(movie[8:]):
        if kind == b"udta":
            user = box[8:]
        else:
            kept += box
    file.seek(start)
    file.write(_box(b"moov", bytes(kept) + _box(b"udta", user + _box(b"stem", _metadata(names)))))


def _metadata(names: Sequence[str]) -> bytes:
    import stempeg

    metadata = json.loads(Path(stempeg.default_metadata()).read_text(encoding="utf-8"))
    metadata["stems"] = [{**known, "name": name} for known, name in zip(metadata["stems"], names, strict=True)]
    return json.dumps(metadata).encode()


def _last_box(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the last box of a file starts, which must be `moov`, and its bytes."""
    end, start, size, kind = file.seek(0, SEEK_END), 0, 0, b""
    while start + size < end:
        start += size
        file.seek(start)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4]), head[4:8]
        if size == 1:  # the size does not fit into 32 bits, and stands behind the kind
            size = int.from_bytes(head[8:])
    if kind != b"moov":
        raise OSError("ffmpeg wrote its boxes in another order than expected")
    file.seek(start)
    return start, file.read(size)


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, whole box), each less than 4 GB."""
    while content:
        size = int.from_bytes(content[:4])
        yield content[4:8], content[:size]
        content = content[size:]


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content
