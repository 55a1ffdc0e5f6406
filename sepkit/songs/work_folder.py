"""A hidden folder beside the results, in which they grow until they are complete."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from sepkit.atomic import umask
from sepkit.errors import AudioError

PREFIX = ".sepkit-work-"
_NAME = re.compile(rf"{re.escape(PREFIX)}[a-z0-9_]{{8}}")
_LOCK = "in-use"
# Seconds that a process may take from making the folder to locking it.
_TO_LOCK = 60.0


class WorkFolder:
    """A folder of this process alone, on the disk of `root`. Folders that a killed process has left there are removed.

    Raises:
        AudioError: `root` cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self._made = [path for path in (root, *root.parents) if not path.exists()]
        self._permissions = 0o777 & ~umask()  # asked now: it is changed for a moment, and threads may come later
        try:
            root.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(root)
            self._path, self._lock = _locked(root)
        except OSError as error:
            self._remove_made()
            raise AudioError(f"{root}: cannot be written ({error.strerror or error}); give another -o") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
        shutil.rmtree(self._path, ignore_errors=True)
        self._remove_made()

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Yield a new folder for one song; it is removed at the end with all its content."""
        folder = Path(mkdtemp(dir=self._path))
        folder.chmod(self._permissions)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_made(self) -> None:
        for folder in self._made:
            with suppress(OSError):  # it holds results, or was never made
                folder.rmdir()


def _locked(root: Path) -> tuple[Path, FileLock]:
    """Return a new folder and its lock. Another process may take an unlocked one for a leftover, so look again."""
    while True:
        path = Path(mkdtemp(dir=root, prefix=PREFIX))
        lock = FileLock(path / _LOCK)
        with suppress(FileNotFoundError):
            lock.acquire()
            if (path / _LOCK).exists():
                return path, lock


def _remove_leftovers(root: Path) -> None:
    """Remove folders whose lock is free, and empty ones that have had no lock for a while."""
    for folder in root.iterdir():
        if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        with suppress(Timeout, OSError):
            if (folder / _LOCK).exists():
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
            elif time.time() - folder.stat().st_mtime > _TO_LOCK:
                folder.rmdir()
