"""MUSDB18 and MUSDB18-HQ: 150 songs of four stems, their official splits and their known faults.

`train` and `test` are folders; 14 songs of `train` are the validation split. See https://doi.org/10.5281/zenodo.3338373.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from pydantic import Field

from sepkit.component import DatasetConfig
from sepkit.datasets.official import facts_of
from sepkit.datasets.split import with_validation
from sepkit.errors import CorpusError
from sepkit.track import AudioFile, Stream, Track

STEMS = ("vocals", "drums", "bass", "other")
# Numbers of the audio streams in a `.stem.mp4`. A cover picture is a stream too, and must not be counted.
STREAMS = {"mixture": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}
_ENDINGS = (".stem.mp4", ".stem.m4a")
_FOLDERS = {"train": ("train",), "validation": ("train",), "test": ("test",), "all": ("train", "test")}


class MUSDB18(DatasetConfig):
    """MUSDB18: `ROOT/{train,test}/<Artist - Title>.stem.mp4`, five AAC streams in one file, cut off at 16 kHz. Needs
    `sepkit data prepare` for speed.

    The mixture is encoded by itself and is only about the sum of the stems; training uses the sum.
    """

    name: Literal["musdb18"] = "musdb18"
    root: Path = Field(default=Path("data/musdb18"), description="folder of the unpacked corpus")

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of an official split, or of "all".

        Raises:
            CorpusError: the folder is not MUSDB18.
        """
        layout = "train/<Artist - Title>.stem.mp4, and the same in test/"
        files = _entries(self.root, split, layout, lambda path: path.name.endswith(_ENDINGS))
        tracks = (
            _track(path.name[: path.name.rindex(".stem.")], {name: Stream(path, n) for name, n in STREAMS.items()})
            for path in files
        )
        return _in_split(tracks, split)


class MUSDB18HQ(DatasetConfig):
    """MUSDB18-HQ: `ROOT/{train,test}/<Artist - Title>/{mixture,vocals,drums,bass,other}.wav`, uncompressed: 86 + 14 +
    50 songs. The corpus to train on first.
    """

    name: Literal["musdb18hq"] = "musdb18hq"
    root: Path = Field(default=Path("data/musdb18hq"), description="folder of the unpacked corpus")

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of an official split, or of "all".

        Raises:
            CorpusError: the folder is not MUSDB18-HQ, or songs lack files.
        """
        layout = "train/<Artist - Title>/mixture.wav, vocals.wav, drums.wav, bass.wav, other.wav, and the same in test/"
        folders = _entries(self.root, split, layout, Path.is_dir)
        songs = {folder.name: {name: folder / f"{name}.wav" for name in STREAMS} for folder in folders}
        present = {path for folder in folders for path in folder.iterdir()}
        lacking = [str(path) for files in songs.values() for path in files.values() if path not in present]
        if lacking:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise CorpusError(f"missing: {', '.join(lacking[:5])}{more}. Expected {layout}")
        return _in_split((_track(name, files) for name, files in songs.items()), split)


def _entries(root: Path, split: str, layout: str, is_song: Callable[[Path], bool]) -> list[Path]:
    """Return the songs in the folders of a split, hidden files left out."""
    folders = {name: root / name for name in _FOLDERS["all"] if (root / name).is_dir()}
    found = {
        name: [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and is_song(path)]
        for name, folder in folders.items()
    }
    if not any(found.values()):
        raise CorpusError(f"no songs in {root.resolve()}. Expected {layout}")
    return [path for name in _FOLDERS[split] for path in found.get(name, ())]


def _in_split(tracks: Iterable[Track], split: str) -> list[Track]:
    """Return the tracks of a split, of those in its folders. A part of the corpus without any of the official songs to
    validate on validates on one of its training songs.
    """
    found = {track.name: track for track in tracks}
    if split not in ("train", "validation"):
        return list(found.values())
    official = set(facts_of("musdb18")["validation"])
    splits = with_validation({name: "validation" if name in official else "train" for name in found})
    return [track for name, track in found.items() if splits[name] == split]


def _track(name: str, files: dict[str, Path] | dict[str, Stream]) -> Track:
    """Return the track called `name`, "Artist - Title"; a title may hold " - " itself."""
    name = normalize("NFC", name)
    artist, _, title = name.partition(" - ")
    stems: dict[str, tuple[AudioFile, ...]] = {stem: (files[stem],) for stem in STEMS}
    return Track(
        name, stems, files["mixture"], name, complete=True, corpus_stems=STEMS, artist=artist, title=title,
        note=facts_of("musdb18")["errata"].get(name, ""),
    )  # fmt: skip
