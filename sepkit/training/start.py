"""How a run begins: afresh, continued from its state, or fine-tuned from weights."""

from dataclasses import dataclass
from pathlib import Path

import torch

from sepkit.checkpoints import model_file, tensor_file
from sepkit.checkpoints.model_file import Manifest
from sepkit.config import RunConfig
from sepkit.data.loader import Data
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
    resumed = run.last_state if start.resume and run.last_state.exists() else start.resume_from
    if resumed and resumed.is_dir():
        resumed = RunDirectory(resumed).last_state
    if resumed and states.holds_state(resumed):
        return _continue(config, run, device, resumed, overwrite=start.overwrite)
    weights = model_file.load(resumed) if resumed else None
    if weights:
        _check_unchanged(config, weights.manifest, weights.path)
        run.check_foreign(weights.path)
    run.check_free(overwrite=start.overwrite)
    return train(config, Data(config), run, device, weights=weights)


def _continue(config: RunConfig, run: RunDirectory, device: torch.device, state: Path, *, overwrite: bool) -> Outcome:
    """Go on from a state; one from elsewhere is brought into this run's folder first."""
    manifest = model_file.parse_manifest(state, tensor_file.read(state)[0])
    _check_unchanged(config, manifest, state)
    data = Data(config)
    if state.resolve() != run.last_state.resolve():
        run.check_foreign(state)
        run.check_free(overwrite=overwrite)
        if manifest.epoch >= config.train.epochs:
            raise ConfigError(f"the run of {state} is done after epoch {manifest.epoch}; go on with more --epochs")
        run.prepare()
        run.adopt(state)
    return train(config, data, run, device, state=run.last_state)


def _check_unchanged(config: RunConfig, manifest: Manifest, file: Path) -> None:
    """Refuse a config whose network differs from the one in a file, naming each key with both values."""
    now, then = config.model_dump(mode="json"), manifest.model_dump(mode="json")
    changes = [
        f"{section}.{key} is {now[section].get(key)!r}, in the file {then[section].get(key)!r}"
        for section in ("audio", "model")
        for key in sorted({*now[section], *then[section]})
        if now[section].get(key) != then[section].get(key)
    ]
    if changes:
        raise ConfigError(
            f"{file} was trained with another network: {'; '.join(changes)}. Use its values, or start afresh"
        )
