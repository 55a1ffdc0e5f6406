"""MoisesDB: `ROOT/[moisesdb_v0.1/]<uuid>/data.json` and `<uuid>/<stemName>/<track-id>.<extension>`.

Songs have any of eleven stems, each the sum of one or several recordings; there is no mixture file and no official
split. Pereira et al., "MoisesDB: A dataset for source separation beyond 4-stems", ISMIR 2023.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

from pydantic import Field, TypeAdapter, ValidationError

from sepkit.component import DatasetConfig
from sepkit.config_errors import explain
from sepkit.datasets.split import Split, split_by_hash
from sepkit.errors import CorpusError
from sepkit.track import AudioFile, Track

_INNER = "moisesdb_v0.1"
_LAYOUT = f"<uuid>/data.json and <uuid>/<stem>/<recording>.wav, in it or in its {_INNER}/"
_KEPT = {
    4: ("vocals", "drums", "bass"),
    5: ("vocals", "drums", "bass", "guitar"),
    6: ("vocals", "drums", "bass", "guitar", "piano"),
}


class MoisesDB(DatasetConfig):
    """MoisesDB: 240 songs of up to eleven stems, here summed to the usual ones. Variety beside MUSDB18-HQ.

    Songs lack stems; such a stem is absent, not silent.
    """

    name: Literal["moisesdb"] = "moisesdb"
    root: Path = Field(default=Path("data/moisesdb"), description="folder of the unpacked corpus")
    stems: Literal[4, 5, 6] = Field(
        default=4,
        description="4: vocals, drums, bass and all others as other; 5: guitar apart; 6: guitar and piano apart",
    )
    splits: str = Field(
        default="",
        description='JSON file {"validation": [uuid, ...], "test": [uuid, ...]}, all others train; '
        'by default a tenth each, by the hash of the uuid',
    )  # fmt: skip

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of a split, or of "all".

        Raises:
            CorpusError: the folder is not MoisesDB, a song lacks files, or the file of splits cannot be used.
        """
        inner = self.root / _INNER
        root = inner if inner.is_dir() else self.root
        folders = sorted(path.parent for path in root.glob("*/data.json"))
        if not folders:
            raise CorpusError(f"no songs in {self.root.resolve()}. Expected {_LAYOUT}")
        splits = self._splits({folder.name for folder in folders})
        songs, faults = [], []
        for folder in folders:
            if split in ("all", splits[folder.name]):
                try:
                    songs.append(self._song(folder))
                except CorpusError as error:
                    faults.append(str(error))
        if faults:
            raise CorpusError(f"{len(faults)} songs cannot be used: {'; '.join(faults)}")
        return songs

    def _splits(self, known: set[str]) -> Mapping[str, str]:
        """Return the split of each song: from the file of splits, or by the hash of the uuid without one."""
        if not self.splits:
            return split_by_hash(known)
        listed = _read_splits(Path(self.splits))
        unknown = sorted(set(listed) - known)
        if unknown:
            raise CorpusError(f"{self.splits}: no songs of {self.root.resolve()}: {', '.join(unknown[:5])}")
        return {uuid: listed.get(uuid, "train") for uuid in known}

    def _song(self, folder: Path) -> Track:
        about = _about(folder / "data.json")
        files: dict[str, list[AudioFile]] = defaultdict(list)
        bleeding = set()
        for stem in about["stems"]:  # the same name may come twice
            target = stem["stemName"] if stem["stemName"] in _KEPT[self.stems] else "other"
            for recording in stem["tracks"]:
                file = folder / stem["stemName"] / f"{recording['id']}.{recording['extension'].removeprefix('.')}"
                if not file.is_file():
                    raise CorpusError(f"{folder / 'data.json'} names {file}, which is missing; fetch the song again")
                files[target].append(file)
                bleeding |= {stem["stemName"]} if recording.get("has_bleed") else set()
        artist, title = (normalize("NFC", str(about.get(key) or "")) for key in ("artist", "song"))
        return Track(
            name=f"{artist} - {title} ({folder.name[:8]})" if artist and title else folder.name,
            stems={stem: tuple(found) for stem, found in files.items()},
            group=folder.name,
            complete=True,
            corpus_stems=(*_KEPT[self.stems], "other"),
            artist=artist,
            title=title,
            note=f"other instruments bleed into {', '.join(sorted(bleeding))}" if bleeding else "",
        )


def _read_splits(path: Path) -> dict[str, str]:
    """Return the split of each song that a file of splits lists."""
    try:
        lists = TypeAdapter(dict[Split, list[str]]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorpusError(f"{path}: not a file of splits ({explain(error)})") from None
    except OSError as error:
        raise CorpusError(f"{path}: not a file of splits ({error})") from None
    listed = [(uuid, split) for split, uuids in lists.items() for uuid in uuids]
    twice = sorted(uuid for uuid, count in Counter(uuid for uuid, _ in listed).items() if count > 1)
    if twice:
        raise CorpusError(f"{path}: listed more than once: {', '.join(twice[:5])}")
    return dict(listed)


def _about(path: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for stem in about["stems"]:
            _ = stem["stemName"], [(str(track["id"]), str(track["extension"])) for track in stem["tracks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path}: not a song of MoisesDB ({type(error).__name__}: {error})") from None
    return about
