"""The training loop, from top to bottom."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any, Literal

from sepkit.checkpoints.model_file import ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import Batch
from sepkit.data.loader import Data
from sepkit.errors import TrainingError, WorkerError
from sepkit.precision import Precision, flushing_denormals
from sepkit.terminal import command
from sepkit.training.keeping.keeper import Keeper
from sepkit.training.keeping.resume import restore
from sepkit.training.keeping.run_directory import RunDirectory
from sepkit.training.learning import learner as learners
from sepkit.training.learning.freezing import train_mode
from sepkit.training.learning.learner import Learner
from sepkit.training.learning.objective import Objective
from sepkit.training.ranks import Ranks
from sepkit.training.step import Step, broken_tracks, take_step
from sepkit.training.stop_signal import StopSignal, listening
from sepkit.training.validation import Interrupted, Validation, Validator
from sepkit.training.watching.watch import Watch

# Skipped steps in a row that are shown one by one.
SHOWN = 3


Reason = Literal["all epochs done", "no improvement", "all epochs done before", "no improvement before", "interrupted"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. Where a signal interrupted it, `signal` is its number, and `saved_step` what it goes on from."""

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
    config: RunConfig,
    data: Data,
    run: RunDirectory,
    ranks: Ranks,
    *,
    state: dict[str, Any] | None = None,
    weights: ModelFile | None = None,
    notes: Sequence[str] = (),
) -> Outcome:
    """Train until the last epoch, until `patience` epochs bring nothing better, or until a signal comes.

    Args:
        config: The run.
        data: Its corpus.
        run: Where its files go: empty, holding the run that goes on, or one that may be overwritten.
        ranks: The processes that train together, and where this one computes.
        state: The content of its state file, to continue from, or None to start afresh.
        weights: The model whose weights a fresh run starts from, or None for random ones.
        notes: What is to be said at the start.

    Raises:
        ModelFileError: a file to start from cannot be used.
        TrainingError: the run diverged, cannot be validated or saved, or no epoch had a finite score.
    """
    precision = Precision.of(config.train.precision, ranks.device)
    learner = learners.build(config, data, ranks, precision)
    left = learners.start_from(learner, weights) if weights else []
    same_best = state is None or restore(learner, run.last_state, state, best_is_known=run.best_model.exists())
    if _is_over(config, learner):
        return _finished_before(config, run, learner)
    with listening(speaks=ranks.leads) as stop, Watch(config, data, run, learner) as watch:
        watch.opening(precision, [*notes, *_about_start(learner, weights, left, same_best=same_best)])
        objective = Objective(config)
        validator = Validator(config, data, objective, precision, ranks, lambda: stop.came)
        keeper = Keeper(config, run, learner, fresh=state is None)
        session = _Session(config, data, learner, objective, precision, validator, keeper, watch, stop)
        try:
            if not learner.position.step:
                keeper.check()
                _validate_first(session, judged=weights is not None)
            with closing(data.train_batches(learner.position.step, partial(_end_wait, stop, ranks))) as batches:
                while not _is_over(config, learner):
                    _train_epoch(session, batches)
                    _close_epoch(session)
        except Interrupted:
            keeper.save()
            return _outcome(run, learner, "interrupted", signal=stop.number, saved_step=keeper.saved_step)
    return _outcome(run, learner, "no improvement" if learner.stopping.exhausted else "all epochs done")


@dataclass(frozen=True, slots=True)
class _Session:
    """All that takes part in a run."""

    config: RunConfig
    data: Data
    learner: Learner
    objective: Objective
    precision: Precision
    validator: Validator
    keeper: Keeper
    watch: Watch
    stop: StopSignal


def _train_epoch(session: _Session, batches: Iterator[Batch]) -> None:
    """Take the steps of an epoch that are not done yet."""
    learner, keeper, watch, stop = session.learner, session.keeper, session.watch, session.stop
    position, steps = learner.position, session.data.steps_per_epoch
    train_mode(learner.parallel)
    watch.epoch_begins()
    while position.epoch_step < steps:
        started = perf_counter()
        batch = _next(session, batches)
        waited = perf_counter() - started
        step = take_step(learner, batch, session.objective, session.precision, session.config.train)
        seconds = perf_counter() - started
        position.advance(step.loss, taken=step.taken, seconds=seconds)
        if not step.taken:
            _report_skipped(session, batch, step)
        watch.step_done(seconds, waited)
        signal, due = learner.ranks.largest(stop.number, learner.ranks.leads and keeper.due)
        stop.hear_of(signal)
        if stop.came:
            raise Interrupted
        if due and step.taken and position.epoch_step < steps:
            keeper.save()


def _next(session: _Session, batches: Iterator[Batch]) -> Batch:
    """Return the next batch. Where there is none, what was learned is saved first."""
    try:
        return next(batches)
    except Exception as error:
        if session.learner.ranks.count > 1:  # the others do not come to save
            raise
        session.keeper.save()
        if isinstance(error, WorkerError):
            raise TrainingError(f"{error}: --set train.workers=0. {_kept(session.keeper)}Go on with --resume") from None
        raise


