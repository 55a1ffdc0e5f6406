"""Whether a file is as long as it says, or goes on after that: what is told from it without decoding it.

An Ogg file is a row of pages (RFC 3533): "OggS", flags at 5, the samples up to its end at 6, serial number at 14,
number of segments at 26, their lengths from 27, body. Its first pages begin the streams that it holds side by side; the
last one ends a stream. A page that begins a stream later on belongs to a second file behind the first.

An mp3 is a row of frames. The first may hold no sound but a tag with the number of frames and bytes: "Xing" or "Info",
four bytes of flags, of which the lowest two say that the number of frames and of bytes follow. What was recorded of a
stream may begin in the middle of a frame.
"""

import re
from collections.abc import Iterator
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sepkit.errors import AudioError

_BEGINS, _ENDS = 2, 4
_OPUS_RATE = 48000  # of its count of samples, whatever the song's own was
# What an mp3 of known length starts with, somewhere in its first frame.
_COUNTED = (b"Xing", b"Info", b"VBRI")
# Bytes that may follow the last frame of an mp3: tags of rare kinds, the frame of the tag that some do not count.
_REST = 4096
_ID3V1, _APE = 128, 32
# Where a frame of MPEG layer III may start: eleven bits set, a version, and the layer's number, which counts down.
_SYNC = re.compile(rb"(?=\xff[\xe2\xe3\xf2\xf3\xfa\xfb])")
# kb/s and Hz by their numbers in the head of a frame, of MPEG 1 and of its successors at half the rate and less.
_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_FEWER_KILOBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44100, 48000, 32000)


class _Page(NamedTuple):
    flags: int
    whole: bool
    serial: bytes = b""
    samples: int = 0


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
            raise AudioError(
                f"{path}: truncated or damaged{_held(file)}: its last Ogg page is missing; "
                "fetch or export the file again"
            )


def length_is_guessed(path: Path) -> bool:
    """Whether a file is an mp3 that does not say how long it is.

    libsndfile guesses from the first frame: a quiet start, and it brings a fifth of a song as the whole.
    """
    with path.open("rb") as file:
        frame = _first_frame(file)
    return _is_mp3(frame) and not any(word in frame for word in _COUNTED)


def has_trailing_audio(path: Path) -> bool:
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


def _first_frame(file: BinaryIO) -> bytes:
    """Return what follows a tag and the rest of a broken frame at the start, enough of it to hold a first frame.

    That rest is looked for in what is called mp3, as libsndfile does: quiet samples may look like frames by chance.
    """
    tag = file.read(10)
    file.seek(10 + sum(byte << 7 * place for place, byte in enumerate(tag[:5:-1])) if tag.startswith(b"ID3") else 0)
    content = file.read(4096)
    begins_later = file.name.lower().endswith(".mp3") and not _is_mp3(content)
    return content[_start(content) :] if begins_later else content


def _start(content: bytes) -> int:
    """Return where the first two frames start that follow each other; 0 if there are none."""
    for found in _SYNC.finditer(content):
        at = found.start()
        following = at + _frame_length(content[at : at + 4])
        if following > at and content[following : following + 2] == content[at : at + 2]:
            return at
    return 0


def _frame_length(head: bytes) -> int:
    """Return the bytes of a frame of MPEG layer III with a head of four bytes; 0 if it is none."""
    if len(head) < 4:
        return 0
    halvings = {3: 0, 2: 1, 0: 2}[head[1] >> 3 & 3]  # MPEG 1, 2, 2.5
    kilobits, hertz, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if not 0 < kilobits < 15 or hertz == 3:
        return 0
    bits = 1000 * (_FEWER_KILOBITS if halvings else _KILOBITS)[kilobits - 1]
    return (72 if halvings else 144) * bits // (_HERTZ[hertz] >> halvings) + padding


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
