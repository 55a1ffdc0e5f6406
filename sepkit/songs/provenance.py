"""Provenance of a stem, kept in its comment: keys of the song's content, of the model and of the settings; its frames.

A comment is in the file itself, so it moves with it.
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

_COMMENT = re.compile("sepkit ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9]{1,15})")
# Bytes at the start of a file that hold its comment, but for stem.mp4: its comment is behind its index.
_HEAD = 2**16
# Frames that a lossy coder may add: two of mp3, with its delay.
_PADDING = 2304


class Provenance(NamedTuple):
    """The keys of a song, of the model that separated it, and of the settings."""

    song: str
    model: str
    settings: str

    @classmethod
    def of(cls, song: Path, model: str, settings: dict[str, Any]) -> Self:
        """Return the keys of a song, of a model (by its checksum) and of settings (JSON values)."""
        with song.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(content[:32], _key(model), _key(settings))

    def comment(self, frames: int) -> str:
        """Return the comment of a file with a number of frames."""
        return f"sepkit {self.song} {self.model} {self.settings} {frames}"


class StemOnDisk(NamedTuple):
    """A stem that was found: the provenance that it states, and whether it is complete."""

    provenance: Provenance
    complete: bool

    def difference(self, wanted: Provenance) -> str:
        """Return its difference from the wanted stem, such as "was made by another model"; "" if there is none."""
        if self.provenance.song != wanted.song:
            return "was made from another song, or before this one was changed"
        made = [
            "by another model" if self.provenance.model != wanted.model else "",
            "with other settings" if self.provenance.settings != wanted.settings else "",
        ]
        if any(made):
            return f"was made {' and '.join(filter(None, made))}"
        return "" if self.complete else "is incomplete"


def is_stem(tags: Tags) -> bool:
    """Return whether sepkit made a file with these tags."""
    return bool(_COMMENT.fullmatch(tags.comment))


def read_stem(file: Path, sample_rate: int, decoder: Decoder) -> StemOnDisk | None:
    """Return the stem in a file; None if sepkit has not made it.

    It is complete if it has this rate in Hz, and states and holds the frames that it was made with: the frames of a
    truncated mp3 have to be counted.
    """
    try:
        info = decoder.header(file)
    except AudioError:
        provenance = provenance_in_head(file)
        return provenance and StemOnDisk(provenance, complete=False)
    found = _COMMENT.fullmatch(info.tags.comment)
    if not found:
        return None
    frames, complete = int(found[4]), False
    if info.sample_rate == sample_rate and not info.counted and 0 <= info.frames - frames <= _PADDING:
        with suppress(AudioError):
            complete = bool(list(decoder.blocks(file, frames - 1, 1)))  # headers outlive their audio
    return StemOnDisk(Provenance(*found.groups()[:3]), complete)


def provenance_in_head(file: Path) -> Provenance | None:
    """Return the keys at the start of an unreadable file: a truncated stem is still sepkit's."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as content:
                found = _COMMENT.search(content.read(_HEAD).decode("latin-1"))
            return Provenance(*found.groups()[:3]) if found else None
    return None


def _key(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
