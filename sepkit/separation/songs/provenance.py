"""What a stem was made of, in its comment: a key of the song's content, one of the model and the settings, its frames.

They stand in the file itself, so they move with it, and what else is in the folder does not matter.
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from sepkit.audio.decoder import Decoder
from sepkit.audio.tags import Tags
from sepkit.errors import AudioError

_COMMENT = re.compile("sepkit ([0-9a-f]{32}) ([0-9a-f]{32})(?: ([0-9]{1,15}))?")
# Bytes at the start of a file that hold its comment, but for stem.mp4, which has it at its end.
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


def provenance_of(tags: Tags) -> Provenance | None:
    """Return what the tags of a file say, or None if sepkit has not made it."""
    found = _COMMENT.fullmatch(tags.comment)
    return Provenance(found[1], found[2]) if found else None


def read_provenance(file: Path, decoder: Decoder) -> Provenance | None:
    """Return what a file says that it was made of; None if it says nothing, or sepkit has not made it."""
    try:
        return provenance_of(decoder.header(file).tags)
    except AudioError:
        return provenance_in_head(file)


def provenance_in_head(file: Path) -> Provenance | None:
    """Return what a file that cannot be read says: a stem that was cut short is none of a stranger's."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as content:
                found = _COMMENT.search(content.read(_HEAD).decode("latin-1"))
            return Provenance(found[1], found[2]) if found else None
    return None


def is_whole(file: Path, sample_rate: int, decoder: Decoder) -> bool:
    """Whether a stem has the rate and the frames that it was made with, the last one too: headers outlive their audio.

    The number of frames of those that earlier versions made is not known, and they are taken for whole.
    """
    try:
        header = decoder.header(file)
        frames, found = header.info.frames, _COMMENT.fullmatch(header.tags.comment)
        for _ in decoder.blocks(file, frames - 1, 1):
            pass
    except AudioError:
        return False
    made = int(found[3]) if found and found[3] else frames
    return header.info.sample_rate == sample_rate and 0 <= frames - made <= _PADDING
