"""What a stem was made of, as a key in its comment: the song's bytes, the model and the settings.

The key stands in the file itself, so it moves with it, and what else is in the folder does not matter.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sepkit.audio.decoder import Decoder
from sepkit.errors import AudioError

_WORD = "sepkit"


def key_of(song: Path, model: str, settings: dict[str, Any]) -> str:
    """Return the comment of stems that a model (by its checksum) makes of a song with settings (JSON values)."""
    with song.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    made_of = json.dumps([content, model, settings], sort_keys=True)
    return f"{_WORD} {hashlib.sha256(made_of.encode()).hexdigest()}"


def all_made(files: Iterable[Path], key: str, decoder: Decoder) -> bool:
    """Return whether all files exist and bear the key."""
    return all(file.is_file() and _comment(file, decoder) == key for file in files)


def foreign(files: Iterable[Path], decoder: Decoder) -> list[Path]:
    """Return those of the files that exist and were not made by sepkit."""
    return [file for file in files if file.exists() and not _comment(file, decoder).startswith(f"{_WORD} ")]


def _comment(file: Path, decoder: Decoder) -> str:
    try:
        return decoder.header(file).tags.comment
    except AudioError:
        return ""
