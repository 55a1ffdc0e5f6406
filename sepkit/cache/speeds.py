"""Speeds of models on this machine: seconds of audio a second, as measured last."""

from contextlib import suppress
from pathlib import Path

from sepkit.atomic import write_text
from sepkit.cache.folder import cache_folder
from sepkit.errors import CacheError


def note_speed(checksum: str, speed: float) -> None:
    """Keep the speed of the model with this checksum; do nothing if the cache cannot be written."""
    with suppress(CacheError, OSError):
        path = _path(checksum)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, f"{speed:.3g}")


def speed_of(checksum: str) -> float | None:
    """Return the speed of the model with this checksum, or None if none was measured."""
    try:
        return float(_path(checksum).read_text())
    except (CacheError, OSError, ValueError):
        return None


def _path(checksum: str) -> Path:
    return cache_folder() / "speeds" / checksum
