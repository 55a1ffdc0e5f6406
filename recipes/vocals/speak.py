"""Prompts of telephone exchanges, read in five languages by four speakers, three of them women, a minute each."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16000
SECONDS = 60.0
PIECES = 8
"""Of each speaker."""
LARGE = 8000
"""Bytes, a second, of a prompt that is more than a word."""


def prompts(sounds: Path, seed: int) -> list[tuple[str, list[Path]]]:
    """Return the name of each piece and its prompts, of all speakers in a folder of Debian's asterisk-core-sounds."""
    pieces = []
    for speaker in sorted(folder for folder in sounds.iterdir() if folder.is_dir() and not folder.is_symlink()):
        files = sorted(file for file in speaker.rglob("*.g722") if file.stat().st_size > LARGE)
        np.random.default_rng(seed).shuffle(files)
        pieces += [(f"{speaker.name}{number}", files[number::PIECES]) for number in range(PIECES)]
    return pieces


def joined(files: list[Path]) -> tuple[Samples, int]:
    """Return the first minute of prompts that follow each other, [time, 1], and its rate."""
    parts: list[Samples] = []
    for file in files:
        if sum(map(len, parts)) >= SECONDS * RATE:
            break
        with av.open(str(file), format="g722") as container:
            parts += [frame.to_ndarray()[0].astype(np.float32) / 2**15 for frame in container.decode(audio=0)]
    return np.concatenate(parts)[:, None], RATE
