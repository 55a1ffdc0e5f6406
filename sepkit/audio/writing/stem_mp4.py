"""`.stem.mp4`: a song and its stems as AAC streams of one file, as stempeg's readers and DJ software take them.

PyAV encodes a second of each raw stem at a time. Room for the index (`moov`) is left before the samples: players need
not seek for it, and a truncated file still says which song it is of. No library writes Native Instruments' box, so it
is put into that room at the end.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sepkit.audio.tags import Tags
from sepkit.audio.writing.sink import Sink
from sepkit.errors import AudioError

if TYPE_CHECKING:
    from av import AudioStream, Packet
    from av.container import OutputContainer

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Hz that AAC has"""
MOST_CHANNELS = 2
# Bits per second of each stream, as stempeg and Native Instruments write them.
BITRATE = 256_000
# Native Instruments' players know a mixture and this many stereo stems, no fewer and no more.
NI_STEMS = 4
_LAYOUTS = {1: "mono", 2: "stereo"}
# Frames of an AAC packet, and of the blocks that are encoded at once.
_PACKET = 1024
_BLOCK = 48 * _PACKET
# The colours of the stems in players, distinct for colour-blind users, too.
_COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")
# The effects of players on the sum of the stems: none, but all of these must be stated.
_MASTERING = {
    "compressor": {
        "enabled": False, "ratio": 3, "threshold": 0, "attack": 0.003, "release": 0.3, "input_gain": 0.5,
        "output_gain": 0.5, "hp_cutoff": 300, "dry_wet": 50,
    },
    "limiter": {"enabled": False, "threshold": 0, "ceiling": -0.35, "release": 0.05},
}  # fmt: skip


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
    """Write raw stems, float32 little-endian [time, channel] of one length, as streams; the first is the default.

    Each is multiplied by `gain`. The first is the mixture; with four stereo stems beside it, Native Instruments'
    metadata are written, too. Equal stems give equal bytes, with the same version of PyAV. The file states the
    encoder's delay, which decoders cut off, and its length in frames; some give back the whole last packet, up to 1023
    frames more. `name` is the name of a temporary `path` in errors. Writing fails once another thread sets `abandoned`.

    Raises:
        AudioError: the disk is full, the file cannot be written, or it was abandoned.
    """
    import av

    name, abandoned = name or path, abandoned or Event()
    described = len(stems) == 1 + NI_STEMS and channels == 2
    try:
        with closing(Sink(path)) as sink, ExitStack() as stack:
            files = [stack.enter_context(file.open("rb")) for file in stems.values()]
            frames = next(iter(stems.values())).stat().st_size // (4 * channels)
            threads = stack.enter_context(ThreadPoolExecutor(len(files)))
            options = {
                "brand": "M4A ",  # as Native Instruments' files have it
                "fflags": "+bitexact",  # neither versions nor the time
                "movie_timescale": f"{sample_rate}",  # lengths in frames, not in milliseconds
                "moov_size": f"{_room(frames, stems, tags)}",
            }
            with av.open(sink, "w", "mp4", container_options=options, metadata_errors="replace") as container:
                container.metadata.update(title=tags.title, artist=tags.artist, comment=tags.comment)
                streams = [_stream(container, stem, sample_rate, channels) for stem in stems]
                for packet in _packets(threads, streams, files, frames, gain):
                    if abandoned.is_set():
                        raise AudioError(f"{name}: cannot be written (abandoned)")
                    container.mux(packet)
                    sink.check()
            sink.finish(partial(_add_metadata, stems=[*stems][1:]) if described else None)
    except (OSError, av.FFmpegError) as error:
        raise AudioError(f"{name}: cannot be written ({error.strerror or error})") from None


def _room(frames: int, stems: Collection[str], tags: Tags) -> int:
    """Return bytes that suffice for the index: of each packet its size, and its place as up to 64 bits."""
    words = "".join((*stems, tags.title, tags.artist, tags.comment))
    packets = frames // _PACKET + 3
    return 2**12 + 6 * len(words.encode("utf-8", "replace")) + len(stems) * (2**10 + 12 * packets)


def _stream(container: "OutputContainer", stem: str, sample_rate: int, channels: int) -> "AudioStream":
    from av.codec.context import Flags

    stream = container.add_stream("aac", sample_rate, layout=_LAYOUTS[channels], bit_rate=BITRATE)
    stream.codec_context.flags |= Flags.bitexact
    stream.metadata.update(title=stem, handler_name=stem)  # players show the title; stempeg reads the handler's name
    return stream


def _packets(
    threads: ThreadPoolExecutor, streams: "Sequence[AudioStream]", files: Sequence[BinaryIO], frames: int, gain: float
) -> "Iterator[Packet[AudioStream]]":
    """Encode files, each in a thread; yield a packet of each stream in turn."""
    from av import AudioFrame

    def encode(stream: "AudioStream", file: BinaryIO, start: int, size: int) -> "list[Packet[AudioStream]]":
        samples = np.fromfile(file, "<f4", size * stream.layout.nb_channels).reshape(size, -1).T * np.float32(gain)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", stream.layout.name)
        frame.sample_rate, frame.time_base, frame.pts = stream.sample_rate, Fraction(1, stream.sample_rate), start
        return stream.encode(frame)

    for start in range(0, frames, _BLOCK):
        block = partial(encode, start=start, size=min(_BLOCK, frames - start))
        yield from chain.from_iterable(zip(*threads.map(block, streams, files), strict=True))
    yield from chain.from_iterable(zip(*(stream.encode(None) for stream in streams), strict=True))


def _add_metadata(sink: Sink, stems: Sequence[str]) -> None:
    """Put Native Instruments' box into `moov/udta`, and take its bytes from the room behind them."""
    sink.seek(0)
    kind, movie, room = (_read_box(sink) for _ in range(3))
    children = [*_boxes(movie[8:])]
    user = b"".join(child[8:] for child in children if child[4:8] == b"udta")
    metadata = {
        "version": 1,
        "mastering_dsp": _MASTERING,
        "stems": [{"name": name, "color": color} for name, color in zip(stems, _COLORS, strict=True)],
    }
    others = b"".join(child for child in children if child[4:8] != b"udta")
    described = _box(b"moov", others + _box(b"udta", user + _box(b"stem", json.dumps(metadata).encode())))
    sink.seek(len(kind))
    sink.write(described + _box(b"free", bytes(len(movie) + len(room) - len(described) - 8)))


def _read_box(sink: Sink) -> bytes:
    size = sink.read(4)
    return size + sink.read(int.from_bytes(size) - 4)


def _boxes(content: bytes) -> Iterator[bytes]:
    """Yield boxes, each less than 4 GB."""
    while content:
        size = int.from_bytes(content[:4])
        yield content[:size]
        content = content[size:]


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content
