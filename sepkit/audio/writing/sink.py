"""The file that libraries write into: it keeps the first error, which they drop or print."""

import os
from collections.abc import Callable
from io import SEEK_SET, FileIO
from pathlib import Path


class Sink:
    """A new file behind a library's callbacks, which must not raise.

    The first error is kept; from then on nothing is written, until `check` or `finish` raises it. `head` is
    written first, and the library does not see it.
    """

    def __init__(self, path: Path, head: bytes = b"") -> None:
        self._file = FileIO(path, "w+")
        self._head = len(head)
        self._error: OSError | None = None
        self.write(head)

    def write(self, data: bytes | bytearray) -> int:
        rest = memoryview(data)
        while rest and self._error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return len(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = SEEK_SET) -> None:
        self._file.seek(offset + self._head if whence == SEEK_SET else offset, whence)

    def tell(self) -> int:
        return self._file.tell() - self._head

    def check(self) -> None:
        """Raise the OSError that was kept, if any."""
        if self._error is not None:
            raise self._error

    def finish(self, revise: "Callable[[Sink], None] | None" = None) -> None:
        """Let `revise` change the complete file, and flush it to disk.

        Raises:
            OSError: it is not there as it should be.
        """
        self.check()
        if revise is not None:
            revise(self)
            self.check()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
