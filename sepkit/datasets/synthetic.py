"""A synthetic corpus, rendered in seconds: for the demo, tests, and first steps without any data."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sepkit.atomic import write_text
from sepkit.component import DatasetConfig
from sepkit.datasets.folder import Folder
from sepkit.errors import CorpusError
from sepkit.track import Track

_SPLITS = ("train", "validation", "test")
_ELSEWHERE = "Remove it, or set another root of the dataset"


class Synthetic(DatasetConfig):
    """Songs with drums, bass, chords ("other") and a formant-synthesised voice, 44.1 kHz stereo.

    They are written below `root` as a plain folder corpus when first asked for, and are the same for the same seed.
    """

    name: Literal["synthetic"] = "synthetic"
    root: Path = Field(default=Path("data/synthetic"), description="folder of the rendered songs")
    train: int = Field(default=10, ge=1, le=1000, description="songs to train on")
    validation: int = Field(default=2, ge=1, le=1000, description="songs to validate on")
    test: int = Field(default=2, ge=1, le=1000, description="songs to test on")
    seconds: float = Field(default=24.0, ge=1, le=600, description="length of a song")
    seed: int = Field(default=0, ge=0, description="of all that is random in the songs")

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of a split, or of "all"; songs that are not there yet are rendered.

        Raises:
            CorpusError: `root` holds songs that were rendered with other settings, or cannot be written.
        """
        self._render()
        parts = [part for part in _SPLITS if split in (part, "all")]
        return [track for part in parts for track in Folder(root=self.root / part).tracks("all")]

    def _render(self) -> None:
        """Write missing songs: the recipe first, and in each song the mixture last, so that it can be interrupted."""
        from sepkit.datasets.synthesis import RECIPE, write_song

        songs = f"{self.train} + {self.validation} + {self.test} songs of {self.seconds:g} s, seed {self.seed}"
        recipe = f"{RECIPE}: {songs}\n"
        stamp = self.root / "recipe.txt"
        try:
            if not stamp.exists() and self.root.exists() and any(self.root.iterdir()):
                raise CorpusError(f"{self.root.resolve()} is no folder of synthetic songs. {_ELSEWHERE}")
            if stamp.exists() and stamp.read_text(encoding="utf-8") != recipe:
                raise CorpusError(f"{self.root.resolve()} holds synthetic songs of other settings. {_ELSEWHERE}")
            self.root.mkdir(parents=True, exist_ok=True)
            write_text(stamp, recipe)
            for number, folder in enumerate(self._folders()):
                if not (folder / "mixture.wav").exists():
                    write_song(folder, (self.seed, number), self.seconds)
        except OSError as error:
            raise CorpusError(f"{self.root}: cannot be written ({error})") from None

    def _folders(self) -> list[Path]:
        counts = (self.train, self.validation, self.test)
        parts = [part for part, count in zip(_SPLITS, counts, strict=True) for _ in range(count)]
        return [self.root / part / f"song-{number:03d}" for number, part in enumerate(parts)]
