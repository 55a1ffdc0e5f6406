"""Which songs are meant: files as they are given, folders searched to the bottom; and a name for each."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from unicodedata import normalize

from sepkit.audio.formats import EXTENSIONS, FFMPEG_EXTENSIONS
from sepkit.errors import AudioError


@dataclass(frozen=True, slots=True)
class Song:
    """A file, and the name of its track: no two of a batch are alike."""

    path: Path
    track: str


def find_songs(inputs: Sequence[Path], output: Path) -> list[Song]:
    """Return the songs of files and folders, each once, in their order; folders are sorted by path.

    What lies in `output`, or is hidden, is no song. A file that does not exist is one: it fails when its turn comes.

    Raises:
        AudioError: a folder holds no song.
    """
    files: dict[Path, Path] = {}
    for path in inputs:
        for file in _in_folder(path, output.resolve()) if path.is_dir() else [path]:
            files.setdefault(Path(os.path.abspath(file)), file)  # noqa: PTH100  links to one song are two names for it
    paths = list(files.values())
    return [Song(path, track) for path, track in zip(paths, _told_apart(paths), strict=True)]


def _in_folder(folder: Path, output: Path) -> list[Path]:
    found = sorted(_searched(folder, output))
    if not found:
        endings = ", ".join(sorted({*EXTENSIONS, *FFMPEG_EXTENSIONS}))
        raise AudioError(f"{folder}: no song in this folder; songs end in {endings}")
    return found


def _searched(folder: Path, output: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(here, name).resolve() != output]
        for name in files:
            if name.lower().endswith((*EXTENSIONS, *FFMPEG_EXTENSIONS)) and not name.startswith("."):
                yield Path(here, name)


def track_name(path: Path) -> str:
    """Return the name of a file without its ending."""
    return path.name[: -len(".stem.mp4")] if path.name.lower().endswith(".stem.mp4") else path.stem


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """Name each song by its file, and as much more as tells it from the others: ending, then folder, then a number."""
    names = [track_name(path) for path in paths]
    for key, songs in Counter(map(_key, names)).items():
        if songs > 1:
            group = [number for number, name in enumerate(names) if _key(name) == key]
            others = {_key(name) for name in names} - {key}
            for number, name in zip(group, _within([paths[number] for number in group], others), strict=True):
                names[number] = name
    return names


def _within(paths: Sequence[Path], taken: set[str]) -> list[str]:
    """Return names for songs of one name that differ from each other, and from those that are taken."""
    ways: list[Callable[[Path], str]] = [
        lambda path: path.name,
        lambda path: f"{path.resolve().parent.name}-{track_name(path)}",
        lambda path: f"{path.resolve().parent.name}-{path.name}",
    ]
    for way in ways:
        names = [way(path) for path in paths]
        keys = {_key(name) for name in names}
        if len(keys) == len(names) and not keys & taken:
            return names
    names = []
    for path in paths:
        numbered = chain([track_name(path)], (f"{track_name(path)}-{number}" for number in count(2)))
        names.append(next(name for name in numbered if _key(name) not in taken | {_key(name) for name in names}))
    return names


def _key(name: str) -> str:
    """Names that some file system takes for one: other case, or accents composed and decomposed."""
    return normalize("NFC", name).casefold()
