"""Signals for tests of metrics: references, estimates of them, and the mixture."""

import numpy as np

RATE = 4000


def signals(seed, seconds=3.3, sources=2, channels=2):
    """Return noises, all [source, channel, time], and their sum; estimates have leaks, another colour, and noise."""
    rng = np.random.default_rng(seed)
    shape = sources, channels, round(seconds * RATE)
    references = (rng.uniform(0.1, 1, (sources, 1, 1)) * rng.standard_normal(shape)).astype(np.float32)
    mixture = references.sum(0)
    coloured = 0.9 * references + 0.1 * np.roll(references, 3, -1)
    leaks = rng.uniform(0, 0.3) * (mixture - references)
    noise = rng.uniform(0.01, 0.3) * rng.standard_normal(shape)
    return (coloured + leaks + noise).astype(np.float32), references, mixture
