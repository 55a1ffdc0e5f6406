"""Facts about files, remembered as long as a file keeps its size and its time of modification."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from sepkit.atomic import write_text
from sepkit.cache.folder import cache_folder
from sepkit.errors import CacheError, SepkitError
from sepkit.track import AudioFile, Stream

log = logging.getLogger(__name__)

# Seconds between two savings during a long search.
SAVE_EVERY = 30.0

Fact = TypeVar("Fact")
File = TypeVar("File", bound=AudioFile)
Stamp = tuple[int, int]
"""Size in bytes and time of modification in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Facts(Generic[File, Fact]):
    """A fact (JSON data) about each file of that stamp, or the error that keeps it unknown."""

    known: dict[File, Fact]
    stamps: dict[File, Stamp]
    errors: dict[File, SepkitError]


def find_facts(
    subject: str, files: Iterable[File], find: Callable[[Sequence[File]], Iterator[Fact | SepkitError]]
) -> Facts[File, Fact]:
    """Return facts about files: remembered ones, and newly found ones about files that are new or have changed.

    Args:
        subject: Names the kind of fact, and the version of the code that finds it.
        files: The files.
        find: Finds facts that are not remembered yet, in the order of the files that it gets. A fact is JSON data.
    """
    memory = _Memory(subject)
    stamps = {file: _stamp(file) for file in files}
    facts: Facts[File, Fact] = Facts({}, stamps, {})
    new = []
    for file, stamp in stamps.items():
        fact = memory.recall(file, stamp)
        if fact is None:
            new.append(file)
        else:
            facts.known[file] = fact
    try:
        for file, found in zip(new, find(new) if new else (), strict=True):
            if isinstance(found, SepkitError):
                facts.errors[file] = found
            else:
                memory.learn(file, stamps[file], found)
                facts.known[file] = found
    finally:
        memory.save()
    return facts


class _Memory:
    """A JSON file: path -> "size time fact", the fact as JSON. Text, because 21 000 small lists take ten times as long
    to load.
    """

    def __init__(self, subject: str) -> None:
        self._name = f"{subject}.json"
        try:
            self._rows = _read(_index() / self._name)
        except CacheError:
            self._rows = {}
        self._learned: dict[str, str] = {}
        self._saved = time.monotonic()

    def recall(self, file: AudioFile, stamp: Stamp) -> Any:
        row, mark = self._rows.get(key_of(file), ""), _mark(stamp)
        return json.loads(row[len(mark) :]) if row.startswith(mark) else None

    def learn(self, file: AudioFile, stamp: Stamp, fact: Any) -> None:
        self._learned[key_of(file)] = _mark(stamp) + json.dumps(fact, separators=(",", ":"))
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Add new facts to those of other processes. A folder that cannot be written is no error, only a warning."""
        if not self._learned:
            return
        try:
            path = _index() / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                for unfinished in path.parent.glob(f".{path.name}.*"):  # of a killed process
                    unfinished.unlink()
                rows = _read(path) | self._learned
                write_text(path, json.dumps(rows, separators=(",", ":"), sort_keys=True))
        except CacheError as error:
            log.warning("%s. Without it, files are examined again in each run", error)
        except OSError as error:  # the same words for all that is learned: it is one warning
            why = error.strerror or error
            log.warning("%s: cannot be written (%s); set SEPKIT_CACHE to a folder that can", _index(), why)
        self._saved = time.monotonic()


def _index() -> Path:
    return cache_folder() / "index"


def _mark(stamp: Stamp) -> str:
    return f"{stamp[0]} {stamp[1]} "


def _read(path: Path) -> dict[str, str]:
    """Return the rows of a file; none if it cannot be read, so that they are found again."""
    try:
        rows = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return rows if isinstance(rows, dict) and all(isinstance(row, str) for row in rows.values()) else {}


def path_of(file: AudioFile) -> str:
    """Return the absolute path."""
    path = str(file.path if isinstance(file, Stream) else file)
    return path if path.startswith(os.sep) else os.path.abspath(path)  # noqa: PTH100  21 000 files in a blink


def key_of(file: AudioFile) -> str:
    """Return the absolute path, and the number of the stream."""
    return f"{path_of(file)}#{file.number}" if isinstance(file, Stream) else path_of(file)


def _stamp(file: AudioFile) -> Stamp:
    """A file that is not there gets a stamp that no file has; finding facts about it gives the error."""
    try:
        status = os.stat(file.path if isinstance(file, Stream) else file)  # noqa: PTH116
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns
