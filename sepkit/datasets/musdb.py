"""What MUSDB18 and MUSDB18-HQ share: 150 songs of four stems, their official splits and their known faults.

`train` and `test` are folders; 14 songs of `train` are the validation split. See https://doi.org/10.5281/zenodo.3338373.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from unicodedata import normalize

from sepkit.datasets.official import facts_of
from sepkit.datasets.split import with_validation
from sepkit.errors import CorpusError
from sepkit.track import AudioFile, Track

STEMS = ("vocals", "drums", "bass", "other")
_FOLDERS = {"train": ("train",), "validation": ("train",), "test": ("test",), "all": ("train", "test")}


def entries(root: Path, split: str, layout: str, is_song: Callable[[Path], bool]) -> list[Path]:
    """Return the songs that lie in the folders that a split is in, hidden files left out.

    Raises:
        CorpusError: no songs in any of the folders.
    """
    folders = {name: root / name for name in _FOLDERS["all"] if (root / name).is_dir()}
    found = {
        name: [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and is_song(path)]
        for name, folder in folders.items()
    }
    if not any(found.values()):
        raise CorpusError(f"no songs in {root.resolve()}. Expected {layout}")
    return [path for name in _FOLDERS[split] for path in found.get(name, ())]


def in_split(tracks: Iterable[Track], split: str) -> list[Track]:
    """Return the tracks of a split, of those in its folders. Of a part of the corpus without any of the official songs
    to validate on, one of those to train on is.
    """
    found = {track.name: track for track in tracks}
    if split not in ("train", "validation"):
        return list(found.values())
    official = set(facts_of("musdb18")["validation"])
    splits = with_validation({name: "validation" if name in official else "train" for name in found})
    return [track for name, track in found.items() if splits[name] == split]


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
        corpus_stems=STEMS,
        artist=artist,
        title=title,
        note=facts_of("musdb18")["errata"].get(name, ""),
    )
