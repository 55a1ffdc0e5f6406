"""The spectral fronts of the broken models, for their network `Masked`."""

import numpy as np


class Front:
    """Blocks of 16 samples as rows of a spectrum."""

    def __init__(self, sources, gain=1.0):
        self.sources, self.gain = sources, np.float32(gain)

    def __call__(self, mixture, mask_network):
        padded = np.pad(mixture, ((0, 0), (0, 0), (0, -mixture.shape[-1] % 16)))
        rows = padded.reshape(*padded.shape[:2], -1, 16).swapaxes(-1, -2)
        masked = (rows * mask_network(rows)).swapaxes(-1, -2).reshape(padded.shape)[..., : mixture.shape[-1]]
        return np.repeat(masked[:, None] * self.gain, self.sources, 1)


class Scribbling(Front):
    def __call__(self, mixture, mask_network):
        estimates = super().__call__(mixture, mask_network)
        mixture *= 0
        return estimates
