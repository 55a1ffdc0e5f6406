"""What MUSDB18 and MUSDB18-HQ share: 150 songs of four stems, their official splits and their known faults.

`train` and `test` are folders; 14 songs of `train` are the validation split. See https://doi.org/10.5281/zenodo.3338373.
"""

from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from sepkit.component import AudioFile, Track
from sepkit.datasets.official import facts_of
from sepkit.errors import CorpusError

STEMS = ("vocals", "drums", "bass", "other")
_FOLDERS = {"train": ("train",), "validation": ("train",), "test": ("test",), "all": ("train", "test")}


def entries(root: Path, split: str, layout: str) -> list[Path]:
    """Return what lies in the folders that a split is in, hidden files left out.

    Raises:
        CorpusError: neither folder is there, or nothing is in them.
    """
    if not any((root / folder).is_dir() for folder in ("train", "test")):
        raise CorpusError(f"no train/ or test/ folder in {root.resolve()}. Expected {layout}")
    folders = [root / folder for folder in _FOLDERS[split] if (root / folder).is_dir()]
    return [path for folder in folders for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def in_split(tracks: Iterable[Track], split: str) -> list[Track]:
    """Return the tracks of a split, of those in its folders."""
    validation = set(facts_of("musdb18")["validation"])
    if split in ("train", "validation"):
        return [track for track in tracks if (track.name in validation) == (split == "validation")]
    return list(tracks)


def song(name: str, stems: dict[str, AudioFile], mixture: AudioFile) -> Track:
    """Return the track called `name`, "Artist - Title"; a title may hold " - " itself."""
    name = normalize("NFC", name)
    artist, _, title = name.partition(" - ")
    return Track(
        name=name,
        stems={stem: (file,) for stem, file in stems.items()},
        mixture=mixture,
        group=name,
        complete=True,
        artist=artist,
        title=title,
        note=facts_of("musdb18")["errata"].get(name, ""),
    )
