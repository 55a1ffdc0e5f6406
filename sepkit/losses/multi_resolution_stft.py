"""Spectral convergence and L1 of log magnitudes, at several resolutions.

Both terms: S. O. Arik, H. Jun, G. Diamos, "Fast spectrogram inversion using multi-head convolutional neural networks",
IEEE Signal Processing Letters 26(1), 2019. Their mean over resolutions: R. Yamamoto, E. Song, J.-M. Kim, "Parallel
WaveGAN", ICASSP 2020. Here each chunk has a convergence of its own, and both terms have floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sepkit.component import AudioSpec, Loss, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


class MultiResolutionSTFT(LossConfig):
    """Mean over FFT sizes of two terms on magnitudes E of the estimate and T of the target: blind to phase.

    Spectral convergence is |E - T| / |T| with Frobenius norms over the channels, frequencies and frames of a chunk: a
    ratio, ruled by its loud parts. The other term is the mean of |ln(E + floor) - ln(T + floor)|: nepers, in which
    quiet and loud count alike. A silent target has neither a ratio nor a logarithm, so each term has its floor.
    """

    name: Literal["multi_resolution_stft"] = "multi_resolution_stft"
    n_ffts: tuple[Annotated[int, Field(ge=16)], ...] = Field(
        default=(512, 1024, 2048), min_length=1, description="lengths of the STFT windows in samples"
    )
    hop_share: float = Field(default=0.25, gt=0, le=1, description="hop as a share of each FFT size")
    convergence_weight: float = Field(default=1.0, ge=0, description="factor of the spectral convergence")
    log_weight: float = Field(default=1.0, ge=0, description="factor of the L1 of log magnitudes")
    level_floor: float = Field(
        default=0.01, ge=1e-7, description="a target whose RMS is lower has this one in the spectral convergence"
    )
    magnitude_floor: float = Field(
        default=1e-4, ge=1e-7, description="added to magnitudes before the logarithm; much lower ones cost nothing"
    )

    def build(self, audio: AudioSpec) -> Loss:
        """Return the loss on waveforms [batch, source, channel, time]."""
        import torch
        from torch.linalg import vector_norm

        from sepkit.losses.chunks import as_chunks
        from sepkit.losses.magnitude import magnitude

        def at_resolution(n_fft: int, signals: tuple[Tensor, Tensor]) -> Tensor:
            hop_length = max(1, round(n_fft * self.hop_share))
            found, wanted = (magnitude(signal, n_fft, hop_length).flatten(1) for signal in signals)
            logs = ((found + self.magnitude_floor).log() - (wanted + self.magnitude_floor).log()).abs().mean()
            least = self.level_floor * wanted.shape[1] ** 0.5
            convergence = vector_norm(found - wanted, dim=1) / vector_norm(wanted, dim=1).clamp(min=least)
            terms: Tensor = self.convergence_weight * convergence.mean() + self.log_weight * logs
            return terms

        def loss(estimate: Tensor, target: Tensor) -> Tensor:
            signals = as_chunks(estimate, target)
            return torch.stack([at_resolution(n_fft, signals) for n_fft in self.n_ffts]).mean()

        return loss
