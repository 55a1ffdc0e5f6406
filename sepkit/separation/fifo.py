"""Samples that wait for their turn: put in at the end in blocks of any length, taken out at the front."""

from collections import deque

import numpy as np

from sepkit.arrays import Samples


class Fifo:
    """Blocks [..., time] as one signal; `len` is the time that waits."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self._empty: Samples | None = None
        self._time = 0

    def __len__(self) -> int:
        return self._time

    @property
    def touched(self) -> bool:
        """True once a block was put in, even one without samples."""
        return self._empty is not None

    def put(self, block: "Samples") -> None:
        """Add `block` [..., time] at the end."""
        self._empty = block[..., :0]
        self._blocks.append(block)
        self._time += block.shape[-1]

    def take(self, time: int) -> "Samples":
        """Remove and return the first `time` samples, fewer if fewer wait; they may be a view of the block.

        Some block must have been put in.
        """
        assert self._empty is not None
        time = min(time, self._time)
        self._time -= time
        taken = [self._empty]
        while time:
            block = self._blocks.popleft()
            taken.append(block[..., :time])
            if block.shape[-1] > time:
                self._blocks.appendleft(block[..., time:])
            time -= taken[-1].shape[-1]
        return taken[-1] if len(taken) <= 2 else np.concatenate(taken, -1)  # a part of one block needs no copy
