"""The songs, the model and the commands that `separate.py` measures."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import separate_peers as peers
import soundfile
import torch
from numpy.typing import NDArray

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file

RATE = 44_100


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder of this run, how often each case takes its turn, and the minutes of the songs."""

    folder: Path
    rounds: int
    minutes: float
    long: float

    @property
    def model(self) -> Path:
        """The default CRNN."""
        return self.folder / "model.safetensors"

    def song(self, minutes: float) -> Path:
        """Return a song of a length, written at the first time."""
        path = self.folder / f"{minutes:g}.wav"
        if not path.exists():
            loop, left = _sound(), round(minutes * 60 * RATE)
            with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
                while left > 0:
                    file.write(loop[:left])
                    left -= len(loop)
        return path

    def sepkit(self, minutes: float, *options: str) -> list[str]:
        """Return the command that separates a song."""
        output = self.folder / "sepkit"
        given = ["-m", self.model, "-o", output, "--device", "cpu", "--overwrite", *options]
        return [sys.executable, "-m", "sepkit", "separate", *map(str, [self.song(minutes), *given])]

    def peer(self, name: str, minutes: float) -> list[str]:
        """Return the command that separates a song with a peer."""
        weights = self.folder / f"{name}.safetensors"
        if not weights.exists():
            peers.save_weights(name, weights)
        return [sys.executable, peers.__file__, name, *map(str, [weights, self.song(minutes), self.folder / name])]


def write_model(path: Path) -> None:
    """Write the default CRNN with random weights."""
    config = configs.load(None, [])
    torch.manual_seed(0)
    with Commit() as commit:
        model_file.stage(commit, path, config.model.build(config.audio), model_file.manifest_of(config))


def _sound() -> NDArray[np.float32]:
    """Return [time, channel]: a real song, or half a minute of tones in noise."""
    folder = os.environ.get("SEPKIT_AUDIO")
    for path in sorted(Path(folder).glob("songs/**/mixture.*")) if folder else []:
        samples: NDArray[np.float32]
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if (rate, samples.shape[1]) == (RATE, 2):
            return samples
    rng = np.random.default_rng(0)
    time = np.arange(30 * RATE, dtype=np.float32)[:, None] / RATE
    tones = sum(0.05 * np.sin(2 * np.pi * rng.uniform(80, 8000, (1, 2)) * time) for _ in range(8))
    sound: NDArray[np.float32] = (tones + 0.05 * rng.standard_normal((len(time), 2))).astype(np.float32)
    return sound
