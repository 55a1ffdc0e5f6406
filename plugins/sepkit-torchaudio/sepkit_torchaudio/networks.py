"""torchaudio's networks in sepkit's shapes: [batch, channel, time] of any length -> [batch, source, channel, time]."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import ConvTasNet as TorchaudioConvTasNet
from torchaudio.models import HDemucs as TorchaudioHDemucs

from sepkit import AudioSpec
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs

# The only depths at which the waveform branch ends on as many frames as the spectrogram branch has.
_DEPTH = {1024: 5, 2048: 6, 4096: 6}


class HDemucsModule(nn.Module):
    """Hybrid Demucs behind padding: its STFT reflects at the edges and so needs some samples to reflect."""

    def __init__(self, config: HDemucs, audio: AudioSpec) -> None:
        super().__init__()
        self.shortest = 4 * config.nfft
        self.network = TorchaudioHDemucs(
            list(audio.sources), audio.channels, config.channels, nfft=config.nfft, depth=_DEPTH[config.nfft]
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [batch, channel, time]."""
        time = mixture.shape[-1]
        padded = functional.pad(mixture, (0, max(0, self.shortest - time)))
        estimates: Tensor = self.network(padded)
        return estimates[..., :time]


class ConvTasNetModule(nn.Module):
    """Conv-TasNet on each channel."""

    def __init__(self, config: ConvTasNet, audio: AudioSpec) -> None:
        super().__init__()
        self.shortest = config.kernel_size
        self.network = TorchaudioConvTasNet(
            num_sources=len(audio.sources),
            enc_kernel_size=config.kernel_size,
            enc_num_feats=config.features,
            msk_num_feats=config.bottleneck,
            msk_num_hidden_feats=config.hidden,
            msk_num_layers=config.layers,
            msk_num_stacks=config.stacks,
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [batch, channel, time]."""
        batch, channels, time = mixture.shape
        padded = functional.pad(mixture, (0, max(0, self.shortest - time)))
        estimates: Tensor = self.network(padded.flatten(0, 1)[:, None])
        return estimates.view(batch, channels, -1, estimates.shape[-1]).transpose(1, 2)[..., :time]
