"""The settings of Spleeter's U-Nets.

R. Hennequin, A. Khlif, F. Voituret, M. Moussallam, "Spleeter: a fast and efficient music source separation tool with
pre-trained models", Journal of Open Source Software 5(50), 2020. The network is that of A. Jansson et al., "Singing
voice separation with deep U-Net convolutional networks", ISMIR 2017, with other sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit import AudioSpec, ConfigError, ModelConfig

if TYPE_CHECKING:
    from torch import nn

    from sepkit.component import SpectralFront

EXTENSION_HZ = 4000.0
"""Width of the top of the band that the networks read; the masks above it follow the mean of theirs there."""


class SpleeterUNet(ModelConfig):
    """Spleeter: for each source a U-Net that estimates its magnitude, and masks that share out the energy."""

    name: Literal["spleeter_unet"] = "spleeter_unet"
    n_fft: int = Field(default=4096, ge=64, le=16384, multiple_of=2, description="length of the STFT window in samples")
    hop_length: int = Field(default=1024, ge=16, description="samples between STFT frames")
    bins: int = Field(default=1024, ge=2, description="STFT bins that the networks read, from 0 Hz on")
    filters: tuple[int, ...] = Field(
        default=(16, 32, 64, 128, 256, 512), min_length=2, description="of each layer of the encoder"
    )
    activation: Literal["relu", "elu"] = Field(
        default="relu", description="relu: leaky in the encoder, plain in the decoder; elu in both"
    )
    output: Literal["sigmoid", "softmax"] = Field(
        default="sigmoid", description="sigmoid: each source by itself; softmax: all sources share the mixture"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="in the first three layers of the decoder")
    above: Literal["extended", "zero"] = Field(
        default="extended", description="mask above the bins: follows the top of the mask, or is zero"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.bins > self.n_fft // 2 + 1 or self.bins % 2 ** len(self.filters):
            raise ValueError(
                f"bins must be a multiple of {2 ** len(self.filters)}, as each of {len(self.filters)} layers halves "
                f"them, and at most n_fft / 2 + 1 = {self.n_fft // 2 + 1}"
            )
        if min(self.filters) < 1:
            raise ValueError("filters must be at least 1")
        if self.hop_length > self.n_fft // 2:
            raise ValueError(f"hop_length must be at most n_fft / 2 = {self.n_fft // 2}, or samples get lost")
        return self

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time].

        Raises:
            ConfigError: one source alone cannot share the mixture.
        """
        from sepkit_spleeter.network import SpleeterModule

        if self.output == "softmax" and len(audio.sources) == 1:
            raise ConfigError('model.output = "softmax" shares the mixture between sources; name two, or use "sigmoid"')
        return SpleeterModule(self, audio, *self._stft_at(audio, audio))

    def full_band(self, trained: AudioSpec, wanted: AudioSpec) -> nn.Module:
        """Return the same weights behind an STFT of equal bins (Hz) and frames (s) at the wanted rate.

        Channels of another number than the trained one are masked one by one.
        """
        from sepkit_spleeter.network import SpleeterModule

        return SpleeterModule(self, trained, *self._stft_at(trained, wanted))

    def spectral_front(self, trained: AudioSpec, wanted: AudioSpec) -> SpectralFront:
        """Return the STFT, the extension of the masks to the wanted band, and the inverse STFT, in numpy."""
        from sepkit_spleeter.front import SpleeterFront

        n_fft, hop_length = self._stft_at(trained, wanted)
        top = self.extension_bins(trained)
        return SpleeterFront(n_fft, hop_length, self.bins, trained.channels, top, self.n_fft / n_fft)

    def adds_up(self, audio: AudioSpec) -> bool:
        """Return True for masks that are one together, at all frequencies."""
        return len(audio.sources) > 1 and self.above == "extended"

    def extension_bins(self, trained: AudioSpec) -> int:
        """Return how many bins are the top of the band, which the masks above follow; 0 if they are zero."""
        if self.above == "zero":
            return 0
        return min(self.bins, max(1, round(EXTENSION_HZ * self.n_fft / trained.sample_rate)))

    def _stft_at(self, trained: AudioSpec, wanted: AudioSpec) -> tuple[int, int]:
        """Return window and hop in samples at the wanted rate."""
        ratio = wanted.sample_rate / trained.sample_rate
        return 2 * round(self.n_fft * ratio / 2), round(self.hop_length * ratio)
