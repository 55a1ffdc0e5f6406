"""Files that are complete or not there: temporary name, flush to disk, check, rename, flush the folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import Self


class Commit:
    """Files that are replaced together: all are whole on disk before the first of them takes its name.

    An error before that leaves every file as it was. A kill between two renames leaves some old and some new, and none
    torn, in the order in which they were staged.
    """

    def __init__(self) -> None:
        self._staged: list[tuple[Path, Path]] = []
        self._removed: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self._publish()
        finally:
            for temporary, _ in self._staged:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def file(self, path: Path, check: Callable[[Path], None] = lambda _: None) -> Iterator[Path]:
        """Yield a temporary path in the folder of `path` to be written; `check` looks at it once it is on disk."""
        handle, name = mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX)
        os.close(handle)
        temporary = Path(name)
        self._staged.append((temporary, path))
        yield temporary
        temporary.chmod(0o666 & ~umask())
        flush(temporary)
        check(temporary)

    def text(self, path: Path, text: str) -> None:
        """Stage `text` (UTF-8) as the content of `path`, its line ends as they are on every system."""
        with self.file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")

    def remove(self, path: Path) -> None:
        """Remove `path` after the rest is replaced, if it is there and not replaced itself."""
        self._removed.append(path)

    def discard(self) -> None:
        """Replace and remove nothing, after a test that all can be written."""
        self._removed.clear()
        for temporary, _ in self._staged:
            temporary.unlink(missing_ok=True)
        self._staged.clear()

    def _publish(self) -> None:
        replaced = {path for _, path in self._staged}
        for temporary, path in self._staged:
            temporary.replace(path)
        for path in self._removed:
            if path not in replaced:
                path.unlink(missing_ok=True)
        for folder in {path.parent for path in (*replaced, *self._removed)}:
            flush(folder)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on any error it is removed."""
    with Commit() as commit, commit.file(path) as temporary:
        yield temporary


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` (UTF-8)."""
    with Commit() as commit:
        commit.text(path, text)


def remove_leftovers(files: Iterable[Path]) -> None:
    """Remove unfinished versions of `files` that a killed process left."""
    for path in files:
        for unfinished in path.parent.glob(f"{_prefix(path)}*{_SUFFIX}"):
            unfinished.unlink(missing_ok=True)


_SUFFIX = ".part"


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return the permissions that new files of this process do not get."""
    current = os.umask(0o022)
    os.umask(current)
    return current
