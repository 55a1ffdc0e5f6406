"""The whole way on synthetic songs: render, train, separate a held-out song, evaluate."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sepkit import config as configs
from sepkit.checkpoints import model_file
from sepkit.config import RunConfig
from sepkit.errors import ConfigError
from sepkit.evaluation.estimates import ModelEstimates
from sepkit.evaluation.evaluate import Evaluation, evaluate
from sepkit.evaluation.song_scorer import SongScorer
from sepkit.songs.separator import Separator
from sepkit.training.loop import Outcome
from sepkit.training.run_directory import RunDirectory
from sepkit.training.start import begin

# Rendered in seconds, and enough to learn from.
_SONGS = {"train": 10, "validation": 1, "test": 1, "seconds": 20.0}


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The files and scores of the demo."""

    model: Path
    mixture: Path
    stems: dict[str, Path]
    evaluation: Evaluation


def train_demo(folder: Path, device: torch.device, epochs: int | None, say: Callable[[str], None]) -> Outcome:
    """Train `tiny-cpu` on the synthetic corpus in `folder`. Resume a demo of the same settings.

    Raises:
        ConfigError: `folder` holds a run of something else.
    """
    config, run = demo_config(folder, epochs), RunDirectory(folder / "checkpoints")
    if run.used() and not (folder / "songs" / "recipe.txt").exists():
        raise ConfigError(f"{folder} holds a run that is not of the demo; give another --output-dir")
    say(f"Rendering songs in {folder / 'songs'}")
    config.datasets[0].tracks("all")
    say(f"Training a model for {', '.join(config.audio.sources)}")
    resumes = run.last_state.exists() and _same(run.config, config)
    return begin(config, run.path, device, resume=resumes, overwrite=not resumes)


def score_demo(folder: Path, device: torch.device, say: Callable[[str], None]) -> DemoResult:
    """Separate and score a song of the test split; replace the files of an earlier demo."""
    config, model = demo_config(folder), RunDirectory(folder / "checkpoints").best_model
    track = config.datasets[0].tracks("test")[0]
    separator = Separator(model_file.load(model), device)
    mixture = track.mixture
    assert isinstance(mixture, Path)
    say(f"Separating {mixture}")
    written = separator.separate_file(mixture, folder / "separated", overwrite=True, track=track.name)
    say("Scoring it, beside the mixture as the baseline")
    scorer = SongScorer((ModelEstimates("demo", separator),), config.metrics)
    return DemoResult(model, mixture, written.files, evaluate(scorer, [track]))


def demo_config(folder: Path, epochs: int | None = None) -> RunConfig:
    """Return the config of the demo."""
    values = configs.read_toml(_tiny_cpu())
    values["datasets"] = [{"name": "synthetic", "root": str(folder / "songs"), **_SONGS}]
    if epochs:
        values["train"]["epochs"] = epochs
    return configs.validate(values, "the demo")


def _same(file: Path, config: RunConfig) -> bool:
    """Return True if the config of a run is this one, whatever the path of its songs."""
    try:
        return configs.load(file).model_copy(update={"datasets": config.datasets}) == config
    except ConfigError:
        return False


def _tiny_cpu() -> Path:
    """Return the path of the config, in an installed package or in a source tree."""
    packaged = Path(__file__).with_name("tiny-cpu.toml")
    return packaged if packaged.exists() else Path(__file__).parent.parent / "configs" / "tiny-cpu.toml"
