"""Text that is safe to show: file names may hold line breaks and control characters."""

from unicodedata import category


class Prose(str):
    """A line that wraps at words on a terminal. Others, such as paths and commands, are copied as they are."""

    __slots__ = ()


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return `text` with a question mark for each control character but line breaks and tabs."""
    return "".join(c if c.isprintable() or c in "\n\t" or category(c) == "Zs" else "?" for c in text)
