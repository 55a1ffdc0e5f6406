"""Whether a file is as long as it says, or goes on after that: what is told from it without decoding it.

An Ogg file is a row of pages (RFC 3533): "OggS", flags at 5, serial number at 14, number of segments at 26, their
lengths from 27, body. Its first pages begin the streams that it holds side by side; the last one ends a stream. A page
that begins a stream later on belongs to a second file behind the first.

An mp3 is a row of frames. The first may hold no sound but a tag with the number of frames and bytes: "Xing" or "Info",
four bytes of flags, of which the lowest two say that the number of frames and of bytes follow.
"""

from collections.abc import Iterator
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sepkit.errors import AudioError

_BEGINS, _ENDS = 2, 4
# What an mp3 of known length starts with, somewhere in its first frame.
_COUNTED = (b"Xing", b"Info", b"VBRI")
# Bytes that may follow the last frame of an mp3: tags of rare kinds, the frame of the tag that some do not count.
_REST = 4096
_ID3V1, _APE = 128, 32


class _Page(NamedTuple):
    flags: int
    whole: bool


def check_ogg(path: Path) -> None:
    """Raise AudioError for an Ogg file without its last page, or with another one behind it. Other files pass.

    libsndfile silently brings what there is of the one, and the first of the others; ffmpeg loses some of another rate.
    """
    with path.open("rb") as file:
        first, page = True, _Page(_ENDS, whole=True)
        for page in _pages(file):
            if page.flags & _BEGINS and not first:
                raise AudioError(
                    f"{path}: several Ogg files one behind the other, of which only the first would be heard; "
                    "separate them one by one, or join them anew"
                )
            first = first and bool(page.flags & _BEGINS)
    if not (page.whole and page.flags & _ENDS):
        raise AudioError(f"{path}: truncated or damaged: its last Ogg page is missing; fetch or export the file again")


def length_is_guessed(path: Path) -> bool:
    """Whether a file is an mp3 that does not say how long it is.

    libsndfile guesses from the first frame: a quiet start, and it brings a fifth of a song as the whole.
    """
    with path.open("rb") as file:
        frame = _first_frame(file)
    return _is_mp3(frame) and not any(word in frame for word in _COUNTED)


def goes_on(path: Path) -> bool:
    """Whether a file is an mp3 that goes on well after the end that it states, as two of them in one file do."""
    with path.open("rb") as file:
        frame = _first_frame(file)
        start = file.tell() - len(frame)
        tag = frame[max(frame.find(b"Xing"), frame.find(b"Info")) :]
        flags = int.from_bytes(tag[4:8])
        if not _is_mp3(frame) or tag[:4] not in _COUNTED or not flags & 2:
            return False
        at = 12 if flags & 1 else 8
        stated = int.from_bytes(tag[at : at + 4])
        return 0 < stated < _end_of_frames(file) - start - _REST


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """Yield each page; stop at what is none."""
    at, size = 0, file.seek(0, SEEK_END)
    while at < size:
        file.seek(at)
        head = file.read(27)
        if not head.startswith(b"OggS") or len(head) < 27:
            return
        at += len(head) + head[26] + sum(file.read(head[26]))
        yield _Page(head[5], whole=at <= size)


def _first_frame(file: BinaryIO) -> bytes:
    """Return what follows a tag at the start, enough of it to hold a first frame."""
    tag = file.read(10)
    file.seek(10 + sum(byte << 7 * place for place, byte in enumerate(tag[:5:-1])) if tag.startswith(b"ID3") else 0)
    return file.read(4096)


def _is_mp3(frame: bytes) -> bool:
    """Whether it starts as a frame of MPEG layer III: eleven bits set, and the layer's number, which counts down."""
    return len(frame) > 1 and frame[0] == 0xFF and frame[1] & 0xE6 == 0xE2


def _end_of_frames(file: BinaryIO) -> int:
    """Return where the tags begin that often follow an mp3: APE, then ID3v1."""
    end = file.seek(0, SEEK_END)
    file.seek(max(0, end - _ID3V1))
    if file.read(3) == b"TAG":
        end -= _ID3V1
    file.seek(max(0, end - _APE))
    foot = file.read(_APE)
    if not foot.startswith(b"APETAGEX"):
        return end
    has_head = foot[23] & 0x80
    return end - int.from_bytes(foot[12:16], "little") - (_APE if has_head else 0)
