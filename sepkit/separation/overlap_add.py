"""Chunked processing of a signal of any length: overlapping chunks, cross-faded with weights that sum to one.

Chunk k covers the samples [k * hop, k * hop + chunk), hop = chunk - overlap. Within each overlap the earlier chunk
fades out and the later one in, linearly, so each sample's weights add up to one: with a process that returns its
input, the output is the input. The last chunk is filled up with zeros and always reaches beyond the overlap before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Chunking:
    """Chunk length and overlap in samples, 0 <= overlap <= chunk / 2: never more than two chunks meet."""

    chunk: int
    overlap: int

    @classmethod
    def of(cls, seconds: float, overlap: float, sample_rate: int) -> "Chunking":
        """Return the chunking for a length in seconds and an overlap as a share of it."""
        chunk = max(2, round(seconds * sample_rate))
        return cls(chunk, min(chunk // 2, int(chunk * overlap)))

    @property
    def hop(self) -> int:
        """Samples from the start of a chunk to the start of the next."""
        return self.chunk - self.overlap

    def count(self, time: int) -> int:
        """Return how many chunks cover `time` samples."""
        return max(1, ceil((time - self.overlap) / self.hop))


def overlap_add(process: Callable[[Tensor], Tensor], mixture: Tensor, chunking: Chunking) -> Tensor:
    """Apply `process`, [channel, chunk] -> [source, channel, chunk], to all of `mixture` [channel, time].

    Returns [source, channel, time].
    """
    time = mixture.shape[-1]
    count = chunking.count(time)
    fade = (torch.arange(chunking.overlap, dtype=mixture.dtype) + 0.5) / max(1, chunking.overlap)
    output = torch.empty(0)
    for k in range(count):
        start = k * chunking.hop
        piece = mixture[:, start : start + chunking.chunk]
        length = piece.shape[-1]
        estimate = process(functional.pad(piece, (0, chunking.chunk - length)))[..., :length].clone()
        if k == 0:
            output = estimate.new_zeros((*estimate.shape[:-1], time))
        else:
            estimate[..., : chunking.overlap] *= fade
        if k < count - 1:
            estimate[..., chunking.hop :] *= 1 - fade
        output[..., start : start + length] += estimate
    return output
