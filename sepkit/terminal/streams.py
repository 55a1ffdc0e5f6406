"""stdout and stderr that never end a command: text that their encoding lacks is replaced, and a failed write is kept
for the end, when the command decides on its exit code.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from sepkit.terminal.text import Prose, printable

if TYPE_CHECKING:
    from rich.console import Console

# The arrows of tables, which cp1252 lacks: Windows has it for files and pipes.
_PLAIN = {"↑": "^", "↓": "v", "→": "->", "─": "-", "…": "..."}
# No table and no line is cut where there is no terminal.
_UNLIMITED = 100_000


class Output(io.RawIOBase):
    """A raw stream that raises no error on writing; the first one is in `error`."""

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self._raw = raw
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write some of `data` and return the number of bytes done: all of them if the stream has failed."""
        try:
            while (written := self._raw.write(data)) is None:  # a pipe that the reader has made non-blocking is full
                select.select([], [self._raw], [])
        except OSError as error:
            self.error = self.error or error
            return len(data)
        return int(written)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return bool(self._raw.isatty())


@contextmanager
def open_streams() -> Iterator[Output | None]:
    """Make stdout and stderr take any text and survive a failed write; yield the end of stdout, None if there is none.

    A descriptor that was closed when the process began is opened on the null device: the next file would get its
    number, and every message would be written into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
    before = sys.stdout, sys.stderr
    (sys.stdout, out), (sys.stderr, _) = (_tolerant(stream) for stream in before)
    try:
        yield out
    finally:
        opened = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = before
        for stream, old in zip(opened, before, strict=True):
            stream.flush() if old else stream.close()


def say(line: str) -> None:
    """Print a line on stderr."""
    if sys.stderr:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def print_report(parts: Sequence[Any]) -> None:
    """Print lines of text, and tables between empty lines, on stdout."""
    for number, part in enumerate(parts):
        if number and not (isinstance(part, str) and isinstance(parts[number - 1], str)):
            sys.stdout.write("\n")
        if isinstance(part, str) and not isinstance(part, Prose):
            sys.stdout.write(f"{printable(part) if sys.stdout.isatty() else part}\n")
        else:
            screen = console(sys.stdout)
            with screen.capture() as shown:
                screen.print(part)
            sys.stdout.writelines(f"{line.rstrip()}\n" for line in shown.get().splitlines())
    sys.stdout.flush()


def print_json(data: dict[str, Any]) -> None:
    """Print strict JSON on stdout, in ASCII where its encoding lacks a character or a file name is no valid text."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, allow_nan=False, indent=2)
    print_report([text])


def console(stream: TextIO | None = None) -> Console:
    """Return a rich console on `stream`, by default stderr: as wide as the terminal, and without limit elsewhere."""
    from rich.console import Console

    file = stream or sys.stderr
    width = None if file is not None and file.isatty() else _UNLIMITED
    return Console(file=file, width=width, highlight=False, markup=False)  # names of songs may hold brackets


def _tolerant(stream: TextIO | None) -> tuple[TextIO, Output | None]:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8"), None  # noqa: PTH123  lives as long as the command
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # not the process's own, such as a notebook's
        return stream, None
    end = Output(getattr(buffer, "raw", buffer))
    errors = "sepkit_bytes" if stream.errors == "surrogateescape" else "sepkit_plain"
    stream.flush()
    text = io.TextIOWrapper(
        io.BufferedWriter(end), encoding=stream.encoding, errors=errors, line_buffering=end.isatty()
    )
    return text, end


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace a character that an encoding lacks: an arrow by ASCII, any other by its escape."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start]
    return _PLAIN.get(lacking, lacking.encode("ascii", "backslashreplace").decode()), error.start + 1


def _bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Do the same, and write the undecodable bytes of a file name as they are, as Python does where LANG is C."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start]
    return (os.fsencode(lacking), error.start + 1) if "\udc80" <= lacking <= "\udcff" else _plain(error)


codecs.register_error("sepkit_plain", _plain)
codecs.register_error("sepkit_bytes", _bytes)
