"""Measure the chunks a second of the loader, beside open-unmix's `MUSDBDataset`, on the same generated corpus.

Every case gives 4 s remixed chunks of four stems, from two worker processes, to a loop that does nothing else: ours at
22 050 Hz mono (resampled from 44.1 kHz stereo where the corpus is not prepared), open-unmix's as it makes them, at 44.1
kHz stereo. The cases take turns. Then: how long a step of `configs/tiny-cpu.toml` waits for its data.

Needs ffmpeg, which open-unmix runs, and `pip install openunmix`. Goals: prepared at least 20 times open-unmix on the
same audio, and 400 chunks a second; unprepared at least twice.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader

from sepkit import config as configs
from sepkit.config import RunConfig
from sepkit.data.chunks import Batch
from sepkit.data.loader import Data
from sepkit.data.preparation import prepare
from sepkit.datasets.synthesis import write_song
from sepkit.training.loop import train
from sepkit.training.run_directory import RunDirectory

SONGS, SECONDS, TIMES, WORKERS, BATCH, ROUNDS = 5, 15.0, 8, 2, 4, 3
STREAMS = ("mixture", "drums", "bass", "other", "vocals")
TINY = Path(__file__).parent.parent / "configs" / "tiny-cpu.toml"


def main() -> None:
    """Print chunks a second of each case, and what they are of open-unmix's."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["SEPKIT_CACHE"] = str(root / "cache")
        wav, mp4 = _corpus(root)
        cases = {
            "open-unmix, wav": (_open_unmix(wav, is_wav=True), 4),
            "open-unmix, stem.mp4": (_open_unmix(mp4, is_wav=False), 4),
            "unprepared, wav": (_ours("musdb18hq", wav), 40),
            "unprepared, stem.mp4": (_ours("musdb18", mp4), 6),
        }
        prepare(_config("musdb18hq", wav), WORKERS)
        cases["prepared"] = (_ours("musdb18hq", wav), 400)
        rates: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS):
            for name, (batches, count) in cases.items():
                rates[name].append(_rate(batches, count))
        _report({name: median(found) for name, found in rates.items()})
        _waiting(wav, root)


def _report(rates: dict[str, float]) -> None:
    for name, rate in rates.items():
        ratios = [f"{rate / rates[other]:.1f} x {other}" for other in list(rates)[:2] if other != name]
        print(f"{name:22} {rate:7.1f} chunks/s   {', '.join(ratios)}")
    print(f"prepared feeds a GPU whose step of 32 chunks takes {32 / rates['prepared'] * 1000:.0f} ms")


def _rate(batches: Callable[[], Iterator[int]], count: int) -> float:
    """Chunks a second over `count` batches, after those that the workers have loaded ahead of the first one."""
    series = batches()
    list(islice(series, 2 * WORKERS + 1))
    started = perf_counter()
    chunks = sum(islice(series, count))
    return chunks / (perf_counter() - started)


def _ours(name: str, root: Path) -> Callable[[], Iterator[int]]:
    data = Data(_config(name, root))

    def batches() -> Iterator[int]:
        return (len(batch["mixture"]) for batch in data.train_batches(0))

    return batches


def _config(name: str, root: Path) -> RunConfig:
    return configs.load(None, [
        f'datasets=[{{name="{name}", root="{root}"}}]',
        'audio.sources=["vocals", "drums", "bass", "other"]',
        "train.remix=1", "train.silent=0", f"train.workers={WORKERS}", f"train.batch_size={BATCH}",
    ])  # fmt: skip


def _open_unmix(root: Path, *, is_wav: bool) -> Callable[[], Iterator[int]]:
    from openunmix.data import MUSDBDataset

    dataset: Any = MUSDBDataset(
        root=str(root), is_wav=is_wav, subsets="train", split="train", target="vocals", seq_duration=4.0,
        random_track_mix=True, samples_per_track=10_000,
    )  # fmt: skip

    def batches() -> Iterator[int]:
        loader = DataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, shuffle=True)
        return (len(x) for x, _ in loader)

    return batches


def _corpus(root: Path) -> tuple[Path, Path]:
    """Render songs of two minutes in the layout of MUSDB18-HQ, and encode each to a `.stem.mp4` as well."""
    for number in range(SONGS):
        split, name = ("validation", "Triviul - Angelsaint") if number == 0 else ("train", f"Artist - Song {number}")
        song = root / "wav" / "train" / name
        write_song(song, (0, number), SECONDS)
        for stem in STREAMS:
            samples, rate = soundfile.read(song / f"{stem}.wav", dtype="int16")
            soundfile.write(song / f"{stem}.wav", np.tile(samples, (TIMES, 1)), rate)
        encoded = root / "mp4" / "train" / f"{name}.stem.mp4"
        encoded.parent.mkdir(parents=True, exist_ok=True)
        inputs = [argument for stem in STREAMS for argument in ("-i", str(song / f"{stem}.wav"))]
        maps = [argument for n in range(len(STREAMS)) for argument in ("-map", f"{n}:a")]
        codec = ["-c:a", "aac", "-b:a", "256k"]
        subprocess.run(["ffmpeg", "-v", "error", *inputs, *maps, *codec, str(encoded)], check=True)
    for split in ("wav/test", "mp4/test"):
        (root / split).mkdir()
    return root / "wav", root / "mp4"


class _Watched(Data):
    """Counts the seconds in which the loop waits for a batch."""

    waited = 0.0

    def train_batches(self, first_step: int) -> Iterator[Batch]:
        series = super().train_batches(first_step)
        while True:
            started = perf_counter()
            batch = next(series)
            self.waited += perf_counter() - started
            yield batch


def _waiting(wav: Path, root: Path) -> None:
    """Train `tiny-cpu` for an epoch on the prepared corpus, and print the share of a step that waits for data."""
    config = configs.load(TINY, [
        f'datasets=[{{name="musdb18hq", root="{wav}"}}]', "train.epochs=2", "train.steps_per_epoch=60",
    ])  # fmt: skip
    for text in ("unprepared", "prepared"):
        data = _Watched(config)
        started = perf_counter()
        train(config, data, RunDirectory(root / text), torch.device("cpu"))
        print(f"tiny-cpu, {text}: waits for data {data.waited / (perf_counter() - started):.1%} of the time")
        prepare(config, WORKERS)


if __name__ == "__main__":
    main()
