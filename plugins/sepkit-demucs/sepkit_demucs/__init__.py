"""Hybrid Transformer Demucs as a sepkit model, and the weights that its authors have published."""

from sepkit import ModelConfig, Pretrained, hookimpl
from sepkit_demucs.htdemucs import HTDemucs
from sepkit_demucs.published import PUBLISHED


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """Hybrid Transformer Demucs."""
    return [HTDemucs]


@hookimpl
def sepkit_pretrained() -> list[Pretrained]:
    """Return htdemucs, htdemucs_ft and htdemucs_6s."""
    return list(PUBLISHED)
