"""What augmentations share that draw a number from between two limits."""

from typing import ClassVar, Self

from pydantic import model_validator

from sepkit.component import AugmentationConfig


class LimitedAugmentation(AugmentationConfig):
    """Base of the augmentations with a lower and an upper limit; subclasses set `limits` to the names of the two."""

    limits: ClassVar[tuple[str, str]]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.limits
        if getattr(self, low) > getattr(self, high):
            raise ValueError(f"{low} must not exceed {high}")
        return self
