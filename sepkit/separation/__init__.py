"""Signals alone: blocks of a song in, blocks of its stems out. No path, no file, no tag.

`Separator`, which users import from here, knows files as well and is at home in `sepkit.songs`: this is the one import
against the order of the rooms.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sepkit.songs.separator import Separator

__all__ = ["Separator"]


def __getattr__(name: str) -> object:
    """Return `Separator` (PEP 562)."""
    if name in __all__:
        return getattr(import_module("sepkit.songs.separator"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