def _end_wait(stop: StopSignal, ranks: Ranks) -> None:
    """Leave a wait for the next batch when a signal has come. Several ranks have to agree first, after a step."""
    if stop.came and ranks.count == 1:
        raise Interrupted


def _close_epoch(session: _Session) -> None:
    """Validate, keep what is the best so far, and say so."""
    started = perf_counter()
    validation = _validated(session, session.learner.position.epoch + 1)
    session.keeper.close_epoch(validation, started)
    session.watch.epoch_done(session.keeper, session.validator)


def _validate_first(session: _Session, *, judged: bool) -> None:
    """A run that cannot be validated shall fail before its first epoch, not after it.

    Weights to start from are `judged`: they are the best until an epoch is better.
    """
    validation = _validated(session, 0)
    if not isfinite(validation.loss):
        raise TrainingError(
            "before training the validation loss is not finite. Check the loss, the network and the corpus "
            f"({command('data', 'check')})"
        )
    session.watch.validated_first(validation)
    if judged:
        session.keeper.begin(validation)


def _validated(session: _Session, epoch: int) -> Validation:
    session.watch.validates()
    return session.validator(session.learner.judged, whole_songs=_measures_sdr(session.config, epoch))


def _measures_sdr(config: RunConfig, epoch: int) -> bool:
    """Return whether whole songs are scored after an epoch; the last one is among them, and 0 is before the first."""
    every = config.train.validation.sdr_every
    return every > 0 and (epoch % every == 0 or epoch == config.train.epochs)


def _report_skipped(session: _Session, batch: Batch, step: Step) -> None:
    """Name a step that was skipped, and end the run at the limit."""
    learner, limit = session.learner, session.config.train.skip_limit
    position = learner.position
    what = "gradient" if isfinite(step.loss) else "loss"
    if learner.scaler.is_enabled() and what == "gradient" and position.in_a_row < limit:
        return  # that is how a scaler finds its scale
    tracks, broken = broken_tracks(learner, batch)
    named = ", ".join(tracks[:8]) + (f" and {len(tracks) - 8} more" if len(tracks) > 8 else "")
    whose = "samples that are not finite in" if broken else "all samples are finite in the tracks"
    fault = f"epoch {position.epoch + 1}, step {position.epoch_step}: the {what} is not finite; {whose} {named}"
    if position.in_a_row >= limit:
        raise TrainingError(
            f"{limit} steps in a row were skipped, the last in {fault}. {_kept(session.keeper)}"
            + (f"Check the corpus: {command('data', 'check')}" if broken else "Lower train.optimizer.lr")
        )
    if position.in_a_row <= SHOWN:
        session.watch.say(f"Skipped {fault} ({position.in_a_row} in a row; the run ends at {limit})")


def _kept(keeper: Keeper) -> str:
    return "" if keeper.saved_step is None else f"The state of step {keeper.saved_step} is kept. "


def _is_over(config: RunConfig, learner: Learner) -> bool:
    return learner.position.epoch >= config.train.epochs or learner.stopping.exhausted


def _about_start(learner: Learner, weights: ModelFile | None, left: Sequence[str], *, same_best: bool) -> list[str]:
    """What a person should know of how a run begins."""
    notes = []
    if weights:
        sources = ", ".join(weights.manifest.audio.sources)
        notes.append(f"Starting from the weights of {weights.path}, which were for {sources}")
    if left:
        notes.append(f"Left behind, as they do not fit: {', '.join(left)}")
    position = learner.position
    if position.epoch_step:
        notes.append(f"Going on in epoch {position.epoch + 1} after step {position.epoch_step}")
    elif position.epoch:
        notes.append(f"Going on after epoch {position.epoch}")
    if not same_best:
        notes.append(
            "The best model is missing, or is judged by another measure now: the next epoch is the best so far"
        )
    return notes


def _finished_before(config: RunConfig, run: RunDirectory, learner: Learner) -> Outcome:
    if not run.best_model.exists():
        raise TrainingError(
            f"{run.path} holds a finished run whose best model is missing; train on with more --epochs, "
            f"or use its state: -m {run.last_state}"
        )
    done = learner.position.epoch >= config.train.epochs
    return _outcome(run, learner, "all epochs done before" if done else "no improvement before")


def _outcome(
    run: RunDirectory, learner: Learner, reason: Reason, *, signal: int = 0, saved_step: int | None = None
) -> Outcome:
    stopping, position = learner.stopping, learner.position
    if stopping.best is None and reason != "interrupted":
        raise TrainingError(
            f"no epoch had a finite validation, so there is no best model in {run.path}. "
            "Lower train.optimizer.lr, or check the corpus for broken samples"
        )
    best = -stopping.best if stopping.best is not None and learner.monitor == "sdr" else stopping.best
    return Outcome(
        run, reason, position.epoch, position.step, learner.monitor, best, stopping.best_epoch, signal, saved_step
    )
