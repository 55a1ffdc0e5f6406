"""The networks of the package `demucs` in sepkit's shapes: [batch, channel, time] of any length -> [batch, source,
channel, time].
"""

from __future__ import annotations

from typing import cast

import torch
from demucs.htdemucs import HTDemucs as Network
from torch import Tensor, nn
from torch.nn import functional

from sepkit import AudioSpec
from sepkit_demucs.htdemucs import HTDemucs


class HTDemucsModule(nn.Module):
    """One network for all sources, or one for each of them.

    The package's own handling of the training length is left out: in training it would take the length of each batch
    for it, and a network would separate otherwise for what it was last trained with.
    """

    def __init__(self, config: HTDemucs, audio: AudioSpec) -> None:
        super().__init__()
        self.trained_time = round(config.segment * audio.sample_rate)
        self.shortest = 2 * config.n_fft
        count = len(audio.sources) if config.specialists else 1
        self.networks = nn.ModuleList(_network(config, audio) for _ in range(count))

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate [batch, channel, time]."""
        time = mixture.shape[-1]
        needed = self.shortest if self.training else max(self.shortest, self.trained_time)
        filled = functional.pad(mixture.float(), (0, max(0, needed - time)))
        if len(self.networks) == 1:
            return cast("Tensor", self.networks[0](filled))[..., :time]
        return torch.stack([network(filled)[:, i, :, :time] for i, network in enumerate(self.networks)], 1)


def _network(config: HTDemucs, audio: AudioSpec) -> nn.Module:
    return cast(
        "nn.Module",
        Network(
            list(audio.sources),
            audio_channels=audio.channels,
            channels=config.channels,
            nfft=config.n_fft,
            dconv_mode=3,
            bottom_channels=config.bottleneck,
            t_layers=config.layers,
            t_heads=config.heads,
            t_dropout=config.dropout,
            samplerate=audio.sample_rate,
            segment=config.segment,
            use_train_segment=False,
        ),
    )
