"""Measure the index of a large corpus: 2100 tracks of 10 stems each, cold and warm; and the memory of a worker.

The tree has the layout of Slakh2100; every stem is a hard link to one short file. Each figure is a process of its own.
Cold: nothing is remembered, so every metadata.yaml is parsed and every header read. Warm: every file's size and
time are looked at, nothing is opened. Goals on two cores: 5 s cold, 0.5 s warm. Then the memory that is a worker's own,
for a corpus of 100 tracks and for all: it must not grow.
"""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import psutil
import soundfile
import torch.multiprocessing

from sepkit import config as configs
from sepkit.config import RunConfig
from sepkit.data.corpus import songs_in
from sepkit.data.loader import Data

TRACKS, STEMS, RUNS = 2100, 10, 5
PROGRAMS = (0, 30, 33, 128, 48, 52, 16, 5, 26, 80)


def main() -> None:
    """Print the figures, or, called with the name of one, measure that."""
    if len(sys.argv) > 1:
        print({"index": _index, "worker": _worker}[sys.argv[1]](*sys.argv[2:]))
        return
    with TemporaryDirectory() as folder:
        root = Path(folder)
        _tree(root / "all", TRACKS)
        _tree(root / "some", 100)
        cold = [_measured(root / f"cache{n}", "index", str(root / "all")) for n in range(RUNS)]
        warm = [_measured(root / "cache0", "index", str(root / "all")) for _ in range(RUNS)]
        print(f"{TRACKS} tracks of {STEMS} stems: cold {median(cold):.2f} s, warm {median(warm):.2f} s")
        for method in ("fork", "spawn"):
            some, every = (_measured(root / "cache0", "worker", str(root / n), method) for n in ("some", "all"))
            print(f"a worker's own memory ({method}): {some:.1f} MB for 100 tracks, {every:.1f} MB for {TRACKS}")


def _measured(cache: Path, *arguments: str) -> float:
    environment = {**os.environ, "SEPKIT_CACHE": str(cache)}
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def _index(root: str) -> float:
    """Seconds from a config to songs that can be drawn from, all imports done."""
    import yaml  # noqa: F401

    config = _config(root)
    started = perf_counter()
    songs = songs_in(config, "all")
    seconds = perf_counter() - started
    assert len(songs) == TRACKS
    return seconds


def _worker(root: str, method: str) -> float:
    """Megabytes that belong to a worker alone (USS) after it has made 500 batches."""
    torch.multiprocessing.set_start_method(method, force=True)
    batches = Data(_config(root)).train_batches(0)
    list(islice(batches, 500))
    (worker,) = [child for child in psutil.Process().children() if "resource_tracker" not in " ".join(child.cmdline())]
    return float(worker.memory_full_info().uss / 1e6)


def _config(root: str) -> RunConfig:
    return configs.load(None, [
        f'datasets=[{{name="slakh2100", root="{root}", splits="orig"}}]', 'audio.sources=["drums", "bass", "other"]',
        "train.workers=1", "train.batch_size=4", "train.chunk_seconds=0.5",
    ])  # fmt: skip


def _tree(root: Path, tracks: int) -> None:
    """Track numbers are spread over the corpus, so that every split has some."""
    root.mkdir()
    stem = root / "stem.flac"
    soundfile.write(stem, np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 44100)
    names = [f"S{number:02}" for number in range(STEMS)]
    metadata = "".join(
        _METADATA.format(name=n, program=p, drum=str(p == 128).lower()) for n, p in zip(names, PROGRAMS, strict=True)
    )
    for number in range(1, 2101, 2100 // tracks):
        split = "train" if number <= 1500 else "validation" if number <= 1875 else "test"
        folder = root / split / f"Track{number:05}"
        (folder / "stems").mkdir(parents=True)
        (folder / "metadata.yaml").write_text(_HEAD + metadata)
        (folder / "mix.flac").hardlink_to(stem)
        for name in names:
            (folder / "stems" / f"{name}.flac").hardlink_to(stem)


_HEAD = """UUID: 00000000000000000000000000000000
audio_dir: stems
normalization_factor: -13.0
normalized: true
overall_gain: 0.18
stems:
"""
_METADATA = """  {name}:
    audio_rendered: true
    inst_class: Instrument
    integrated_loudness: -17.5
    is_drum: {drum}
    midi_program_name: Program
    midi_saved: true
    plugin_name: plugin.nkm
    program_num: {program}
"""

if __name__ == "__main__":
    main()
