"""A hidden folder beside the results, in which they grow until they are complete."""

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

_PREFIX = ".sepkit-"
_LOCK = "in-use"
# Seconds that a process may take from making the folder to locking it.
_TO_LOCK = 60.0


class WorkFolder:
    """A folder of this process alone, on the disk of `root`. What a killed process has left in `root` is removed.

    Raises:
        AudioError: `root` cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made = [path for path in (root, *root.parents) if not path.exists()]
        try:
            root.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(root)
            self._path = Path(mkdtemp(dir=root, prefix=_PREFIX))
            self._lock = FileLock(self._path / _LOCK)
            self._lock.acquire()
        except OSError as error:
            raise AudioError(f"{root}: cannot be written ({error.strerror or error}); give another -o") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
        shutil.rmtree(self._path, ignore_errors=True)
        for folder in self._made:
            with suppress(OSError):  # it holds results
                folder.rmdir()

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Yield a new folder for one song, which is removed at the end with all that is left in it."""
        folder = Path(mkdtemp(dir=self._path))
        folder.chmod(0o777 & ~umask())
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        if folder.is_symlink() or not folder.is_dir():
            continue
        if not lock.exists() and time.time() - folder.stat().st_mtime < _TO_LOCK:
            continue
        with suppress(Timeout, OSError), FileLock(lock, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
