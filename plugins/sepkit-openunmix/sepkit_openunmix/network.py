"""The networks of the package `openunmix` between a transform and its inverse: B batch, S sources, C channels, F bins,
T frames.

Each source has a network from the magnitude of the mixture [B, C, F, T] to a mask on it. The phase is that of the
mixture, or, outside of training and if asked for, what the multichannel Wiener filter of `openunmix` makes of all
estimates.
"""

from __future__ import annotations

import torch
from openunmix.filtering import wiener
from openunmix.model import OpenUnmix as Network
from openunmix.utils import bandwidth_to_max_bin
from torch import Tensor, nn
from torch.nn import functional

from sepkit import AudioSpec
from sepkit_openunmix.openunmix import OpenUnmix
from sepkit_openunmix.wiener import WIENER_FRAMES

_NEXT_TO_NOTHING = 1e-20


class OpenUnmixModule(nn.Module):
    """STFT, mask network, phase, inverse STFT: [B, C, time] -> [B, S, C, time]."""

    window: Tensor

    def __init__(self, config: OpenUnmix, audio: AudioSpec, n_fft: int, hop_length: int) -> None:
        """`n_fft` and `hop_length` are those of the STFT in samples, which may run at another rate."""
        super().__init__()
        self.size = n_fft, hop_length
        self.niter = config.niter
        # A longer window sums up more samples.
        self.loudness = config.n_fft / n_fft
        self.extension_bins = config.extension_bins(audio)
        self.mask_network = MaskNetwork(config, audio)
        # Wherever the weights are: on the device "meta", on which names and shapes are looked up, a window imports
        # PyTorch's compiler, which is slow.
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [B, C, time] of any length into [B, S, C, time]."""
        spectrum = self._analyse(mixture)
        estimates = self.band_masks(spectrum.abs()) * spectrum[:, None]
        if self.niter and not self.training:
            estimates = torch.stack([self._filtered(*pair) for pair in zip(estimates, spectrum, strict=True)])
        # One source after the other: the frames of all would be the most that is in memory.
        return torch.stack([self._synthesise(source)[..., : mixture.shape[-1]] for source in estimates.unbind(1)], 1)

    def _analyse(self, signal: Tensor) -> Tensor:
        """[B, C, time] -> [B, C, F, T], filled up to whole hops, or a frame that ends there would be all of its end."""
        filled = functional.pad(signal.float(), (0, -signal.shape[-1] % self.size[1]))
        spectrum = torch.stft(
            filled.flatten(0, 1), *self.size, window=self.window, pad_mode="constant", return_complex=True
        )
        split: Tensor = spectrum.unflatten(0, signal.shape[:2])
        return split

    def _synthesise(self, spectrum: Tensor) -> Tensor:
        signal = torch.istft(spectrum.flatten(0, 1), *self.size, window=self.window)
        split: Tensor = signal.unflatten(0, spectrum.shape[:2])
        return split

    def band_masks(self, magnitude: Tensor) -> Tensor:
        """Return the masks [B, S, C, n_fft / 2 + 1, T] of any STFT size for a magnitude [B, C, n_fft / 2 + 1, T]."""
        bins, known, channels = magnitude.shape[2], self.mask_network.bins, magnitude.shape[1]
        if self.mask_network.channels == 1:
            magnitude = magnitude.mean(1, keepdim=True)
        band = functional.pad(magnitude * self.loudness, (0, 0, 0, max(0, known - bins)))[:, :, :known]
        masks: Tensor = self.mask_network(band.contiguous())
        if bins > known:
            top = masks[:, :, :, -self.extension_bins :].mean(3, keepdim=True)
            masks = torch.cat([masks, top.expand(-1, -1, -1, bins - known, -1)], 3)
        return masks[:, :, :, :bins].expand(-1, -1, channels, -1, -1)

    def _filtered(self, estimates: Tensor, spectrum: Tensor) -> Tensor:
        """Estimates [S, C, F, T] of one example and its mixture [C, F, T] -> estimates [S, C, F, T]."""
        magnitudes = estimates.abs().permute(3, 2, 1, 0)
        # The package takes each exact zero of the mixture for a one, which its residual then holds.
        mixture = torch.view_as_real(
            torch.where(spectrum == 0, _NEXT_TO_NOTHING, spectrum).permute(2, 1, 0).contiguous()
        )
        parts = [
            wiener(some, mixed, self.niter, residual=len(estimates) == 1)  # EM takes no source for itself
            for some, mixed in zip(magnitudes.split(WIENER_FRAMES), mixture.split(WIENER_FRAMES), strict=True)
        ]
        filtered = torch.cat(parts)[..., : len(estimates)]  # [T, F, C, real and imaginary, S]
        return torch.view_as_complex(filtered.permute(4, 2, 1, 0, 3).contiguous())


class MaskNetwork(nn.Module):
    """Magnitude [B, C, F, T] -> masks [B, S, C, F, T]; no STFT, so it can be exported alone."""

    def __init__(self, config: OpenUnmix, audio: AudioSpec) -> None:
        super().__init__()
        self.bins = config.n_fft // 2 + 1
        self.channels = audio.channels
        max_bin = int(bandwidth_to_max_bin(audio.sample_rate, config.n_fft, config.bandwidth))
        self.targets = nn.ModuleList(
            Target(self.bins, audio.channels, config.hidden, config.layers, config.unidirectional, max_bin=max_bin)
            for _ in audio.sources
        )

    def forward(self, magnitude: Tensor) -> Tensor:
        """Return the masks, which are not negative, and may be above one."""
        return torch.stack([target(magnitude) for target in self.targets], 1)


class Target(Network):  # type: ignore[misc]  # the package has no types
    """The network of one source, which gives its mask.

    That of the package gives the mask times the mixture, and exported it takes one number of frames alone.
    """

    def forward(self, magnitude: Tensor) -> Tensor:
        """Magnitude [B, C, F, T] -> mask [B, C, F, T]."""
        inputs = magnitude.permute(3, 0, 1, 2)[..., : self.nb_bins]
        x = ((inputs + self.input_mean) * self.input_scale).flatten(2)
        x = torch.tanh(_normed(self.bn1, self.fc1(x)))
        x = torch.cat([x, self.lstm(x)[0]], -1)
        x = functional.relu(_normed(self.bn2, self.fc2(x)))
        x = _normed(self.bn3, self.fc3(x)).unflatten(-1, (-1, self.nb_output_bins))
        mask: Tensor = functional.relu(x * self.output_scale + self.output_mean)
        return mask.permute(1, 2, 3, 0)


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    """[T, B, feature] -> the same, each feature normalised."""
    normed: Tensor = norm(x.transpose(1, 2))
    return normed.transpose(1, 2)
