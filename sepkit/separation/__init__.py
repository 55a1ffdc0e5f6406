"""A song of any length and rate becomes stems that add up to it."""

from sepkit.separation.separator import Separator

__all__ = ["Separator"]
