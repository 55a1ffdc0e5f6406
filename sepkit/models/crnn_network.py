"""The CRNN: a spectrogram mask from a convolutional encoder, a bidirectional GRU and a transposed-CNN decoder.

Shapes: B batch, C audio channels, S sources, F bins of the mask network (n_fft / 2, the Nyquist bin left out), T STFT
frames. The mask network sees the magnitude of the mid signal, [B, 1, F, T], and estimates [B, S, F, T] in (0, 1).

The magnitude is scaled so that a full-scale sine is 1 at its bin for any n_fft. Therefore the same weights serve any
rate whose STFT has the same bins in Hz and the same frames in seconds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sepkit.component import AudioSpec
from sepkit.models.crnn import CRNN
from sepkit.models.gru import BidirectionalGRU
from sepkit.models.stft import magnitudes, masked

# Magnitudes below 1 / COMPRESSION (-60 dB of full scale) stay linear under log1p.
COMPRESSION = 1000.0


class CRNNModule(nn.Module):
    """STFT, mask network, mask applied to each channel, inverse STFT: [B, C, time] -> [B, S, C, time]."""

    window: Tensor

    def __init__(self, config: CRNN, audio: AudioSpec, n_fft: int, hop_length: int) -> None:
        """`n_fft` and `hop_length` are those of the STFT in samples, which may run at another rate."""
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.mask_network = MaskNetwork(config, len(audio.sources))
        self.extension_bins = config.extension_bins(audio)
        # Wherever the weights are: on the device "meta", on which names and shapes are looked up, a window imports
        # PyTorch's compiler, which is slow.
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [B, C, time] of any length into [B, S, C, time]."""
        hop = self.hop_length
        magnitude = magnitudes(mixture.mean(1), self.window, hop).transpose(1, 2)
        mask = self.band_mask(magnitude).transpose(2, 3).contiguous()
        # One channel after the other, as a song may have many.
        channels = [masked(channel[:, None], mask, self.window, hop) for channel in mixture.unbind(1)]
        return torch.stack(channels, 2)

    def band_mask(self, magnitude: Tensor) -> Tensor:
        """Return the mask [B, S, n_fft / 2 + 1, T] of any STFT size for an unscaled magnitude [B, n_fft / 2 + 1, T]."""
        bins = magnitude.shape[1]
        scaled = magnitude * (2.0 / self.n_fft * 2.0)
        band = functional.pad(scaled, (0, 0, 0, max(0, self.mask_network.bins - bins)))[:, : self.mask_network.bins]
        mask = self.mask_network(band[:, None].contiguous()).to(magnitude.dtype)
        above = max(0, bins - self.mask_network.bins)
        top = _as_share_of_energy(mask[:, :, -self.extension_bins :].mean(2, keepdim=True))
        return torch.cat([mask[:, :, :bins], top.expand(-1, -1, above, -1)], 2)


class MaskNetwork(nn.Module):
    """Magnitude [B, 1, F, T] -> mask [B, S, F, T]; no STFT, so it can be exported alone."""

    def __init__(self, config: CRNN, sources: int) -> None:
        super().__init__()
        self.bins = config.n_fft // 2
        self.time_stride = 1
        for stride in config.time_strides:
            self.time_stride *= stride
        self.scale = nn.BatchNorm1d(self.bins)
        self.encoder = nn.ModuleList(_encoder(config))
        narrow = self.bins
        for stride in config.frequency_strides:
            narrow //= stride
        width = config.channels[-1] * narrow
        self.project = nn.Sequential(nn.Linear(width, config.projection), nn.LayerNorm(config.projection), nn.ReLU())
        self.gru = BidirectionalGRU(
            config.projection, config.hidden, config.layers, config.dropout
        )  # fmt: skip
        self.expand = nn.Linear(2 * config.hidden, width)
        self.decoder = nn.ModuleList(_decoder(config, sources))

    def forward(self, magnitude: Tensor) -> Tensor:
        """Return the mask; the frames are padded to a multiple of the time stride and cut again."""
        frames = magnitude.shape[-1]
        x = torch.log1p(COMPRESSION * functional.pad(magnitude, (0, -frames % self.time_stride)))
        x = self.scale(x[:, 0])[:, None]
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        x = self._recurrent(x)
        for layer in self.decoder:
            x = layer(x + skips.pop())
        return torch.sigmoid(x)[..., :frames]

    def _recurrent(self, x: Tensor) -> Tensor:
        """[B, channel, frequency, T] -> the same: frequency folded into features, the GRU along time."""
        features = x.flatten(1, 2).transpose(1, 2)
        states = self.gru(self.project(features))
        expanded: Tensor = self.expand(states)
        return expanded.transpose(1, 2).reshape(x.shape)


def _as_share_of_energy(mask: Tensor) -> Tensor:
    """Turn a share of magnitudes into the share of energies that follows from it.

    Of the policies that were compared on real songs it was the best for the target; see docs/results.md.
    """
    return mask.square() / (mask.square() + (1 - mask).square())


def _encoder(config: CRNN) -> list[nn.Module]:
    widths = (1, *config.channels)
    return [
        nn.Sequential(
            nn.Conv2d(widths[i], widths[i + 1], **shape, bias=False), nn.BatchNorm2d(widths[i + 1]), nn.ReLU()
        )
        for i, shape in enumerate(_shapes(config))
    ]


def _decoder(config: CRNN, sources: int) -> list[nn.Module]:
    widths = (sources, *config.channels)
    first, *inner = enumerate(_shapes(config))
    layers: list[nn.Module] = [
        nn.Sequential(
            nn.ConvTranspose2d(widths[i + 1], widths[i], **shape, bias=False), nn.BatchNorm2d(widths[i]), nn.ReLU()
        )
        for i, shape in reversed(inner)
    ]
    return [*layers, nn.ConvTranspose2d(widths[1], sources, **first[1])]


def _shapes(config: CRNN) -> list[dict[str, Any]]:
    """Kernels two wider than their stride, padded by one: a layer divides its input exactly by its stride, or back."""
    strides = zip(config.frequency_strides, config.time_strides, strict=True)
    return [{"kernel_size": (f + 2, t + 2), "stride": (f, t), "padding": 1} for f, t in strides]
