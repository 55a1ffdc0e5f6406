"""torchaudio's separation networks as sepkit models, and its pretrained bundles."""

from sepkit import ModelConfig, Pretrained, hookimpl
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs
from sepkit_torchaudio.published import PUBLISHED


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """Hybrid Demucs and Conv-TasNet."""
    return [HDemucs, ConvTasNet]


@hookimpl
def sepkit_pretrained() -> list[Pretrained]:
    """Return torchaudio's bundles of separation, named as they are there, in lower case."""
    return list(PUBLISHED)
