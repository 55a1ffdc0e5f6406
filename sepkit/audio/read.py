"""Audio files -> float32 arrays [channel, time], at the file's own rate or, several at once, at a wanted one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.audio.info import AudioInfo
from sepkit.audio.opening import opened
from sepkit.audio.probe import probe
from sepkit.audio.resample import Grid, resample
from sepkit.track import AudioFile

log = logging.getLogger(__name__)

# Samples decoded at once: memory depends on the content of a file, not on the claims of its header.
BLOCK = 2**24


@dataclass(frozen=True, slots=True)
class Piece:
    """A file with its description, and its sign in a sum: 1 or -1."""

    file: AudioFile
    info: AudioInfo
    sign: int = 1

    def frames_at(self, sample_rate: int) -> int:
        """Return the file's length in frames at another rate."""
        return -(-self.info.frames * sample_rate // self.info.sample_rate)

    def until(self, end: AudioInfo) -> "Piece":
        """Return the piece cut at the end of another file."""
        frames = -(-end.frames * self.info.sample_rate // end.sample_rate)
        return self if self.info.frames <= frames else replace(self, info=replace(self.info, frames=frames))


def read(file: AudioFile) -> "tuple[Samples, int]":
    """Decode a whole file, and return it [channel, time] with its rate.

    Raises:
        AudioError: see `probe`; also a file that is shorter than its header says.
    """
    info = probe(file)
    return decode(file, info, 0, info.frames), info.sample_rate


def read_sum(pieces: Sequence[Piece], sample_rate: int, channels: int, start: int, frames: int) -> "Samples":
    """Return frames [start, start + frames), counted at `sample_rate`, of the sum of files as [channels, frames].

    Only the needed part of each file is decoded. Beyond the end of a file there are zeros. The result equals that part
    of the whole files resampled at once: blocks start where the two sample grids meet.

    Raises:
        AudioError: see `read`.
    """
    total = np.zeros((channels, frames), np.float32)
    for rate in dict.fromkeys(piece.info.sample_rate for piece in pieces):
        grid = Grid.between(rate, sample_rate)
        first, last = grid.input_range(start, start + frames)
        block = np.zeros((channels, last - first), np.float32)
        for piece in pieces:
            if piece.info.sample_rate == rate:
                _add_within(block, piece, first)
        offset = start - grid.output_index(first)
        total += resample(block, rate, sample_rate)[:, offset : offset + frames]
    return total


def decode(file: AudioFile, info: AudioInfo, start: int, frames: int) -> "Samples":
    """Return frames [start, start + frames), all of them within the file, as [channel, time] at its own rate.

    Raises:
        AudioError: see `read`.
    """
    return np.ascontiguousarray(finite(decode_raw(file, info, start, frames), file, set()).T)


def decode_raw(file: AudioFile, info: AudioInfo, start: int, frames: int) -> "Samples":
    """Return frames [start, start + frames) as [time, channel], with samples that are not finite.

    Raises:
        AudioError: see `read`.
    """
    with opened(file, info, seeks=True) as source:
        blocks = list(source.blocks(start, frames, max(1, BLOCK // source.channels)))
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.empty((0, info.channels), np.float32), *blocks])


def finite(samples: "Samples", file: AudioFile, warned: set[AudioFile]) -> "Samples":
    """Return samples with zeros for those that are not finite; warn once of a file, and add it to `warned`."""
    if np.isfinite(samples).all():
        return samples
    if file not in warned:
        log.warning("%s: samples that are not finite (NaN or infinity) are taken as silence", file)
        warned.add(file)
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)


def _add_within(block: "Samples", piece: Piece, first: int) -> None:
    """Add the samples of a file from its frame `first` on to a block [channels, time]."""
    begin, end = max(first, 0), min(first + block.shape[1], piece.info.frames)
    if end > begin:
        samples = decode(piece.file, piece.info, begin, end - begin)
        block[:, begin - first : end - first] += piece.sign * to_channels(samples, len(block))
