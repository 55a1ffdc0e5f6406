"""MoisesDB: `ROOT/[moisesdb_v0.1/]<uuid>/data.json` and `<uuid>/<stemName>/<track-id>.<extension>`.

Songs have any of eleven stems, each the sum of one or several recordings; there is no mixture file and no official
split. Pereira et al., "MoisesDB: A dataset for source separation beyond 4-stems", ISMIR 2023.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

from pydantic import Field

from sepkit.component import AudioFile, DatasetConfig, Track
from sepkit.datasets.split import split_by_hash
from sepkit.errors import CorpusError

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
    root: Path = Path("data/moisesdb")
    stems: Literal[4, 5, 6] = Field(
        default=4,
        description="4: vocals, drums, bass and the rest as other; 5: guitar apart; 6: guitar and piano apart",
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
        split_of = self._listed({folder.name for folder in folders})
        wanted = [
            f for f in folders if split in ("all", split_of.get(f.name, "train") if split_of else split_by_hash(f.name))
        ]
        return [self._song(folder) for folder in wanted]

    def _listed(self, known: set[str]) -> dict[str, str]:
        """Return the split of each song in the file of splits, or nothing without one."""
        if not self.splits:
            return {}
        try:
            lists = json.loads(Path(self.splits).read_text(encoding="utf-8"))
            listed = {str(uuid): str(split) for split, uuids in lists.items() for uuid in uuids}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CorpusError(f"{self.splits}: not a file of splits ({error})") from None
        unknown = sorted(set(listed) - known) or sorted(set(listed.values()) - {"train", "validation", "test"})
        if unknown:
            raise CorpusError(
                f"{self.splits}: unknown: {', '.join(unknown[:5])}; expected songs of {self.root.resolve()}"
            )
        return listed

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
        artist, title = (normalize("NFC", about.get(key) or "") for key in ("artist", "song"))
        return Track(
            name=f"{artist} - {title} ({folder.name[:8]})" if artist and title else folder.name,
            stems={stem: tuple(found) for stem, found in files.items()},
            group=folder.name,
            complete=True,
            artist=artist,
            title=title,
            note=f"other instruments bleed into {', '.join(sorted(bleeding))}" if bleeding else "",
        )


def _about(path: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for stem in about["stems"]:
            _ = stem["stemName"], [(str(track["id"]), str(track["extension"])) for track in stem["tracks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path}: not a song of MoisesDB ({type(error).__name__}: {error})") from None
    return about
