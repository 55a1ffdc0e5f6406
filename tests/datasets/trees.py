"""Small trees in the exact layouts of the known corpora. What sounds in them is told by its level."""

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from sepkit.datasets.official import facts_of

HQ_FILES = ("mixture", "vocals", "drums", "bass", "other")


def level(path: Path, value: float = 0.1, *, rate: int = 8000, channels: int = 1, frames: int = 8) -> Path:
    """Write a file in which every sample is `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else "PCM_16"
    soundfile.write(path, np.full((frames, channels), value, np.float32), rate, subtype=subtype)
    return path


def example_stem() -> Path:
    """Return six seconds of a song of MUSDB18 that stempeg ships, which cannot be imported without ffmpeg."""
    (found,) = Path(find_spec("stempeg").origin).parent.glob("data/*.stem.mp4")
    return found


def musdb_names() -> dict[str, list[str]]:
    """Return as many names as the corpus has, in its two folders; those of the validation split are the official."""
    facts = facts_of("musdb18")
    train = [*facts["validation"], *list(facts["errata"])[:4], *(f"Band {i:02} - Song" for i in range(82))]
    return {"train": train, "test": [*list(facts["errata"])[4:], *(f"Trio {i:02} - Tune" for i in range(46))]}


def links(root: Path, names: Mapping[str, Iterable[str]], target: Path, ending: str = "") -> Path:
    """Write folders of links to one and the same song: a whole corpus in a moment."""
    for folder, songs in names.items():
        (root / folder).mkdir(parents=True)
        for song in songs:
            (root / folder / f"{song}{ending}").symlink_to(target)
    return root


def musdb18(root: Path, names: Mapping[str, Iterable[str]], stem_file: Path) -> Path:
    """Write MUSDB18, all its songs the same stem file."""
    return links(root, names, stem_file, "".join(stem_file.suffixes[-2:]))


def musdb18hq(root: Path, names: Mapping[str, Iterable[str]]) -> Path:
    """Write MUSDB18-HQ, every song for itself."""
    for folder, songs in names.items():
        for song in songs:
            hq_song(root / folder / song)
    return root


def hq_song(folder: Path) -> Path:
    """Write the five files of a song of MUSDB18-HQ."""
    for name in HQ_FILES:
        level(folder / f"{name}.wav", channels=2, rate=44100)
    return folder


def recording(number: int, extension: str = "wav", **more: Any) -> dict[str, Any]:
    """Return a recording as data.json describes it."""
    return {"id": f"recording-{number}", "extension": extension, "trackType": "lead", **more}


def moisesdb(folder: Path, stems: list[tuple[str, list[dict[str, Any]]]], **about: Any) -> Path:
    """Write data.json for a song whose stems are named in this order, and a file for each recording not yet there."""
    folder.mkdir(parents=True, exist_ok=True)
    described = [{"id": f"stem-{n}", "stemName": name, "tracks": tracks} for n, (name, tracks) in enumerate(stems)]
    data = {"song": "Title", "artist": "Artist", "genre": "rock", **about, "stems": described}
    (folder / "data.json").write_text(json.dumps(data))
    for name, tracks in stems:
        for track in tracks:
            path = folder / name / f"{track['id']}.{track['extension'].removeprefix('.')}"
            if not path.exists():
                level(path, rate=44100)
    return folder


def midi_stem(program: int, *, is_drum: bool = False, rendered: bool = True, plugin: str = "x.nkm") -> dict[str, Any]:
    """Return a stem as metadata.yaml describes it."""
    return {
        "audio_rendered": rendered, "inst_class": "Any", "integrated_loudness": -15.5, "is_drum": is_drum,
        "midi_program_name": "Any", "midi_saved": True, "plugin_name": plugin, "program_num": program,
    }  # fmt: skip


def slakh(
    folder: Path, stems: dict[str, dict[str, Any]], *, ending: str = "flac", audio_dir: str = "stems", **sound: Any
) -> Path:
    """Write a song of Slakh2100: stem S03 is at level 0.03 throughout, and so on; the mixture is their sum."""
    for name in stems:
        level(folder / "stems" / f"{name}.{ending}", int(name[1:]) / 100, **sound)
    level(folder / f"mix.{ending}", sum(int(name[1:]) / 100 for name in stems), **sound)
    (folder / "MIDI").mkdir()
    metadata = {"UUID": "1a81", "audio_dir": audio_dir, "midi_dir": "MIDI", "normalized": True, "stems": stems}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    return folder


BAND = {
    "S01": midi_stem(128, is_drum=True), "S02": midi_stem(33), "S03": midi_stem(27), "S04": midi_stem(0),
}  # fmt: skip
"""Drums, bass, guitar and piano."""
