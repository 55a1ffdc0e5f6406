"""Sounds to test with: noise that is the same each time."""

import numpy as np

from sepkit.arrays import Samples


def noise(*shape: int, seed: int = 0, level: float = 0.1) -> "Samples":
    """Return normally distributed samples of any shape; `level` is their RMS."""
    samples: Samples = level * np.random.default_rng(seed).standard_normal(shape, np.float32)
    return samples
