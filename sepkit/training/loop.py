"""The training loop, from top to bottom."""

from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import Chunk
from sepkit.data.loader import Data
from sepkit.device import Precision, flushing_denormals
from sepkit.errors import TrainingError
from sepkit.training import state as states
from sepkit.training.early_stopping import EarlyStopping
from sepkit.training.objective import Objective
from sepkit.training.optimizer import build_optimizer, build_schedule
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
    network = config.model.build(config.audio).to(device)
    objective = Objective(config)
    precision = Precision.of(config.train.precision, device)
    scaler = precision.scaler()
    optimizer = build_optimizer(config.train.optimizer, network.parameters())
    stopping = EarlyStopping(config.train.patience)
    first_epoch = 1
    if weights:
        model_file.check_weights(weights.path, network.state_dict(), weights.weights)
        network.load_state_dict(weights.weights)
    if state:
        tree = states.load(state)[1]
        model_file.check_weights(state, network.state_dict(), tree["model"])
        network.load_state_dict(tree["model"])
        # The moments of the past with the settings of the config, which may have changed.
        optimizer.load_state_dict({**optimizer.state_dict(), "state": tree["optimizer"]["state"]})
        if tree["scaler"] and scaler.is_enabled():  # a run may go on where there is nothing to scale, or begin to
            scaler.load_state_dict(tree["scaler"])
        stopping = EarlyStopping(**{**tree["stopping"], "patience": config.train.patience})
        states.restore_random_states(tree["random"])
        first_epoch = tree["epoch"] + 1
        if not run.best_model.exists():  # it did not come along: the next finite epoch is the best known
            stopping = EarlyStopping(config.train.patience)
    done = (first_epoch - 1) * data.steps_per_epoch
    schedule = build_schedule(config.train.schedule, optimizer, config.train.epochs * data.steps_per_epoch, done)
    if first_epoch > config.train.epochs or stopping.exhausted:
        return _outcome(run, stopping, first_epoch - 1, "finished before")

    run.prepare()
    history = run.read_history(first_epoch - 1)
    with TrainingProgress(config.train.epochs, config.train.batch_size) as progress:
        progress.say(_opening(config, data, network, device, precision))
        for epoch in range(first_epoch, config.train.epochs + 1):
            started = perf_counter()
            progress.epoch(epoch, data.steps_per_epoch)
            network.train()
            total = 0.0
            batches = data.train_batches((epoch - 1) * data.steps_per_epoch, data.steps_per_epoch)
            for count, batch in enumerate(batches, 1):
                mixture, target, present = _on(device, batch)
                with precision.autocast():
                    estimate = network(mixture)
                loss = objective(estimate, target, present)
                value = loss.item()
                if not isfinite(value) and not scaler.is_enabled():  # a scaler skips such steps itself
                    raise TrainingError(_diverged(epoch, count))
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                if config.train.clip_norm:
                    nn.utils.clip_grad_norm_(network.parameters(), config.train.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
                total += value
                progress.step(total / count)
            trained = perf_counter() - started

            validation_loss = _validate(network, data, objective, precision, device)
            better = stopping.update(epoch, validation_loss)
            history.append(
                {
                    "epoch": epoch,
                    "step": epoch * data.steps_per_epoch,
                    "train_loss": _finite(total / data.steps_per_epoch),
                    "validation_loss": _finite(validation_loss),
                    "lr": schedule.get_last_lr()[0],
                    "chunks_per_second": data.steps_per_epoch * config.train.batch_size / trained,
                    "seconds": perf_counter() - started,
                    "best": better,
                }
            )
            manifest = model_file.manifest_of(
                config, epoch=epoch, step=epoch * data.steps_per_epoch, metrics=_metrics(validation_loss)
            )
            if epoch == first_epoch:  # an earlier run in the folder lasts until there is something in its place
                run.start(config, fresh=state is None)
            run.write_history(history)
            if better:
                model_file.save(run.best_model, network, manifest)
            states.save(
                run.last_state,
                {
                    "model": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "stopping": asdict(stopping),
                    "random": states.random_states(),
                    "epoch": epoch,
                },
                manifest,
            )
            progress.epoch_done(history[-1], stopping.waited, stopping.patience)
            if stopping.exhausted:
                return _outcome(run, stopping, epoch, "no improvement")
    return _outcome(run, stopping, config.train.epochs, "all epochs done")


def _on(device: torch.device, batch: Chunk) -> tuple[Tensor, Tensor, Tensor]:
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


def _metrics(loss: float) -> dict[str, float]:
    return {"validation_loss": loss} if isfinite(loss) else {}
