"""Train the CRNN and open-unmix on the same chunks of MIR-1K, and for the same time, each from several seeds.

Both are trained by `sepkit train benchmarks/mir1k.toml`, so split, remixing, loss, optimiser and schedule are the same,
and scored on two other singers. Runs one after the other, on all cores; a run that is there is not
made again, and one that was interrupted goes on. Needs `plugins/sepkit-openunmix`, and MIR-1K in `SEPKIT_AUDIO`.

Prints Markdown tables; exits 1 if a goal is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any

from goals import Goal, judged, print_table

CONFIG = Path(__file__).parent / "mir1k.toml"
SETTINGS = {
    "crnn": {},
    # As wide as its authors made it, on the transform of the CRNN.
    "openunmix": {"model.name": "openunmix", "model.n_fft": 1024, "model.hop_length": 256, "model.hidden": 512},
}


@dataclass(frozen=True)
class Run:
    """A model and a seed, trained and scored in a folder."""

    folder: Path
    model: str
    seed: int

    def make(self, epochs: int) -> None:
        """Train, or go on, and evaluate."""
        data = Path(os.environ["SEPKIT_AUDIO"]) / "mir1k"
        wanted = {"seed": self.seed, "train.validation.sdr_every": 1, **SETTINGS[self.model]}
        given = [word for key, value in wanted.items() for word in ("--set", f"{key}={value}")]
        _sepkit(
            "train", CONFIG, "--data-dir", data, "--output-dir", self.folder, "--epochs", epochs, "--resume", *given
        )
        if not (self.folder / "evaluation" / "summary.json").exists():
            scored = ("--output-dir", self.folder / "evaluation", "--target", "vocals")
            _sepkit("evaluate", self.folder / "config.toml", "-m", self.folder, *scored)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch."""
        return [json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()]

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Return the scores of an evaluation."""
        found: dict[str, Any] = json.loads((self.folder / "evaluation" / "summary.json").read_text())
        return found

    @property
    def scores(self) -> list[float]:
        """The SDR of the vocals of each clip in dB."""
        rows = self.summary["tracks"]
        return [
            row["score"] for row in rows if (row["metric"], row["estimate"]) == ("sdr", self.summary["estimates"][0])
        ]

    @property
    def minutes(self) -> float:
        """Of training and validation."""
        return sum(row["seconds"] for row in self.history) / 60


def main() -> int:
    """Make the runs and print what they reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("open-unmix-runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="of 160 steps each")
    options = parser.parse_args()
    runs = {
        model: [Run(options.output_dir / f"{model}-{seed}", model, seed) for seed in range(options.seeds)]
        for model in SETTINGS
    }
    for pair in zip(*runs.values(), strict=True):
        for run in pair:
            run.make(options.epochs)
    return _report(runs)


def _report(runs: dict[str, list[Run]]) -> int:
    """Print scores, cost and curves, and judge them."""
    medians = {model: [median(run.scores) for run in some] for model, some in runs.items()}
    means = {model: [fmean(run.scores) for run in some] for model, some in runs.items()}
    minutes = {model: fmean(run.minutes for run in some) for model, some in runs.items()}
    costs = {model: next(iter(some[0].summary["cost"].values())) for model, some in runs.items()}
    rows = [
        (model, f"{costs[model]['parameters'] / 1e6:.2f} M", f"{costs[model]['real_time_factor']:.4f}",
         f"{minutes[model]:.1f}", _seeds(medians[model]), _seeds(means[model]))
        for model in runs
    ]  # fmt: skip
    print_table(("", "parameters", "real-time factor", "minutes of training", "median of the clips, each seed, and "
                 "their mean", "mean of the clips"), rows)  # fmt: skip
    curves = [map(fmean, zip(*map(_curve, some), strict=True)) for some in runs.values()]
    epochs = [(str(epoch), *map("{:.2f}".format, sdr)) for epoch, sdr in enumerate(zip(*curves, strict=True), 1)]
    print_table(("validation SDR after epoch", *runs), epochs)
    ahead = fmean(means["crnn"]) - fmean(means["openunmix"])
    return judged([
        Goal("dB ahead of open-unmix at equal examples, mean of clips and seeds", ahead, 1, least=True),
        Goal("minutes of training, of open-unmix's", minutes["crnn"] / minutes["openunmix"], 1),
    ])  # fmt: skip


def _seeds(scores: list[float]) -> str:
    return f"{', '.join(f'{score:.2f}' for score in scores)}: **{fmean(scores):.2f}**"


def _curve(run: Run) -> list[float]:
    """Return the SDR of the five validation clips after each epoch."""
    return [row["sdr"]["vocals"] for row in run.history]


def _sepkit(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "sepkit", *map(str, arguments)], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
