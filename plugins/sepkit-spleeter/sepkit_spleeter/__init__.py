"""Spleeter's U-Nets as a sepkit model, and the weights that its authors have published."""

from sepkit import ModelConfig, Pretrained, hookimpl
from sepkit_spleeter.published import PUBLISHED
from sepkit_spleeter.spleeter_unet import SpleeterUNet


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """Return the U-Nets."""
    return [SpleeterUNet]


@hookimpl
def sepkit_pretrained() -> list[Pretrained]:
    """Return spleeter, spleeter_4stems and spleeter_5stems."""
    return list(PUBLISHED)
