"""The training loop, from top to bottom."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any, Literal

from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import Batch
from sepkit.data.loader import Data
from sepkit.errors import TrainingError, WorkerError
from sepkit.precision import flushing_denormals
from sepkit.terminal import command
from sepkit.training.checkpointer import Checkpointer
from sepkit.training.display import Display
from sepkit.training.freezing import train_mode
from sepkit.training.learner import Learner
from sepkit.training.randomness import seed_all
from sepkit.training.ranks import Ranks
from sepkit.training.run_directory import RunDirectory
from sepkit.training.state import restore
from sepkit.training.stop_signal import Interrupted, listening
from sepkit.training.validation import Validator, measure_of

# Skipped steps in a row that are shown one by one.
SHOWN = 3

Reason = Literal["all epochs done", "no improvement", "all epochs done before", "no improvement before", "interrupted"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run. If a signal interrupted it: `signal`, its number, and `saved_step`, from which to resume."""

    run: RunDirectory
    reason: Reason
    epochs: int
    steps: int
    monitor: str
    best_score: float | None
    best_epoch: int
    signal: int = 0
    saved_step: int | None = None


@flushing_denormals()
def train(
    config: RunConfig, data: Data, run: RunDirectory, ranks: Ranks,
    *, state: dict[str, Any] | None = None, weights: ModelFile | None = None, notes: Sequence[str] = (),
) -> Outcome:  # fmt: skip
    """Train until the last epoch, until `patience` epochs in a row were no better, or until a signal comes.

    `run` is empty, holds the run of `state`, or may be overwritten. `state` is the content of its state file, to
    resume; `weights` is the model that a fresh run starts from. `notes` are printed at the start.

    Raises:
        ModelFileError: a file to start from cannot be used.
        TrainingError: the run diverged, cannot be validated or saved, or no epoch had a finite score.
    """
    learner = _learner(config, data, ranks)
    about = _start(learner, run, state, weights)
    if learner.is_done:
        return _done_before(config, run, learner)
    position, checkpointer = learner.position, Checkpointer(config, run, learner, fresh=state is None)
    with listening(speaks=ranks.leads, alone=ranks.count == 1) as stop, Display(config, data, run, learner) as display:
        validator = Validator(config, data, learner, stop.check)
        display.opening([*notes, *about])
        try:
            if not position.step:
                checkpointer.check()
                _validate_first(validator, checkpointer, display, keep=weights is not None)
            with closing(data.train_batches(position.step, stop.check)) as batches:
                while not learner.is_done:
                    train_mode(learner.parallel)
                    display.epoch_begins()
                    while position.epoch_step < data.steps_per_epoch:
                        started = perf_counter()
                        batch = _next(batches, checkpointer, ranks)
                        waited = perf_counter() - started
                        step = learner.take_step(batch)
                        seconds = perf_counter() - started
                        position.advance(step.loss, taken=step.taken, seconds=seconds)
                        if not step.taken:
                            _report_skipped(config.train.skip_limit, learner, batch, step.loss, checkpointer, display)
                        display.step_done(seconds, waited)
                        signal, due = ranks.largest(stop.number, ranks.leads and checkpointer.due)
                        stop.take_over(signal)
                        if stop.came:
                            raise Interrupted
                        if due and step.taken and position.epoch_step < data.steps_per_epoch:
                            checkpointer.save()
                    started = perf_counter()
                    display.validation_begins()
                    checkpointer.close_epoch(validator(position.epoch + 1), started)
                    display.epoch_done(checkpointer, validator)
        except Interrupted:
            checkpointer.save()
            return _outcome(run, learner, "interrupted", stop.number, checkpointer.saved_step)
    return _outcome(run, learner, "no improvement" if learner.stopping.exhausted else "all epochs done")


def _learner(config: RunConfig, data: Data, ranks: Ranks) -> Learner:
    """Return a learner with random weights, the same on every rank; later random numbers differ."""
    seed_all(config.seed)
    network = config.model.build(config.audio)
    seed_all(config.seed + ranks.number)
    learner = Learner(config, network, data.steps_per_epoch, ranks)
    learner.stopping.measure = measure_of(config, [song.name for song in data.validation_songs])
    return learner


