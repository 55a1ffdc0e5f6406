"""The training loop, from top to bottom."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import Batch
from sepkit.data.loader import Data
from sepkit.device import Precision, flushing_denormals
from sepkit.errors import TrainingError
from sepkit.training import learner as learners
from sepkit.training.early_stopping import EarlyStopping
from sepkit.training.learner import Learner
from sepkit.training.objective import Objective
from sepkit.training.progress import TrainingProgress
from sepkit.training.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    best_model: Path
    best_loss: float
    best_epoch: int
    epochs: int
    reason: Literal["all epochs done", "no improvement", "finished before"]


@flushing_denormals()
def train(
    config: RunConfig,
    data: Data,
    run: RunDirectory,
    device: torch.device,
    *,
    state: Path | None = None,
    weights: ModelFile | None = None,
) -> Outcome:
    """Train until the last epoch, or until `patience` epochs bring nothing better.

    Args:
        config: The run.
        data: Its corpus.
        run: Where its files go: made ready for a new run, or holding the one that goes on.
        device: Where to compute.
        state: The state file to continue from, or None to start afresh.
        weights: The model whose weights a fresh run starts from, or None for random ones.

    Raises:
        ModelFileError: a file to start from cannot be used.
        TrainingError: no epoch had a finite validation loss.
    """
    torch.manual_seed(config.seed)
    precision = Precision.of(config.train.precision, device)
    objective = Objective(config)
    learner = learners.build(config, data.steps_per_epoch, device, precision)
    if weights:
        learners.start_from(learner, weights)
    if state:
        learners.load(learner, state, config, best_is_known=run.best_model.exists())
    if learner.epoch >= config.train.epochs or learner.stopping.exhausted:
        return _outcome(run, learner.stopping, learner.epoch, "finished before")

    run.prepare()
    history = run.read_history(learner.epoch)
    first = learner.epoch + 1
    with TrainingProgress(config.train.epochs, config.train.batch_size) as progress:
        progress.say(_opening(config, data, learner.network, device, precision))
        progress.say(data.advice())
        batches = data.train_batches(learner.step)
        for epoch in range(first, config.train.epochs + 1):
            started = perf_counter()
            progress.epoch(epoch, data.steps_per_epoch)
            some = islice(batches, data.steps_per_epoch)
            train_loss = _train_epoch(config, learner, some, objective, precision, device, progress.step)
            trained = perf_counter() - started
            validation_loss = _validate(learner.network, data, objective, precision, device)
            better = learner.stopping.update(epoch, validation_loss)
            learner.epoch = epoch
            history.append(
                {
                    "epoch": epoch,
                    "step": learner.step,
                    "train_loss": _finite(train_loss),
                    "validation_loss": _finite(validation_loss),
                    "lr": learner.schedule.get_last_lr()[0],
                    "chunks_per_second": data.steps_per_epoch * config.train.batch_size / trained,
                    "seconds": perf_counter() - started,
                    "best": better,
                }
            )
            if epoch == first:  # an earlier run in the folder lasts until there is something in its place
                run.start(config, fresh=state is None)
            _save(config, run, learner, history, better=better)
            progress.epoch_done(history[-1], learner.stopping.waited, learner.stopping.patience)
            if learner.stopping.exhausted:
                return _outcome(run, learner.stopping, epoch, "no improvement")
    return _outcome(run, learner.stopping, config.train.epochs, "all epochs done")


def _train_epoch(
    config: RunConfig,
    learner: Learner,
    batches: Iterable[Batch],
    objective: Objective,
    precision: Precision,
    device: torch.device,
    done: Callable[[float], None],
) -> float:
    """Take a step on each batch, tell `done` the mean loss so far, and return the mean over all."""
    network, scaler = learner.network.train(), learner.scaler
    total, count = 0.0, 0
    for batch in batches:
        mixture, target, present = _on(device, batch)
        with precision.autocast():
            estimate = network(mixture)
        loss = objective(estimate, target, present)
        value = loss.item()
        if not isfinite(value) and not scaler.is_enabled():  # a scaler skips such steps itself
            raise TrainingError(_diverged(learner.epoch + 1, count + 1))
        learner.optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(learner.optimizer)
        if config.train.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), config.train.clip_norm)
        scaler.step(learner.optimizer)
        scaler.update()
        learner.schedule.step()
        total, count = total + value, count + 1
        done(total / count)
    return total / count


def _on(device: torch.device, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return mixture, targets and present of a batch on a device."""
    mixture, targets, present = batch["mixture"], batch["targets"], batch["present"]
    return (
        mixture.to(device, non_blocking=True),
        targets.to(device, non_blocking=True),
        present.to(device, non_blocking=True),
    )


def _validate(
    network: nn.Module, data: Data, objective: Objective, precision: Precision, device: torch.device
) -> float:
    """Return the mean loss over the validation chunks, each weighted by its number of present sources."""
    network.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in data.validation_batches():
            mixture, target, present = _on(device, batch)
            with precision.autocast():
                estimate = network(mixture)
            weight = int(present.sum())
            total += weight * objective(estimate, target, present).item()
            count += weight
    return total / count


def _save(
    config: RunConfig, run: RunDirectory, learner: Learner, history: list[dict[str, Any]], *, better: bool
) -> None:
    """Write the history, the model if it is the best, and last the state that resuming starts from."""
    loss = history[-1]["validation_loss"]
    metrics = {} if loss is None else {"validation_loss": loss}
    manifest = model_file.manifest_of(config, epoch=learner.epoch, step=learner.step, metrics=metrics)
    run.write_history(history)
    if better:
        model_file.save(run.best_model, learner.network, manifest)
    learner.save(run.last_state, manifest)


def _outcome(run: RunDirectory, stopping: EarlyStopping, epochs: int, reason: Any) -> Outcome:
    if reason == "finished before" and not run.best_model.exists():
        raise TrainingError(
            f"{run.path} holds a finished run whose best model is missing; train on with more --epochs, "
            f"or use its state: -m {run.last_state}"
        )
    if stopping.best is None:
        raise TrainingError(
            f"no epoch had a finite validation loss, so there is no best model in {run.path}. "
            "Lower train.optimizer.lr, or check the corpus for broken samples"
        )
    return Outcome(run.best_model, stopping.best, stopping.best_epoch, epochs, reason)


def _diverged(epoch: int, step: int) -> str:
    kept = f"The state of epoch {epoch - 1} is kept. " if epoch > 1 else ""
    return (
        f"epoch {epoch}, step {step}: the loss is not finite. {kept}"
        "Lower train.optimizer.lr, or check the corpus for broken samples"
    )


def _opening(config: RunConfig, data: Data, network: nn.Module, device: torch.device, precision: Precision) -> str:
    parameters = sum(p.numel() for p in network.parameters())
    return (
        f"{config.model.name} ({parameters / 1e6:.2f} M parameters) for {', '.join(config.audio.sources)} "
        f"on {device} in {str(precision.dtype).removeprefix('torch.')}; "
        f"{len(data.train_songs)} songs to train on, {len(data.validation_songs)} to validate on; "
        f"{data.steps_per_epoch} steps of {config.train.batch_size} chunks an epoch"
    )


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if isfinite(value) else None
