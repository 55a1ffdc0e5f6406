"""Compare the resident memory of `sepkit train` and its worker after 3 and after 50 epochs. Goal: within 2 %.

The corpus is small and not prepared, so files are decoded all the time.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

import psutil

from sepkit.datasets.synthesis import write_song

CONFIG = """
[model]
name = "crnn"
channels = [8, 8, 16, 16]
projection = 32
hidden = 32
layers = 1
[[augmentations]]
name = "gain"
[train]
epochs = 52
steps_per_epoch = 20
batch_size = 8
chunk_seconds = 2.0
workers = 1
patience = 100
"""


def main() -> None:
    """Print resident megabytes at both times, and their ratio."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(5):
            write_song(root / "songs" / f"song{number}", (0, number), 10.0)
        (root / "run.toml").write_text(CONFIG)
        command = [sys.executable, "-m", "sepkit", "train", root / "run.toml", "--data-dir", root / "songs"]
        environment = {**os.environ, "SEPKIT_CACHE": str(root / "cache")}
        with subprocess.Popen([*command, "--output-dir", root / "run"], env=environment) as process:
            early, late = (_resident(process.pid, root / "run" / "history.jsonl", epoch) for epoch in (3, 50))
    for name, a, b in zip(("process", "worker"), early, late, strict=True):
        print(f"{name}: {a:.1f} MB after 3 epochs, {b:.1f} MB after 50: {b / a:.3f}")


def _resident(pid: int, history: Path, epoch: int) -> tuple[float, float]:
    """The process and its training worker during the epoch that follows; the median, as validation has its own."""
    process, samples = psutil.Process(pid), []
    while not history.exists() or len(history.read_text().splitlines()) < epoch:
        sleep(0.02)
    while len(history.read_text().splitlines()) < epoch + 1:
        worker, *_ = sorted(process.children(), key=lambda child: child.pid)
        samples.append((process.memory_info().rss / 1e6, worker.memory_info().rss / 1e6))
        sleep(0.01)
    main_, worker_ = zip(*samples, strict=True)
    return median(main_), median(worker_)


if __name__ == "__main__":
    main()
