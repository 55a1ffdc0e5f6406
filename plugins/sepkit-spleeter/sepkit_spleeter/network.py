"""Spleeter's U-Nets between a transform and its inverse: B batch, S sources, C channels, F bins, T frames.

Each source has a U-Net from the magnitudes of the mixture [B, C, F, T], those of `torch.stft` without a scale, to the
part of them that is its own. Outside of training the masks share out the energy: of magnitudes s_i they are
(s_i^2 + 1e-10 / S) / (sum_j s_j^2 + 1e-10). The phase is that of the mixture.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sepkit import AudioSpec
from sepkit.models.stft import magnitudes, masked
from sepkit_spleeter.spleeter_unet import SpleeterUNet

_EPSILON = 1e-10
# Squares of magnitudes within these keep the masks finite; -140 dB and 40 dB of full scale are about these.
_LEAST, _MOST = 1e-20, 1e10


class SpleeterModule(nn.Module):
    """STFT, mask networks, masks applied to each channel, inverse STFT: [B, C, time] -> [B, S, C, time]."""

    window: Tensor

    def __init__(self, config: SpleeterUNet, audio: AudioSpec, n_fft: int, hop_length: int) -> None:
        """`n_fft` and `hop_length` are those of the STFT in samples, which may run at another rate."""
        super().__init__()
        self.hop_length = hop_length
        # A longer window sums up more samples.
        self.loudness = config.n_fft / n_fft
        self.extension_bins = config.extension_bins(audio)
        self.mask_network = MaskNetwork(config, audio)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [B, C, time] of any length into [B, S, C, time]."""
        magnitude = magnitudes(mixture, self.window, self.hop_length).transpose(2, 3)
        masks = self.channel_masks(magnitude).transpose(3, 4).contiguous()
        return masked(mixture[:, None], masks, self.window, self.hop_length)

    def channel_masks(self, magnitude: Tensor) -> Tensor:
        """Return `band_masks` for any number of channels: one by one where it is not the trained number."""
        if magnitude.shape[1] == self.mask_network.channels:
            return self.band_masks(magnitude)
        alone = magnitude.flatten(0, 1)[:, None].expand(-1, self.mask_network.channels, -1, -1)
        masks: Tensor = self.band_masks(alone).mean(2).unflatten(0, magnitude.shape[:2])
        return masks.transpose(1, 2)

    def band_masks(self, magnitude: Tensor) -> Tensor:
        """Return the masks [B, S, C, n_fft / 2 + 1, T] of any STFT size for magnitudes [B, C, n_fft / 2 + 1, T]."""
        bins, known = magnitude.shape[2], self.mask_network.bins
        inputs = functional.pad(magnitude * self.loudness, (0, 0, 0, max(0, known - bins)))[:, :, :known]
        masks = self.mask_network(inputs.contiguous()).to(magnitude.dtype)
        above = (*masks.shape[:3], max(0, bins - known), masks.shape[4])
        if self.extension_bins:
            top = _squared_shares(masks[:, :, :, -self.extension_bins :].mean(3, keepdim=True)).expand(above)
        else:
            top = masks.new_zeros(above)
        return torch.cat([masks[:, :, :, :bins], top], 3)


class MaskNetwork(nn.Module):
    """Magnitudes [B, C, F, T] -> masks [B, S, C, F, T]; no STFT, so it can be exported alone."""

    def __init__(self, config: SpleeterUNet, audio: AudioSpec) -> None:
        super().__init__()
        self.bins, self.channels = config.bins, audio.channels
        self.halvings = 2 ** len(config.filters)
        self.is_softmax = config.output == "softmax"
        self.sources = nn.ModuleList(UNet(config, audio.channels) for _ in audio.sources)

    def forward(self, magnitude: Tensor) -> Tensor:
        """Return the masks; the frames are filled up to what can be halved in each layer, and cut again."""
        frames = magnitude.shape[-1]
        filled = functional.pad(magnitude, (0, -frames % self.halvings))
        logits = torch.stack([unet(filled) for unet in self.sources], 1)[..., :frames]
        if self.is_softmax:
            shares = torch.softmax(logits, 1)
        elif self.training or len(self.sources) == 1:
            return torch.sigmoid(logits)
        else:  # shares far below one are compared with each other, and the sigmoid of ONNX Runtime rounds them to 1e-8
            shares = 1 / (1 + torch.exp(-logits))
        return shares if self.training else _of_energy(shares, magnitude)


class UNet(nn.Module):
    """Magnitudes [B, C, F, T] -> logits of the same shape, for one source."""

    def __init__(self, config: SpleeterUNet, channels: int) -> None:
        super().__init__()
        elu = config.activation == "elu"
        self.fall: nn.Module = nn.ELU() if elu else nn.LeakyReLU(0.2)
        self.rise: nn.Module = nn.ELU() if elu else nn.ReLU()
        down = (channels, *config.filters)
        self.convolutions = nn.ModuleList(nn.Conv2d(*pair, 5, 2) for pair in pairwise(down))
        self.norms = nn.ModuleList(_norm(width) for width in config.filters[:-1])
        up = (*reversed(config.filters[:-1]), 1)
        inputs = (config.filters[-1], *(2 * width for width in up[:-1]))
        self.transposed = nn.ModuleList(
            nn.ConvTranspose2d(*pair, 5, 2, padding=1) for pair in zip(inputs, up, strict=True)
        )
        self.transposed_norms = nn.ModuleList(_norm(width) for width in up)
        self.dropout = nn.Dropout(config.dropout)
        self.last = nn.Conv2d(1, channels, 4, dilation=2, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Halve bins and frames with each layer of the encoder, and double them with each of the decoder.

        Encoder layers hand over what they have convolved, before norm and activation. TensorFlow pads for a stride of
        two after the end first: a row before, two after; and so doubling leaves out the last row and column.
        """
        skips: list[Tensor] = []
        for convolution in self.convolutions:
            if skips:
                x = self.fall(self.norms[len(skips) - 1](skips[-1]))
            skips.append(convolution(functional.pad(x, (1, 2, 1, 2))))
        x = skips.pop()
        for number, (doubling, norm) in enumerate(zip(self.transposed, self.transposed_norms, strict=True)):
            if number:
                x = torch.cat([skips.pop(), x], 1)
            x = norm(self.rise(doubling(x)[:, :, :-1, :-1]))
            x = self.dropout(x) if number < 3 else x
        logits: Tensor = self.last(x)
        return logits


def _squared_shares(shares: Tensor) -> Tensor:
    """Shares of a whole, [B, source, ...] -> those of their squares, so that the larger ones grow.

    What they leave of the whole is a share, too. Of the policies that were compared on real songs it was the best; see
    docs/results.md.
    """
    rest = (1 - sum(shares.split(1, 1))).clamp(min=0)
    squared: Tensor = shares.square() / (sum(shares.square().split(1, 1)) + rest.square())
    return squared


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


def _of_energy(shares: Tensor, magnitude: Tensor) -> Tensor:
    """Shares m_i [B, S, C, F, T] of magnitudes x -> the masks of s_i = m_i x. It is divided by x^2, which may be 0."""
    energies = shares.square()
    epsilon = _EPSILON / magnitude.square().clamp(_LEAST, _MOST)[:, None]
    masks: Tensor = (energies + epsilon / shares.shape[1]) / (sum(energies.split(1, 1)) + epsilon)
    return masks
