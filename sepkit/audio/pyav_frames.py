"""Frames that PyAV decodes, as float32 arrays in blocks."""

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from sepkit.arrays import Samples

# numpy's names of FFmpeg's samples.
_KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


class BrokenError(Exception):
    """The stream is truncated or damaged."""


def decoded(container: InputContainer, stream: AudioStream, *, robust: bool) -> Iterator[AudioFrame]:
    """Yield the frames of a stream. A `robust` decoder passes over damaged packets.

    Raises:
        BrokenError: a packet is damaged.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.is_corrupt and not robust:
                raise BrokenError
            frames = packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError:
            if not robust:
                raise BrokenError from None
            continue
        yield from frames


def samples_of(frame: AudioFrame) -> Samples:
    """Return a frame as [channel, time]."""
    kind, channels = _KINDS[frame.format.packed.name], len(frame.layout.channels)
    samples = np.empty((frame.samples, channels), np.float32)
    if frame.format.is_planar:  # to_ndarray() takes as long as to decode
        for number, plane in enumerate(frame.planes):
            samples[:, number] = np.frombuffer(memoryview(plane), kind, frame.samples)
    else:
        samples[:] = np.frombuffer(memoryview(frame.planes[0]), kind, samples.size).reshape(samples.shape)
    if kind == "u1":
        samples -= 128
    if kind[0] != "f":
        samples *= np.float32(2.0 ** (1 - 8 * int(kind[1])))
    return samples.T


def silence(frames: int, channels: int) -> Samples:
    """Return zeros [time, channel] that take no memory."""
    return np.broadcast_to(np.float32(0), (frames, channels))


def in_blocks(pieces: Iterator[Samples], block: int, channels: int) -> Iterator[Samples]:
    """Yield pieces [time, channel], joined and cut into contiguous blocks; the last may be shorter.

    Empty pieces pass as they are.
    """
    buffer, held = np.empty((block, channels), np.float32), 0
    for piece in pieces:
        if not len(piece):
            yield piece
        for first in range(-held, len(piece), block):
            taken = piece[max(first, 0) : first + block]
            buffer[held : held + len(taken)] = taken
            held += len(taken)
            if held == block:
                yield buffer
                buffer, held = np.empty((block, channels), np.float32), 0
    if held:
        yield buffer[:held]
