"""The format of a file, as its first bytes show it."""

from pathlib import Path

# Offset, bytes, and the name of the container for "it looks like ...".
_CONTAINERS = (
    (4, b"ftyp", "MP4"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media"),
)
# ASCII's control characters, without tab, line feed and carriage return.
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r"})


def container_of(path: Path) -> str | None:
    """Return the name of the container that a file starts as, if it is one that libsndfile does not read."""
    head = _head(path)
    for at, magic, name in _CONTAINERS:
        if head.startswith(magic, at):
            return name
    return "AAC" if head[:1] == b"\xff" and head[1:2] in (b"\xf0", b"\xf1", b"\xf8", b"\xf9") else None


def looks(path: Path) -> str:
    """Return `": it looks like MP4"` or the like; an empty string if the format is unknown."""
    head = _head(path)
    text = head == head.translate(None, _CONTROLS) and head.decode("utf-8", "replace").count("\ufffd") <= 1
    name = container_of(path) or ("text" if text else None)
    return f": it looks like {name}" if name else ""


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)
