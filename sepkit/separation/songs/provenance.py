"""What a stem was made of, in its comment: a key of the song's content, one of the model and the settings, its frames.

They stand in the file itself, so they move with it, and what else is in the folder does not matter.
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from sepkit.audio.tags import Tags
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError

_COMMENT = re.compile("sepkit ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9]{1,15})")
# Bytes at the start of a file that hold its comment, but for stem.mp4: its comment is behind its index.
_HEAD = 2**16
# Frames that a lossy coder may add: two of mp3, with its delay.
_PADDING = 2304


class Provenance(NamedTuple):
    """The keys: of the song, and of what was done to it."""

    song: str
    made: str

    @classmethod
    def of(cls, song: Path, model: str, settings: dict[str, Any]) -> Self:
        """Return what a model (by its checksum) makes of a song with settings (JSON values)."""
        with song.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        made = hashlib.sha256(json.dumps([model, settings], sort_keys=True).encode()).hexdigest()
        return cls(content[:32], made[:32])

    def comment(self, frames: int) -> str:
        """Return what stands in a file of so many frames."""
        return f"sepkit {self.song} {self.made} {frames}"


def is_stem(tags: Tags) -> bool:
    """Whether a file with these tags was made by sepkit."""
    return bool(_COMMENT.fullmatch(tags.comment))


def read_provenance(file: Path, sample_rate: int, decoder: Decoder) -> Provenance | None:
    """Return what a file says that it was made of; None if it says nothing, or sepkit has not made it.

    `made` is empty unless the stem is whole: it has this rate in Hz, and the frames that it was made with.
    """
    try:
        header = decoder.header(file)
    except AudioError:
        return provenance_in_head(file)
    found = _COMMENT.fullmatch(header.tags.comment)
    if not found:
        return None
    frames, made = header.info.frames, ""
    if header.info.sample_rate == sample_rate and 0 <= frames - int(found[3]) <= _PADDING:
        with suppress(AudioError):
            list(decoder.blocks(file, frames - 1, 1))  # headers outlive their audio
            made = found[2]
    return Provenance(found[1], made)


def provenance_in_head(file: Path) -> Provenance | None:
    """Return what a file that cannot be read says: a stem that was cut short is none of a stranger's, and not whole."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as content:
                found = _COMMENT.search(content.read(_HEAD).decode("latin-1"))
            return Provenance(found[1], "") if found else None
    return None
