"""What a stem was made of, in its comment: a key of the song's content, and one of the model and the settings.

The keys stand in the file itself, so they move with it, and what else is in the folder does not matter.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Self

from sepkit.audio.decoder import Decoder
from sepkit.audio.tags import Tags
from sepkit.errors import AudioError

_COMMENT = re.compile("sepkit ([0-9a-f]{32}) ([0-9a-f]{32})")


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

    @property
    def comment(self) -> str:
        """What stands in the file."""
        return f"sepkit {self.song} {self.made}"


def provenance_of(tags: Tags) -> Provenance | None:
    """Return what the tags of a file say, or None if sepkit has not made it."""
    found = _COMMENT.fullmatch(tags.comment)
    return Provenance(*found.groups()) if found else None


def read_provenance(file: Path, decoder: Decoder) -> Provenance | None:
    """Return what a file says that it was made of; None if it cannot be read, or sepkit has not made it."""
    try:
        return provenance_of(decoder.header(file).tags)
    except AudioError:
        return None
