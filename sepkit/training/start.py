"""How a run begins: afresh, continued from its state, or fine-tuned from weights."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sepkit.checkpoints import model_file, tensor_file
from sepkit.config import RunConfig
from sepkit.errors import ConfigError
from sepkit.training import state as states
from sepkit.training.loop import Outcome, train
from sepkit.training.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Start:
    """What the user asked for. At most one of the three."""

    resume: bool = False
    resume_from: Path | None = None
    overwrite: bool = False


def begin(config: RunConfig, folder: Path, device: torch.device, start: Start) -> Outcome:
    """Train in `folder`, from where `start` says.

    `resume` continues the run in the folder, or starts afresh if there is none. `resume_from` takes either file: a
    state continues its run, in this folder; weights start a fine-tuning with a fresh optimiser.

    Raises:
        ConfigError: the options contradict each other, the folder holds another run, or the config changed what the
            network is or hears.
    """
    if start.resume and (start.resume_from or start.overwrite):
        raise ConfigError("--resume continues the run in the output folder; leave out --resume-from and --overwrite")
    run = RunDirectory(folder)
    if start.resume_from:
        return _from_file(config, run, device, start.resume_from, overwrite=start.overwrite)
    if start.resume and run.last_state.exists():
        return _continue(config, run, device)
    run.start(config, overwrite=start.overwrite)
    return train(config, run, device)


def _from_file(config: RunConfig, run: RunDirectory, device: torch.device, file: Path, *, overwrite: bool) -> Outcome:
    if states.holds_state(file):
        if file.resolve() != run.last_state.resolve():
            _compare(config, tensor_file.read(file)[0], file)
            run.start(config, overwrite=overwrite)
            _adopt(run, file)
        return _continue(config, run, device)
    weights = model_file.load(file)
    _compare(config, weights.manifest.model_dump(mode="json"), file)
    run.start(config, overwrite=overwrite)
    return train(config, run, device, weights=weights)


def _continue(config: RunConfig, run: RunDirectory, device: torch.device) -> Outcome:
    _compare(config, tensor_file.read(run.last_state)[0], run.last_state)
    return train(config, run, device, state=run.last_state)


def _adopt(run: RunDirectory, state: Path) -> None:
    """Bring the state, and the history and best model beside it, into a new folder."""
    origin = RunDirectory(state.parent)
    for source, target in ((state, run.last_state), (origin.history, run.history), (origin.best_model, run.best_model)):
        if source.exists():
            shutil.copyfile(source, target)


def _compare(config: RunConfig, manifest: dict[str, Any], file: Path) -> None:
    """Refuse a config whose network differs from the one in a file, naming each key with both values."""
    now = config.model_dump(mode="json")
    changes = [
        f"{section}.{key} is {now[section].get(key)!r}, in the file {manifest[section].get(key)!r}"
        for section in ("audio", "model")
        for key in sorted({*now[section], *manifest[section]})
        if now[section].get(key) != manifest[section].get(key)
    ]
    if changes:
        raise ConfigError(f"{file} was trained with another network: {'; '.join(changes)}. Use its values, or start afresh")
