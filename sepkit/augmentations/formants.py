"""Random formants of each source, at the same pitch.

The spectral envelope of a frame is what is left of its logarithmic magnitude when the cepstrum is cut off below the
period of a voice (A. V. Oppenheim, R. W. Schafer, "Homomorphic Analysis of Speech", IEEE Trans. Audio 1968). Each bin
gets the gain from the envelope to the same one, warped along the frequency; phases stay, so the pitch does.
"""

from __future__ import annotations

from math import log, log2
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import SourceAugmentation, log_uniform

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

WINDOW_SECONDS = 0.046
OVERLAP = 4
CUTOFF_SECONDS = 0.0012
"""Of the cepstrum: harmonics of voices up to 800 Hz are no part of the envelope."""
LARGEST_GAIN = log(10)
"""20 dB: valleys of an envelope are not filled with noise."""
QUIETEST = 1e-5
"""Magnitude, of a full-scale sine, under which an envelope is flat."""


class Formants(SourceAugmentation):
    """The formants of each source, times a factor that is log-uniform; the mixture becomes the sum.

    Pitch and energy of a source stay. With `speed` before it, pitch and formants move independently: a speed of 1.7 and
    then a factor of 0.7 raise a voice by nine semitones and its formants by 19 %, as from a man to a woman.
    """

    limits = ("low_factor", "high_factor")
    name: Literal["formants"] = "formants"
    low_factor: float = Field(default=0.8, ge=0.5, le=2, description="lowest factor; below 1 is a larger singer")
    high_factor: float = Field(default=1.25, ge=0.5, le=2, description="highest factor; above 1 is a smaller singer")

    def change_source(self, source: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return the source with other formants."""
        import numpy as np
        import torch

        factor = log_uniform(self.low_factor, self.high_factor, rng)
        time, window = source.shape[-1], 2 ** round(log2(WINDOW_SECONDS * sample_rate))
        padded = np.pad(source, ((0, 0), (window, window)), mode="symmetric")
        settings = {"n_fft": window, "hop_length": window // OVERLAP, "window": torch.hann_window(window)}
        spectrum = torch.stft(torch.from_numpy(padded), **settings, pad_mode="constant", return_complex=True)
        envelope = _envelope(spectrum.abs(), round(CUTOFF_SECONDS * sample_rate))
        gain = (_warped(envelope, factor) - envelope).clamp(-LARGEST_GAIN, LARGEST_GAIN).exp()
        changed = torch.istft(spectrum * gain, **settings, length=padded.shape[-1]).numpy()[:, window : window + time]
        energy, before = float((changed**2).sum()), float((source**2).sum())
        scaled: Samples = changed * np.float32((before / energy) ** 0.5) if energy else changed.copy()
        return scaled


def _envelope(magnitude: Tensor, cutoff: int) -> Tensor:
    """[channel, bin, frame] -> the same: the logarithm of the magnitude, smoothed along the bins."""
    import torch

    window = 2 * (magnitude.shape[1] - 1)
    cepstrum = torch.fft.irfft((magnitude + QUIETEST * window / 4).log(), window, dim=1)
    cepstrum[:, cutoff + 1 : window - cutoff] = 0
    smoothed: Tensor = torch.fft.rfft(cepstrum, dim=1).real
    return smoothed


def _warped(envelope: Tensor, factor: float) -> Tensor:
    """Return the envelope [channel, bin, frame] with all frequencies times `factor`."""
    import torch

    last = envelope.shape[1] - 1
    places = (torch.arange(last + 1) / factor).clamp(max=last)
    below = places.long().clamp(max=last - 1)
    return envelope[:, below].lerp(envelope[:, below + 1], (places - below)[:, None])
