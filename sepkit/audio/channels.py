"""Channel counts: down to mono, up from mono."""

import numpy as np

from sepkit.arrays import Samples


def to_channels(samples: "Samples", channels: int) -> "Samples":
    """[any, time] -> [channels, time]: unchanged if it has them, else the mean of all channels in each."""
    if samples.shape[0] == channels:
        return samples
    return np.repeat(samples.mean(0, keepdims=True, dtype=np.float32), channels, axis=0)
