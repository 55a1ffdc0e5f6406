"""Which songs are meant: files as they are given, folders searched to the bottom; and a name for each."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from unicodedata import normalize

from sepkit.audio.search import walk


@dataclass(frozen=True, slots=True)
class Song:
    """A file, and the name of its track, with the folders between it and the searched one: no two of a batch are alike.

    `searched` tells a file that a search has found from one that was named.
    """

    path: Path
    track: str
    searched: bool = False


def find_songs(inputs: Sequence[Path]) -> list[Song]:
    """Return the songs of files and folders, each once, in their order; folders are sorted by path.

    A file that does not exist, and a folder without songs, is one as well: it fails when its turn comes.
    """
    found: dict[Path, tuple[Path, Path | None]] = {}
    for path in inputs:
        for file in sorted(file for _, files in walk(path) for file in files) or [path]:
            within = path if file != path else None
            found.setdefault(Path(os.path.abspath(file)), (file, within))  # noqa: PTH100  two links are two songs
    tracks = _told_apart(list(found.values()))
    return [Song(path, track, within is not None) for (path, within), track in zip(found.values(), tracks, strict=True)]


def track_name(path: Path) -> str:
    """Return the name of a file without its ending."""
    return path.name[: -len(".stem.mp4")] if path.name.lower().endswith(".stem.mp4") else path.stem


def key_of_name(name: str) -> str:
    """Return what is equal for names that some file system takes for one: other case, accents composed or not."""
    return normalize("NFC", name).casefold()


# A file, and the folder whose search has found it.
Found = tuple[Path, Path | None]


def _told_apart(files: Sequence[Found]) -> list[str]:
    """Name each song by its place in the searched folder, and as much more as tells it from the others."""
    names = [_named(file, track_name(file[0])) for file in files]
    for key, songs in Counter(map(key_of_name, names)).items():
        if songs > 1:
            group = [number for number, name in enumerate(names) if key_of_name(name) == key]
            others = {key_of_name(name) for name in names} - {key}
            for number, name in zip(group, _within([files[number] for number in group], others), strict=True):
                names[number] = name
    return names


def _within(files: Sequence[Found], taken: set[str]) -> list[str]:
    """Return names for songs of one name that differ from each other, and from those that are taken."""
    ways: list[Callable[[Path], str]] = [
        lambda path: path.name,
        lambda path: f"{path.resolve().parent.name}-{track_name(path)}",
        lambda path: f"{path.resolve().parent.name}-{path.name}",
    ]
    for way in ways:
        names = [_named(file, way(file[0])) for file in files]
        keys = {key_of_name(name) for name in names}
        if len(keys) == len(names) and not keys & taken:
            return names
    names, taken = [], set(taken)
    for file in files:
        plain = _named(file, track_name(file[0]))
        numbered = chain([plain], (f"{plain}-{number}" for number in count(2)))
        names.append(next(name for name in numbered if key_of_name(name) not in taken))
        taken.add(key_of_name(names[-1]))
    return names


def _named(file: Found, name: str) -> str:
    path, within = file
    return name if within is None else (path.relative_to(within).parent / name).as_posix()
