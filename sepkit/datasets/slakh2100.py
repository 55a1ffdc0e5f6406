"""Slakh2100: `ROOT/{train,validation,test[,omitted]}/TrackNNNNN/{metadata.yaml, mix.flac, stems/SXX.flac}`.

BabySlakh has 16 kHz wav, and no split folders. Music rendered from MIDI: there are no vocals. Manilow et al., "Cutting
Music Source Separation Some Slakh", WASPAA 2019.
"""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sepkit.cache.file_facts import find_facts
from sepkit.component import DatasetConfig
from sepkit.datasets.official import facts_of
from sepkit.datasets.split import Split, split_by_hash, with_validation
from sepkit.errors import CorpusError, SepkitError
from sepkit.track import AudioFile, Track

log = logging.getLogger(__name__)

_LAYOUT = "train/Track00001/metadata.yaml and stems/S00.flac beside it (or Track00001/... directly, as in BabySlakh)"
_FOLDERS = ("train", "validation", "test", "omitted")
_ENDINGS = (".flac", ".wav")
_LACKING = "the audio of S00 is missing from the corpus"
_CORPUS_STEMS = {
    4: ("vocals", "drums", "bass", "other"),  # no song has vocals
    5: ("vocals", "drums", "bass", "other", "guitar"),
    6: ("vocals", "drums", "bass", "other", "guitar", "piano"),
}
_WITHOUT_S00 = {446, 487, 590, 1009, 1672, 1740, 1794}

Program = tuple[bool, int]
"""True for drums, and the General MIDI program, counted from 0."""


class Slakh2100(DatasetConfig):
    """Slakh2100: up to 2100 songs rendered from MIDI, for pre-training. Drums, bass, other: no vocals at all.

    It is accompaniment for the voices of other datasets, never silent vocals. Of folders with BabySlakh's layout a
    tenth each, by the hash of the name, is validation and test.
    """

    name: Literal["slakh2100"] = "slakh2100"
    root: Path = Field(default=Path("data/slakh2100"), description="folder of the unpacked corpus")
    splits: Literal["redux", "orig", "split2"] = Field(
        default="redux", description='official splits; "redux" omits 390 songs that leak from one into another'
    )
    stems: Literal[4, 5, 6] = Field(
        default=4, description="4: drums, bass and all others as other; 5: guitar apart; 6: guitar and piano apart"
    )

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of a split, or of "all".

        Raises:
            CorpusError: the folder is not Slakh2100, or a song cannot be used.
        """
        splits = self._splits(self._folders())
        songs = [folder for folder in splits if split in ("all", splits[folder])]
        useful = [folder for folder in songs if {"metadata.yaml", "stems"} <= set(os.listdir(folder))]  # noqa: PTH208
        if len(useful) < len(songs):
            log.warning(
                "%s: %d songs without metadata.yaml or stems are left out, such as %s",
                self.root, len(songs) - len(useful), next(f.name for f in songs if f not in useful),
            )  # fmt: skip
        about = {folder: folder / "metadata.yaml" for folder in useful}
        programs = find_facts("slakh-metadata-1", about.values(), _find_programs)
        if programs.errors:
            raise CorpusError("; ".join(map(str, programs.errors.values())))
        return [self._song(folder, programs.known[file]) for folder, file in about.items()]

    def _folders(self) -> list[Path]:
        """Return the folders of all songs in the chosen splits."""
        places = [self.root / name for name in _FOLDERS if (self.root / name).is_dir()] or [self.root]
        found = [Path(entry) for place in places if place.is_dir() for entry in os.scandir(place)]
        songs = sorted((path for path in found if _number(path)), key=lambda path: path.name)
        if not songs:
            raise CorpusError(f"no songs in {self.root.resolve()}. Expected {_LAYOUT}")
        omitted = set(facts_of("slakh2100")["redux_omits"]) if self.splits == "redux" else set()
        return [path for path in songs if _number(path) not in omitted]

    def _splits(self, folders: Sequence[Path]) -> dict[Path, Split]:
        """Return the split of each song: the official one, or by hash without folders of splits."""
        if folders[0].parent == self.root:
            splits = split_by_hash(folder.name for folder in folders)
        else:
            splits = with_validation({folder.name: self._official(folder) for folder in folders})
        return {folder: splits[folder.name] for folder in folders}

    def _official(self, folder: Path) -> Split:
        number = _number(folder)
        if self.splits == "split2":
            for split, moved in facts_of("slakh2100")["split2_moves"].items():
                if number in moved:
                    moved_to: Split = split
                    return moved_to
        return "train" if number <= 1500 else "validation" if number <= 1875 else "test"

    def _song(self, folder: Path, programs: dict[str, Program]) -> Track:
        """Return the song of a folder, by its files: flags and `audio_dir` in the metadata are wrong in some songs."""
        files: dict[str, list[AudioFile]] = defaultdict(list)
        entries: dict[str, str] = {}
        place = folder / "stems"
        for entry in sorted(os.listdir(place)):  # noqa: PTH208  twice as fast, for 21 000 files
            name, ending = os.path.splitext(entry)  # noqa: PTH122
            if ending.lower() not in _ENDINGS or name.startswith("."):
                continue
            if name in entries:  # their sum would be twice the stem
                raise CorpusError(f"{place}: {entries[name]} and {entry} are both {name}; keep one")
            entries[name] = entry
            files[self._stem(*programs.get(name, (False, -1)))].append(place / entry)
        if not files:
            raise CorpusError(f"{place} holds no stems; fetch the song again")
        mixture = next((path for path in (folder / f"mix{ending}" for ending in _ENDINGS) if path.exists()), None)
        stems = {stem: tuple(found) for stem, found in files.items()}
        note = _LACKING if _number(folder) in _WITHOUT_S00 else ""
        return Track(
            folder.name, stems, mixture, folder.name, complete=True, corpus_stems=_CORPUS_STEMS[self.stems], note=note
        )  # fmt: skip

    def _stem(self, is_drum: bool, program: int) -> str:  # noqa: FBT001
        if is_drum or program == 128:
            return "drums"
        if 32 <= program <= 39:
            return "bass"
        if self.stems >= 5 and 24 <= program <= 31:
            return "guitar"
        if self.stems == 6 and 0 <= program <= 7:
            return "piano"
        return "other"


def _number(folder: Path) -> int:
    """Return the number of a song, or 0 for any other folder."""
    match = re.fullmatch(r"Track(\d{5})", folder.name)
    return int(match[1]) if match else 0


def _find_programs(files: Sequence[Path]) -> Iterator[dict[str, Program] | SepkitError]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if libyaml is installed
    for file in files:
        try:
            stems = yaml.load(file.read_bytes(), Loader=loader)["stems"]  # noqa: S506  both loaders are safe
            yield {name: (bool(stem["is_drum"]), int(stem["program_num"])) for name, stem in stems.items()}
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
            yield CorpusError(f"{file}: not the metadata of a song of Slakh2100 ({type(error).__name__})")
