"""The head of an mp3 that holds its tags: ID3v2.4 in UTF-8. LAME through libsndfile spells only Latin letters right,
and FFmpeg puts the comment where libsndfile does not look for it.
"""

from sepkit.audio.tags import Tags


def id3(tags: Tags) -> bytes:
    """Return the bytes to put before the first frame: none if there is nothing to say."""
    frames = _frame(b"TIT2", "", tags.title) + _frame(b"TPE1", "", tags.artist) + _frame(b"COMM", "und\0", tags.comment)
    return b"ID3\4\0\0" + _seven_bits(len(frames)) + frames if frames else b""


def _frame(kind: bytes, before: str, text: str) -> bytes:
    if not text:
        return b""
    body = b"\3" + (before + text).encode()  # 3: UTF-8
    return kind + _seven_bits(len(body)) + b"\0\0" + body


def _seven_bits(size: int) -> bytes:
    """A number in four bytes of which the highest bit is never set, so that none looks like the start of a frame."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
