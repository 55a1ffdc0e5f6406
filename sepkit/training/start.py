"""How a run begins: afresh, continued from its state, or fine-tuned from weights."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import Manifest
from sepkit.config import RunConfig
from sepkit.data.loader import Data
from sepkit.errors import ConfigError, ModelFileError
from sepkit.training.keeping import state as states
from sepkit.training.keeping.run_directory import RunDirectory
from sepkit.training.learning.learner import fixed
from sepkit.training.loop import Outcome, train
from sepkit.training.ranks import Ranks, check_shares, joined, launch, may_restart


@dataclass(frozen=True, slots=True)
class Start:
    """What the user asked for. At most one of the three."""

    resume: bool = False
    resume_from: Path | None = None
    overwrite: bool = False


def begin(config: RunConfig, folder: Path, device: torch.device, start: Start) -> Outcome:
    """Train in `folder`, from where `start` says, together with the other processes that torchrun has started.

    `resume` continues the run in the folder, or starts afresh if there is none. `resume_from` takes either file: a
    state continues its run, in this folder; weights start a fine-tuning with a fresh optimiser.

    Raises:
        ConfigError: the options contradict each other, the folder holds another run, or the config changed what the
            network is or hears.
    """
    if start.resume and (start.resume_from or start.overwrite):
        raise ConfigError("--resume continues the run in the output folder; leave out --resume-from and --overwrite")
    if start.overwrite and may_restart():
        raise ConfigError("--overwrite would also overwrite what a restart by torchrun goes on from; leave it out")
    check_shares(config.train.batch_size, config.train.accumulate)
    run = RunDirectory(folder)
    with joined(device) as ranks, run.alone(ranks):
        resumed = run.last_state if _goes_on(run, ranks, asked=start.resume) else start.resume_from
        if resumed and resumed.is_dir():
            resumed = RunDirectory(resumed).last_state
        if resumed and _holds_state(resumed, run):
            return _continue(config, run, ranks, resumed, overwrite=start.overwrite)
        weights = model_file.load(resumed) if resumed else None
        if weights:
            _check_unchanged(config, weights.manifest, weights.path, but={"sources"})
            run.check_foreign(weights.path)
        run.check_free(overwrite=start.overwrite)
        notes = [f"No run in {run.path} yet: a new one begins"] if start.resume else []
        return train(config, _data(config, ranks), run, ranks, weights=weights, notes=notes)


def _holds_state(file: Path, run: RunDirectory) -> bool:
    try:
        return states.holds_state(file)
    except ModelFileError as error:
        if file != run.last_state or not run.best_model.exists():
            raise
        raise ModelFileError(
            f"{error}. The best model beside it may be whole: start from it with --resume-from {run.best_model} "
            "and another --output-dir"
        ) from None


def _goes_on(run: RunDirectory, ranks: Ranks, *, asked: bool) -> bool:
    """Return whether the run in the folder is continued: it is asked for, or torchrun has started its ranks again."""
    seen = int(ranks.total(torch.tensor(int(run.last_state.exists()))))
    if 0 < seen < ranks.count:
        raise ConfigError(
            f"{run.last_state} is there for {seen} of {ranks.count} ranks; all machines need the same --output-dir"
        )
    if not seen or asked:
        return bool(seen)
    (ours,) = ranks.largest(ranks.leads and launch() != "" and states.launch_of(run.last_state) == launch())
    return bool(ours)


def _continue(config: RunConfig, run: RunDirectory, ranks: Ranks, state: Path, *, overwrite: bool) -> Outcome:
    """Go on from a state; one from elsewhere is brought into this run's folder first."""
    values, tree = states.load(state)
    manifest = model_file.parse_manifest(state, values)
    _check_unchanged(config, manifest, state)
    then = tree.get("fixed", {})
    _refuse(state, [_change(key, value, then.get(key)) for key, value in fixed(config).items()])
    is_elsewhere = state.resolve() != run.last_state.resolve()
    if overwrite and not is_elsewhere:
        raise ConfigError(
            f"{state} is the state of the run in the output folder; leave out --overwrite, or --resume-from"
        )
    if is_elsewhere:
        run.check_foreign(state)
        run.check_free(overwrite=overwrite)
        if manifest.epoch >= config.train.epochs:
            raise ConfigError(f"the run of {state} is done after epoch {manifest.epoch}; go on with more --epochs")
    data = _data(config, ranks)
    if is_elsewhere and ranks.leads:
        run.adopt(state)
    ranks.wait()
    return train(config, data, run, ranks, state=tree)


def _data(config: RunConfig, ranks: Ranks) -> Data:
    """The corpus, which one rank of each machine has listened to before the others look at it."""
    with ranks.one_first():
        return Data(config, ranks.number, ranks.count)


def _check_unchanged(config: RunConfig, manifest: Manifest, file: Path, but: Collection[str] = ()) -> None:
    """Refuse a config whose network differs from the one in a file, naming each key with both values."""
    now, then = config.model_dump(mode="json"), manifest.model_dump(mode="json")
    _refuse(
        file,
        [
            _change(f"{section}.{key}", now[section].get(key), then[section].get(key))
            for section in ("audio", "model")
            for key in sorted({*now[section], *then[section]} - set(but))
        ],
    )


def _change(key: str, now: object, then: object) -> str:
    return f"{key} is {now!r}, in the file {then!r}" if now != then else ""


def _refuse(file: Path, changes: Sequence[str]) -> None:
    if any(changes):
        found = "; ".join(filter(None, changes))
        raise ConfigError(
            f"{file} does not fit this config: {found}. Use its values, or start a run of its own from the best model "
            "beside it (--resume-from; sources may differ), or from nothing"
        )
