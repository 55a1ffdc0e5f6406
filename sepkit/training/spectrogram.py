"""Spectrograms as small pictures: the power of an STFT in dB, low frequencies at the bottom, in colour."""

from math import log2

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

_HEIGHT, _WIDTH = 384, 512
_WINDOW_SECONDS = 0.046  # long enough to separate the partials of a voice: 2048 samples at 44.1 kHz
_RANGE_DB = 80.0


def power(sound: Tensor, sample_rate: int) -> Tensor:
    """Return the power of a sound [channel, time], the mean of its channels, as [bin, frame], low frequencies first.

    It is at most as large as a picture: of bins and frames that fall together the loudest is kept, so that thin lines
    stay bright. A long sound is sampled, with at most some 2048 windows.
    """
    n_fft = int(2 ** round(log2(_WINDOW_SECONDS * sample_rate)))
    hop = max(n_fft // 4, sound.shape[-1] // 2048)
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(sound, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    strength = (spectrum.abs() / window.sum()).square().mean(0)
    height, width = min(strength.shape[0], _HEIGHT), min(strength.shape[1], _WIDTH)
    return adaptive_max_pool2d(strength[None], (height, width))[0]


def picture(strength: Tensor, loudest: float) -> Tensor:
    """Return powers [bin, frame] as bytes [3, height, width], from black at 80 dB below `loudest` to the brightest."""
    from matplotlib import colormaps

    decibels = 10 * torch.log10(strength.clamp_min(1e-20) / max(loudest, 1e-12))
    shade = (1 + decibels / _RANGE_DB).clamp(0, 1)
    colours = colormaps["magma"](shade.flip(0).numpy(), bytes=True)[..., :3]
    return torch.from_numpy(colours.copy()).permute(2, 0, 1)
