"""Floor and ceiling: estimates to score beside those of a model, so that its scores have a scale.

The floor is the mixture as it is. The ceilings are made from the references: an ideal ratio mask at the resolution of
the model, which is what a mask with the phase of the mixture may hope for, and the references through the rate and the
channels of the model. The mask is that of magnitudes, the Wiener filter with an exponent of 1 of A. Liutkus,
R. Badeau, "Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.audio.resample import resample
from sepkit.component import AudioSpec, ModelConfig
from sepkit.models.crnn import CRNN
from sepkit.models.spectrum import Transform

if TYPE_CHECKING:
    from sepkit.models.spectrum import Spectra

_LEAST = np.finfo(np.float32).tiny
BLOCK = 2**19
"""Samples that are masked at once, and as they are in the whole: the spectra of a song would fill the memory."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A reference for scores that no model made.

    Attributes:
        label: Its name, with the figures of the model.
        estimate: (references [source, channel, time], mixture [channel, time], sample rate in Hz) -> estimates
            [source, channel, time]. The references add up to the mixture.
    """

    label: str
    estimate: Callable[[Samples, Samples, int], Samples]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Window and hop in samples of an STFT at a rate in Hz."""

    n_fft: int
    hop_length: int
    sample_rate: int

    @classmethod
    def of(cls, model: ModelConfig | None, audio: AudioSpec) -> Resolution:
        """Return that of a model, or of the CRNN's defaults for one that states no `n_fft` and `hop_length`."""
        n_fft, hop_length = getattr(model, "n_fft", None), getattr(model, "hop_length", None)
        if isinstance(n_fft, int) and isinstance(hop_length, int):
            return cls(n_fft, hop_length, audio.sample_rate)
        return cls(CRNN().n_fft, CRNN().hop_length, AudioSpec().sample_rate)

    def at(self, sample_rate: int) -> Resolution:
        """Return the same bins in Hz and the same frames in seconds at another rate, as `CRNN.full_band` has them."""
        factor = sample_rate / self.sample_rate
        n_fft, hop_length = 2 * round(self.n_fft * factor / 2), round(self.hop_length * factor)
        return Resolution(max(2, n_fft), max(1, hop_length), sample_rate)

    def __str__(self) -> str:
        return f"{1000 * self.n_fft / self.sample_rate:.0f} ms"


def bounds_of(model: ModelConfig | None, audio: AudioSpec) -> tuple[Bound, ...]:
    """Return floor and ceilings for a model with signals `audio`; `model` is None if unknown."""
    resolution = Resolution.of(model, audio)
    channels = {1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
    return (
        Bound("mixture", mixture_itself),
        Bound(f"ideal ratio mask ({resolution})", partial(ideal_ratio_mask, resolution=resolution)),
        Bound(f"{audio.sample_rate} Hz {channels}", partial(through, audio=audio)),
    )


def mixture_itself(references: Samples, mixture: Samples, sample_rate: int) -> Samples:
    """Return the mixture [channel, time] as the estimate of each reference, [source, channel, time]."""
    estimates: Samples = np.broadcast_to(mixture, references.shape)
    return estimates


def ideal_ratio_mask(references: Samples, mixture: Samples, sample_rate: int, resolution: Resolution) -> Samples:
    """Return the mixture times |S_i| / sum_j |S_j| in each channel, [source, channel, time].

    `references` are [source, channel, time], `mixture` is [channel, time]; S are STFTs of the given resolution.
    """
    size = resolution.at(sample_rate)
    time = mixture.shape[-1]
    step, margin = (size.hop_length * -(-length // size.hop_length) for length in (BLOCK, size.n_fft))
    estimates = np.empty_like(references)
    for start in range(0, time, step):
        first, last = max(0, start - margin), min(time, start + step + margin)
        for channel, mixed in enumerate(mixture[:, first:last]):
            estimate = _ideal(references[:, channel, first:last], mixed, size)
            estimates[:, channel, start : start + step] = estimate[:, start - first :][:, :step]
    return estimates


def _ideal(references: Samples, mixture: Samples, size: Resolution) -> Samples:
    """[source, time], [time] -> [source, time]"""

    def masked(_: slice, spectra: Spectra) -> Spectra:
        true = np.abs(spectra[:-1])
        estimates: Spectra = true / true.sum(0).clip(min=_LEAST) * spectra[-1]
        return estimates

    everything = np.concatenate([references, mixture[None]])
    return Transform(size.n_fft, size.hop_length).filtered(everything, masked)


def through(references: Samples, mixture: Samples, sample_rate: int, audio: AudioSpec) -> Samples:
    """Return the references [source, channel, time] at the rate and channels of `audio`, and back."""
    _, channels, time = references.shape
    estimates = np.empty_like(references)
    for source, reference in enumerate(references):
        reduced = resample(to_channels(reference, audio.channels), sample_rate, audio.sample_rate)
        estimates[source] = to_channels(resample(reduced, audio.sample_rate, sample_rate)[:, :time], channels)
    return estimates
