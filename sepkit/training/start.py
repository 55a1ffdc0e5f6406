"""The start of a run: afresh, resumed from its state, or fine-tuned from weights."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import Manifest
from sepkit.config import RunConfig
from sepkit.data.loader import Data
from sepkit.errors import ConfigError, ModelFileError
from sepkit.training import state as states
from sepkit.training.loop import Outcome, train
from sepkit.training.ranks import Ranks, check_batch_size, joined, launch, may_restart
from sepkit.training.run_directory import RunDirectory


def begin(
    config: RunConfig, folder: Path, device: torch.device,
    *, resume: bool = False, resume_from: Path | None = None, overwrite: bool = False,
) -> Outcome:  # fmt: skip
    """Train in `folder`, together with the other processes that torchrun has started.

    `resume` continues the run in the folder, or starts afresh if there is none. `resume_from` takes either file: a
    state continues its run, in this folder; weights start a fine-tuning with a fresh optimiser.

    Raises:
        ConfigError: the options contradict each other, the folder holds another run, or the config changed the network
            or its audio.
    """
    if resume and (resume_from or overwrite):
        raise ConfigError("--resume continues the run in the output folder; leave out --resume-from and --overwrite")
    if overwrite and may_restart():
        raise ConfigError("--overwrite would also overwrite the run that a restart by torchrun resumes; leave it out")
    check_batch_size(config.train.batch_size, config.train.accumulate)
    run = RunDirectory(folder)
    with joined(device) as ranks, run.alone(ranks):
        source = run.last_state if _resumes(run, ranks, asked=resume) else resume_from
        if source is None:
            run.check_free(overwrite=overwrite)
            notes = [f"No run in {run.path} yet: a new one begins"] if resume else []
            return train(config, _data(config, ranks), run, ranks, notes=notes)
        source = RunDirectory(source).last_state if source.is_dir() else source
        manifest, state = _load(source, run)
        if state is not None:
            return _resume(config, run, ranks, source, manifest, state, overwrite=overwrite)
        weights = model_file.load(source)
        _check_unchanged(config, weights.manifest, source, but={"sources"})
        run.check_foreign(source)
        run.check_free(overwrite=overwrite)
        return train(config, _data(config, ranks), run, ranks, weights=weights)


def _load(file: Path, run: RunDirectory) -> tuple[dict[str, Any], dict[str, Any] | None]:
    try:
        return states.load(file)
    except ModelFileError as error:
        if file != run.last_state or not run.best_model.exists():
            raise
        raise ModelFileError(
            f"{error}. The best model beside it may be whole: start from it with --resume-from {run.best_model} "
            "and another --output-dir"
        ) from None


def _resumes(run: RunDirectory, ranks: Ranks, *, asked: bool) -> bool:
    """Return True if the run in the folder is resumed: it is asked for, or torchrun has started its ranks again."""
    seen = int(ranks.total(torch.tensor(int(run.last_state.exists()))))
    if 0 < seen < ranks.count:
        raise ConfigError(
            f"{run.last_state} is there for {seen} of {ranks.count} ranks; all machines need the same --output-dir"
        )
    if not seen or asked:
        return bool(seen)
    ours = ranks.leads and launch() != "" and (states.load(run.last_state)[1] or {}).get("launch") == launch()
    return bool(ranks.largest(ours)[0])


def _resume(
    config: RunConfig, run: RunDirectory, ranks: Ranks, file: Path, values: dict[str, Any], state: dict[str, Any],
    *, overwrite: bool,
) -> Outcome:  # fmt: skip
    """Resume a state; one from elsewhere is copied into this run's folder first."""
    manifest = model_file.parse_manifest(file, values)
    _check_unchanged(config, manifest, file)
    _check_equal(file, states.fixed_settings(config), state.get("fixed", {}))
    is_elsewhere = file.resolve() != run.last_state.resolve()
    if overwrite and not is_elsewhere:
        raise ConfigError(
            f"{file} is the state of the run in the output folder; leave out --overwrite, or --resume-from"
        )
    if is_elsewhere:
        run.check_foreign(file)
        run.check_free(overwrite=overwrite)
        if manifest.epoch >= config.train.epochs:
            raise ConfigError(f"the run of {file} is done after epoch {manifest.epoch}; raise --epochs to continue")
    data = _data(config, ranks)
    if is_elsewhere and ranks.leads:
        run.adopt(file)
    ranks.wait()
    return train(config, data, run, ranks, state=state)


def _data(config: RunConfig, ranks: Ranks) -> Data:
    """Return the corpus, which one rank of each machine has scanned before the others read the cache."""
    with ranks.one_first():
        return Data(config, ranks.number, ranks.count)


def _check_unchanged(config: RunConfig, manifest: Manifest, file: Path, but: Collection[str] = ()) -> None:
    """Refuse a config whose network differs from that of a file."""
    now, then = (
        {f"{section}.{key}": value for section in ("audio", "model") for key, value in values[section].items()
         if key not in but}
        for values in (config.model_dump(mode="json"), manifest.model_dump(mode="json"))
    )  # fmt: skip
    _check_equal(file, now, then)


def _check_equal(file: Path, now: Mapping[str, object], then: Mapping[str, object]) -> None:
    """Refuse settings that differ from those in a file, naming each key with both values."""
    changes = [
        f"{key} is {now.get(key)!r}, in the file {then.get(key)!r}"
        for key in {**now, **then}
        if now.get(key) != then.get(key)
    ]
    if changes:
        raise ConfigError(
            f"{file} does not fit this config: {'; '.join(changes)}. Use its values, or start a run of its own from "
            "the best model beside it (--resume-from; sources may differ), or from nothing"
        )
