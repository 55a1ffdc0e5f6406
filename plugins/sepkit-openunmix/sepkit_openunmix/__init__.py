"""Open-Unmix as a sepkit model, and the weights that its authors have published."""

from sepkit import ModelConfig, Pretrained, hookimpl
from sepkit_openunmix.openunmix import OpenUnmix
from sepkit_openunmix.published import PUBLISHED


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """Open-Unmix."""
    return [OpenUnmix]


@hookimpl
def sepkit_pretrained() -> list[Pretrained]:
    """Return umxhq, umxl, umx and umxse."""
    return list(PUBLISHED)
