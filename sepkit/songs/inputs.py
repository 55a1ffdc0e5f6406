"""The songs of a run: files as given, folders searched recursively, and a unique name for each."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from unicodedata import normalize

from sepkit.audio.search import walk


@dataclass(frozen=True, slots=True)
class InputSong:
    """A song to separate.

    Attributes:
        path: Its file.
        name: Unique within a run; with the folders between the searched one and the file.
        searched: The file was found in a folder, not given.
    """

    path: Path
    name: str
    searched: bool = False


def find_songs(inputs: Sequence[Path]) -> list[InputSong]:
    """Return the songs of files and folders, each once, in their order; folders are sorted by path.

    A missing file and a folder without songs are songs as well: they fail when their turn comes.
    """
    found: dict[Path, _Found] = {}
    for path in inputs:
        for file in sorted(file for _, files in walk(path) for file in files) or [path]:
            folder = path if file != path else None
            found.setdefault(Path(os.path.abspath(file)), (file, folder))  # noqa: PTH100  two links are two songs
    names = _unique_names(list(found.values()))
    return [
        InputSong(path, name, folder is not None) for (path, folder), name in zip(found.values(), names, strict=True)
    ]


def track_name(path: Path) -> str:
    """Return the name of a file without its ending."""
    return path.name[: -len(".stem.mp4")] if path.name.lower().endswith(".stem.mp4") else path.stem


def key_of_name(name: str) -> str:
    """Return a key that is equal for names that some file system does not distinguish: case, composed accents."""
    return normalize("NFC", name).casefold()


# A file, and the searched folder that holds it.
_Found = tuple[Path, Path | None]


def _unique_names(files: Sequence[_Found]) -> list[str]:
    """Name each song by its place in the searched folder, with more of its path where names collide."""
    names = [_named(file, track_name(file[0])) for file in files]
    for key, songs in Counter(map(key_of_name, names)).items():
        if songs > 1:
            group = [number for number, name in enumerate(names) if key_of_name(name) == key]
            others = {key_of_name(name) for name in names} - {key}
            for number, name in zip(group, _longer_names([files[number] for number in group], others), strict=True):
                names[number] = name
    return names


def _longer_names(files: Sequence[_Found], taken: set[str]) -> list[str]:
    """Return names that differ from each other and from `taken`, for songs of one short name."""
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
        short = _named(file, track_name(file[0]))
        numbered = chain([short], (f"{short}-{number}" for number in count(2)))
        names.append(next(name for name in numbered if key_of_name(name) not in taken))
        taken.add(key_of_name(names[-1]))
    return names


def _named(file: _Found, name: str) -> str:
    path, folder = file
    return name if folder is None else (path.relative_to(folder).parent / name).as_posix()
