"""torchaudio's separation networks as sepkit models."""

from sepkit import ModelConfig, hookimpl
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """Hybrid Demucs and Conv-TasNet."""
    return [HDemucs, ConvTasNet]
