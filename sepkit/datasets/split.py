"""Splits by name alone, so that a song keeps its split when others are added."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Literal

Split = Literal["train", "validation", "test"]


def hashed(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(sha256(name.encode()).digest()[:8]) / 2**64


def split_by_hash(names: Iterable[str], *, test: float = 0.1, validation: float = 0.1) -> dict[str, Split]:
    """Return the split of each name: about these shares of all names by their hash, and "train" for the others."""
    places = {name: hashed(name) for name in names}
    drawn: dict[str, Split] = {
        name: "test" if place < test else "validation" if place < test + validation else "train"
        for name, place in places.items()
    }
    known = [name for name, split in drawn.items() if split == "validation"]
    if known and "train" not in drawn.values():
        drawn[max(known, key=hashed)] = "train"
    return with_validation(drawn) if validation else drawn


def with_validation(splits: dict[str, Split]) -> dict[str, Split]:
    """Return the splits of the present songs, with one to validate on: if there is none, as in a small corpus or in a
    part of a known one, the training song with the lowest hash becomes it.
    """
    known = [name for name, split in splits.items() if split == "train"]
    if len(known) < 2 or "validation" in splits.values():
        return splits
    return splits | {min(known, key=hashed): "validation"}
