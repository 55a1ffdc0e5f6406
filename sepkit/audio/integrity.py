"""Detect truncated Ogg files, and read the number of frames that an mp3 states: libraries tell neither.

An Ogg file is a row of pages (RFC 3533): "OggS", flags at 5, the samples up to its end at 6, serial number at 14,
number of segments at 26, their lengths from 27, body. Its first pages begin the streams that it holds side by side; the
last one ends a stream. A page that begins a stream later on belongs to a second file behind the first.

The first frame of an mp3 may hold no sound but a tag: "Xing" or "Info", four bytes of flags, of which the lowest says
that the number of frames follows; or "VBRI", with that number at 14.
"""

from collections.abc import Iterator
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sepkit.errors import AudioError

_BEGINS, _ENDS = 2, 4
_OPUS_RATE = 48000  # of its count of samples, at any rate of the song
# Bytes that hold the first frame of an mp3.
_FIRST_FRAME = 4096


class _Page(NamedTuple):
    flags: int
    whole: bool
    serial: bytes = b""
    samples: int = 0


def check_ogg(path: Path) -> None:
    """Raise AudioError for an Ogg file that is truncated, or followed by another one. Other files pass.

    libsndfile and FFmpeg read a truncated one without an error, and libsndfile the first of several.
    """
    with path.open("rb") as file:
        first, page = True, _Page(_ENDS, whole=True)
        for page in _pages(file):
            if page.flags & _BEGINS and not first:
                raise AudioError(
                    f"{path}: contains chained Ogg streams, of which only the first would be decoded; "
                    "split the file, or convert it to FLAC"
                )
            first = first and bool(page.flags & _BEGINS)
        if not (page.whole and page.flags & _ENDS):
            raise AudioError(
                f"{path}: truncated or damaged{_held(file)}: its last Ogg page is missing; "
                "fetch or export the file again"
            )


def tagged_frames(path: Path) -> int:
    """Return the number of frames that the tag at the start of an mp3 states; 0 if it states none."""
    with path.open("rb") as file:
        head = file.read(10)
        behind = 10 + sum(byte << 7 * place for place, byte in enumerate(head[:5:-1])) if head.startswith(b"ID3") else 0
        file.seek(behind)
        content = file.read(_FIRST_FRAME)
    for word in (b"Xing", b"Info"):
        at = content.find(word)
        if at >= 0 and content[at + 7 : at + 8] and content[at + 7] & 1:
            return int.from_bytes(content[at + 8 : at + 12])
    at = content.find(b"VBRI")
    return int.from_bytes(content[at + 14 : at + 18]) if at >= 0 else 0


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """Yield each page; stop at other bytes."""
    at, size = 0, file.seek(0, SEEK_END)
    while at < size:
        file.seek(at)
        head = file.read(27)
        if not head.startswith(b"OggS") or len(head) < 27:
            return
        at += len(head) + head[26] + sum(file.read(head[26]))
        samples = int.from_bytes(head[6:14], "little", signed=True)
        yield _Page(head[5], at <= size, head[14:18], samples)


def _held(file: BinaryIO) -> str:
    """Return `", holds 2.5 s"` of the first stream, `" of 5.0 s"` if its head says so; nothing if it is unknown."""
    file.seek(0)
    head = file.read(256)
    rate, total = _rate_and_samples(head[27 + head[26] :])
    samples = max((page.samples for page in _pages(file) if page.whole and page.serial == head[14:18]), default=0)
    if not rate or samples < 0:
        return ""
    return f", holds {samples / rate:.1f} s" + (f" of {total / rate:.1f} s" if total else "")


def _rate_and_samples(packet: bytes) -> tuple[int, int]:
    """Return the rate and the number of samples that a stream begins with; 0 where it does not say."""
    if packet.startswith(b"\x01vorbis"):
        return int.from_bytes(packet[12:16], "little"), 0
    if packet.startswith(b"OpusHead"):
        return _OPUS_RATE, 0
    if packet.startswith(b"\x7fFLAC"):
        facts = int.from_bytes(packet[27:35])  # of 20 bits the rate, of 8 other things, of 36 the samples
        return facts >> 44, facts & (1 << 36) - 1
    return 0, 0
