"""The one search for audio files: of songs to separate, of stems to score, and of corpora."""

import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from sepkit.audio.formats import EXTENSIONS
from sepkit.errors import reason

log = logging.getLogger(__name__)


def walk(root: Path, depth: int = -1) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each folder from `root` down with the audio files in it, sorted; nothing if `root` is no folder.

    Symbolic links are followed, and each real folder is visited once, under its own path rather than a link's. Hidden
    files and folders are left out. So are folders that cannot be read, with a warning. `depth` is the number of
    levels below `root` that are visited; negative: no limit.
    """
    visited: set[str] = set()
    folders, links = deque([(root, depth)] if root.is_dir() else []), deque[tuple[Path, int]]()
    while folders or links:
        folder, below = (folders or links).popleft()
        real = os.path.realpath(folder)
        if real in visited:
            continue
        visited.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            log.warning("a folder is left out: %s", reason(error))
            continue
        files = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if below:
                    (links if entry.is_symlink() else folders).append((folder / entry.name, below - 1))
            elif entry.name.lower().endswith(EXTENSIONS):
                files.append(folder / entry.name)
        yield folder, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that cannot be read
        return False
