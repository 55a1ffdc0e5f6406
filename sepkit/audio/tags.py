"""Title, artist and comment of a file, in any encoding.

Old taggers wrote the encoding of their system into fields that have no encoding (ID3v1, RIFF INFO) or that
promise Latin-1 (ID3v2). Korean, Japanese and Western European text is recognised there; other bytes are left
out, because tags name folders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_TAG = 1000
"""Characters of a tag that are read, and bytes that are written. A few thousand in a wav or aiff come back as none, and
more make a file that cannot be opened."""
# Bytes of a field of ID3v1.
_ID3V1 = 30

_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_KANA = re.compile(r"[\u3041-\u30ff]")
# Kana, kanji, their punctuation and wide forms.
_JAPANESE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")
_LETTERS = re.compile(r"[A-Za-z]")
# Letters and signs of cp1252 that names hold, quotes and dashes among them.
_WESTERN = re.compile(
    r"[\xc0-\xd6\xd8-\xf6\xf8-\xff\u0152-\u0178\u017d\u017e\xaa\xba\xb0\xbf\xa1\xae\xa9\u2013-\u2026\u20ac]"
)
_CONTROLS = re.compile(r"[\x80-\x9f]")


@dataclass(frozen=True, slots=True)
class Tags:
    """Title and artist of a song, and a comment; empty where the file has none."""

    title: str = ""
    artist: str = ""
    comment: str = ""


NO_TAGS = Tags()


def tags_of(found: Mapping[str, str]) -> Tags:
    """Return the tags among all fields of a file; bytes that are no UTF-8 are surrogates (PEP 383)."""
    texts = {name.lower(): text for name, text in found.items()}
    return Tags(*(legible(texts.get(name, "")[:LONGEST_TAG]).strip() for name in Tags.__slots__))


def legible(text: str) -> str:
    """Return a text in its true encoding; an empty string if that is unknown."""
    if text.isascii():
        return text
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogateescape") if "\ufffd" not in text else b""
    else:
        meant = "" if _CONTROLS.search(text) else text
        return _decoded(raw, "utf-8") or _korean(raw) or _japanese(raw) or _western(raw) or meant
    return _decoded(raw, "utf-8") or _korean(raw) or _japanese(raw) or _western(raw)


def _korean(raw: bytes) -> str:
    """Accept syllables of KS X 1001 beside ASCII; a single one beside Latin letters may be two Western letters."""
    text = _decoded(raw, "cp949")
    syllables = [char for char in text if not char.isascii()]
    common = all(b"\xb0\xa1" <= char.encode("cp949") <= b"\xc8\xfe" and _HANGUL.match(char) for char in syllables)
    return text if common and (len(syllables) > 1 or not _LETTERS.search(text)) else ""


def _japanese(raw: bytes) -> str:
    """Accept kana, kanji and their punctuation beside ASCII; kanji alone beside Latin letters may be quotes."""
    text = _decoded(raw, "cp932")
    signs = [char for char in text if not char.isascii()]
    known = len(signs) > 1 and all(_JAPANESE.match(char) for char in signs)
    return text if known and (_KANA.search(text) or not _LETTERS.search(text)) else ""


def _western(raw: bytes) -> str:
    """Accept marked letters, if they are fewer than plain ones."""
    text = _decoded(raw, "cp1252")
    marked = [char for char in text if not char.isascii()]
    return text if all(map(_WESTERN.match, marked)) and len(marked) < len(_LETTERS.findall(text)) else ""


def _decoded(raw: bytes, encoding: str) -> str:
    """Return an empty string for bytes of another encoding; ID3v1 may have cut the last character."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        cut = len(raw) == _ID3V1 and error.start > _ID3V1 - 4 and error.end == _ID3V1
        return raw[: error.start].decode(encoding) if cut else ""
