"""The whole way on songs of our own making: render, train, separate a held-out song, evaluate."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sepkit import config as configs
from sepkit.checkpoints import model_file
from sepkit.config import RunConfig
from sepkit.errors import ConfigError, TrainingError
from sepkit.evaluation.estimates import ModelEstimates
from sepkit.evaluation.evaluate import Evaluation, Job, evaluate
from sepkit.separation import Separator
from sepkit.training.keeping.run_directory import RunDirectory
from sepkit.training.start import Start, begin

# Rendered in seconds, and enough to learn from.
_SONGS = {"train": 10, "validation": 1, "test": 1, "seconds": 20.0}


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where the results of the demo are."""

    model: Path
    mixture: Path
    stems: dict[str, Path]
    evaluation: Evaluation


def run_demo(folder: Path, device: torch.device, epochs: int | None, say: Callable[[str], None]) -> DemoResult:
    """Train `tiny-cpu` on the synthetic corpus in `folder`, and separate and score a song that it never heard.

    Running it again replaces the model and the stems, and keeps the songs.
    """
    config = demo_config(folder, epochs)
    if RunDirectory(folder / "checkpoints").used() and not (folder / "songs" / "recipe.txt").exists():
        raise ConfigError(f"{folder} holds a run that is not the demo's; give another --output-dir")
    say(f"Rendering songs in {folder / 'songs'}")
    dataset = config.datasets[0]
    track = dataset.tracks("test")[0]
    say(f"Training a model for {', '.join(config.audio.sources)}")
    outcome = begin(config, folder / "checkpoints", device, Start(overwrite=True))
    if outcome.signal:
        raise TrainingError("the demo was interrupted; run it again")
    model = outcome.run.best_model
    separator = Separator(model_file.load(model), device)
    mixture = track.mixture
    assert isinstance(mixture, Path)
    say(f"Separating {mixture}")
    written = separator.separate_file(mixture, folder / "separated", overwrite=True, track=track.name)
    say("Scoring it, beside the mixture as the baseline")
    job = Job((ModelEstimates("demo", separator),), config.metrics)
    return DemoResult(model, mixture, written.files, evaluate(job, [track]))


def demo_config(folder: Path, epochs: int | None = None) -> RunConfig:
    """Return the config of the demo."""
    values = configs.read_toml(_tiny_cpu())
    values["datasets"] = [{"name": "synthetic", "root": str(folder / "songs"), **_SONGS}]
    if epochs:
        values["train"]["epochs"] = epochs
    return configs.validate(values, "the demo")


def _tiny_cpu() -> Path:
    """An installed package carries the file inside; a source tree has it among its configs."""
    packaged = Path(__file__).with_name("tiny-cpu.toml")
    return packaged if packaged.exists() else Path(__file__).parent.parent / "configs" / "tiny-cpu.toml"
