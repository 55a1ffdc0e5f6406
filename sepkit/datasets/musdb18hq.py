"""MUSDB18-HQ: `ROOT/{train,test}/<Artist - Title>/{mixture,vocals,drums,bass,other}.wav`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sepkit.component import DatasetConfig
from sepkit.datasets import musdb
from sepkit.errors import CorpusError
from sepkit.track import Track

_LAYOUT = "train/<Artist - Title>/mixture.wav, vocals.wav, drums.wav, bass.wav, other.wav, and the same in test/"


class MUSDB18HQ(DatasetConfig):
    """MUSDB18-HQ: 86 + 14 + 50 songs of vocals, drums, bass and other, uncompressed. The corpus to train on first."""

    name: Literal["musdb18hq"] = "musdb18hq"
    root: Path = Field(default=Path("data/musdb18hq"), description="where the corpus was unpacked")

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of an official split, or of "all".

        Raises:
            CorpusError: the folder is not MUSDB18-HQ, or songs lack files.
        """
        folders = musdb.entries(self.root, split, _LAYOUT, Path.is_dir)
        wanted = {stem: f"{stem}.wav" for stem in ("mixture", *musdb.STEMS)}
        present = {folder: {path.name for path in folder.iterdir()} for folder in folders}
        lacking = [
            f"{folder / name}" for folder in folders for name in wanted.values() if name not in present[folder]
        ]  # fmt: skip
        if lacking:
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise CorpusError(f"missing: {', '.join(lacking[:5])}{more}. Expected {_LAYOUT}")
        tracks = [
            musdb.song(folder.name, {stem: folder / wanted[stem] for stem in musdb.STEMS}, folder / "mixture.wav")
            for folder in folders
        ]
        return musdb.in_split(tracks, split)