def _start(learner: Learner, run: RunDirectory, state: dict[str, Any] | None, weights: ModelFile | None) -> list[str]:
    """Resume a state or take over weights, and return notes on that."""
    notes: list[str] = []
    if weights:
        left = learner.start_from(weights)
        sources = ", ".join(weights.manifest.audio.sources)
        notes.append(f"Starting from the weights of {weights.path}, which were for {sources}")
        notes += [f"Left behind, as they do not fit: {', '.join(left)}"] if left else []
    if state:
        same_best = restore(learner, run.last_state, state, best_is_known=run.best_model.exists())
        position = learner.position
        inside = f"in epoch {position.epoch + 1} after step {position.epoch_step}"
        notes.append(f"Resuming {inside if position.epoch_step else f'after epoch {position.epoch}'}")
        if not same_best:
            notes.append(
                "The best model is missing, or is scored by another measure now: the next epoch is the best so far"
            )
    return notes


def _validate_first(validator: Validator, checkpointer: Checkpointer, display: Display, *, keep: bool) -> None:
    """Validate before the first epoch, so that a run that cannot be validated fails at once.

    If the weights are to `keep`, as those that a fine-tuning starts from, they are the best until an epoch is better.
    """
    display.validation_begins()
    validation = validator(0)
    if not isfinite(validation.loss):
        raise TrainingError(
            "before training the validation loss is not finite. Check the loss, the network and the corpus "
            f"({command('data', 'check')})"
        )
    display.validated_first(validation)
    if keep:
        checkpointer.begin(validation)


def _next(batches: Iterator[Batch], checkpointer: Checkpointer, ranks: Ranks) -> Batch:
    """Return the next batch. If there is none, save the state first."""
    try:
        return next(batches)
    except Exception as error:
        if ranks.count > 1:  # the other ranks do not come to save
            raise
        checkpointer.save()
        if isinstance(error, WorkerError):
            raise TrainingError(f"{error}: --set train.workers=0. {_kept(checkpointer)}Resume with --resume") from None
        raise


def _report_skipped(
    limit: int, learner: Learner, batch: Batch, loss: float, checkpointer: Checkpointer, display: Display
) -> None:
    """Name a step that was skipped, and end the run at the limit."""
    position, part = learner.position, "gradient" if isfinite(loss) else "loss"
    if learner.scaler.is_enabled() and part == "gradient" and position.in_a_row < limit:
        return  # a scaler finds its scale that way
    tracks, broken = learner.broken_tracks(batch)
    named = ", ".join(tracks[:8]) + (f" and {len(tracks) - 8} more" if len(tracks) > 8 else "")
    samples = "samples that are not finite in" if broken else "all samples are finite in the songs"
    fault = f"epoch {position.epoch + 1}, step {position.epoch_step}: the {part} is not finite; {samples} {named}"
    if position.in_a_row >= limit:
        raise TrainingError(
            f"{limit} steps in a row were skipped, the last in {fault}. {_kept(checkpointer)}"
            + (f"Check the corpus: {command('data', 'check')}" if broken else "Lower train.optimizer.lr")
        )
    if position.in_a_row <= SHOWN:
        display.say(f"Skipped {fault} ({position.in_a_row} in a row; the run ends at {limit})")


def _kept(checkpointer: Checkpointer) -> str:
    return "" if checkpointer.saved_step is None else f"The state of step {checkpointer.saved_step} is kept. "


def _done_before(config: RunConfig, run: RunDirectory, learner: Learner) -> Outcome:
    if not run.best_model.exists():
        raise TrainingError(
            f"{run.path} holds a finished run whose best model is missing; raise --epochs to continue, "
            f"or use its state: -m {run.last_state}"
        )
    done = learner.position.epoch >= config.train.epochs
    return _outcome(run, learner, "all epochs done before" if done else "no improvement before")


def _outcome(
    run: RunDirectory, learner: Learner, reason: Reason, signal: int = 0, saved_step: int | None = None
) -> Outcome:
    stopping, position, monitor = learner.stopping, learner.position, learner.monitor
    best = stopping.best if stopping.best is not None and isfinite(stopping.best) else None
    if stopping.best is not None and best is None and reason != "interrupted":
        raise TrainingError(
            f"{run.best_model} is the best by another measure, and no epoch has a finite score by the present one; "
            "raise --epochs to continue, or take back what has changed in the config"
        )
    if best is None and reason != "interrupted":
        raise TrainingError(
            f"no epoch had a finite validation, so there is no best model in {run.path}. "
            "Lower train.optimizer.lr, or check the corpus for broken samples"
        )
    score = -best if best is not None and monitor == "sdr" else best
    return Outcome(run, reason, position.epoch, position.step, monitor, score, stopping.best_epoch, signal, saved_step)
