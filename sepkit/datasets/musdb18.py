"""MUSDB18: `ROOT/{train,test}/<Artist - Title>.stem.mp4`, five audio streams in one file."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sepkit.component import DatasetConfig
from sepkit.datasets import musdb
from sepkit.track import AudioFile, Stream, Track

_ENDINGS = (".stem.mp4", ".stem.m4a")
_LAYOUT = "train/<Artist - Title>.stem.mp4, and the same in test/"

# Numbers of the audio streams. A cover picture is a stream too, and must not be counted.
MIXTURE = 0
STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}


class MUSDB18(DatasetConfig):
    """MUSDB18: the songs of MUSDB18-HQ as AAC, cut off at 16 kHz. Needs `sepkit data prepare` for speed.

    The mixture is encoded by itself and is only about the sum of the stems; training uses the sum.
    """

    name: Literal["musdb18"] = "musdb18"
    root: Path = Field(default=Path("data/musdb18"), description="where the corpus was unpacked")

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of an official split, or of "all".

        Raises:
            CorpusError: the folder is not MUSDB18.
        """
        files = musdb.entries(self.root, split, _LAYOUT, lambda path: path.name.endswith(_ENDINGS))
        return musdb.in_split(map(_song, files), split)


def _song(path: Path) -> Track:
    stems: dict[str, AudioFile] = {stem: Stream(path, STREAMS[stem]) for stem in musdb.STEMS}
    name = path.name[: path.name.rindex(".stem.")]
    return musdb.song(name, stems, Stream(path, MIXTURE))
