"""All that people see of a run while it goes on: lines and a bar on stderr, curves.png, TensorBoard."""

import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sepkit.config import RunConfig
from sepkit.data.loader import Data
from sepkit.evaluation.reference import load
from sepkit.precision import Precision
from sepkit.songs.separator import Separator
from sepkit.track import Track
from sepkit.training.keeping.keeper import Keeper
from sepkit.training.keeping.run_directory import RunDirectory
from sepkit.training.learning.learner import Learner
from sepkit.training.learning.randomness import preserved_randomness
from sepkit.training.validation import Validation, Validator
from sepkit.training.watching import curves
from sepkit.training.watching.events import Events
from sepkit.training.watching.pace import LONG_EPOCH, WAITING, Pace
from sepkit.training.watching.progress import TrainingProgress

# Of the song that TensorBoard lets hear.
EXCERPT_SECONDS = 10

log = logging.getLogger(__name__)


class Watch:
    """Shows a run. Ranks other than the leading one show nothing."""

    def __init__(self, config: RunConfig, data: Data, run: RunDirectory, learner: Learner) -> None:
        self._config = config
        self._data = data
        self._run = run
        self._learner = learner
        self._leads = learner.ranks.leads
        self._progress = TrainingProgress(config.train.epochs, config.train.batch_size, shown=self._leads)
        self._events: Events | None = None
        self._pace = Pace()
        self._validating_since = perf_counter()
        self._validation_seconds = 0.0

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.__exit__(kind, error, at)
        if self._events is not None:
            self._events.close()

    def say(self, text: str) -> None:
        """Print a line, if there is something to say."""
        self._progress.say(text)

    def opening(self, precision: Precision, notes: Sequence[str]) -> None:
        """Say what is trained and how it begins."""
        for line in (_opening(self._config, self._data, self._learner, precision), *notes):
            self.say(line)

    def validates(self) -> None:
        """Let the bar wait for a validation."""
        self._validating_since = perf_counter()
        self._progress.validates()

    def validated_first(self, validation: Validation) -> None:
        """Print what a run starts from."""
        self._validation_seconds = perf_counter() - self._validating_since
        self.say(f"before training  validation {validation.loss:.5f}{_decibels(validation.sdr)}")

    def epoch_begins(self) -> None:
        """Start the bar of an epoch, which may have been broken off before."""
        position = self._learner.position
        self._progress.epoch(position.epoch + 1, self._data.steps_per_epoch, position.epoch_step)

    def step_done(self, seconds: float, waited: float) -> None:
        """Count a step that took some seconds, of which it waited some for its data. Once enough are known, say how
        long the run will take, and what would make it faster.
        """
        self._progress.step(self._learner.position.loss)
        if self._pace.add(seconds, waited):
            for line in self._prospects():
                self.say(line)

    def _prospects(self) -> Iterator[str]:
        pace, steps, validation = self._pace, self._data.steps_per_epoch, self._validation_seconds
        yield pace.estimate(steps, self._config.train.epochs - self._learner.position.epoch, validation)
        if self._learner.ranks.device.type == "cpu" and pace.epoch(steps, validation) > LONG_EPOCH:
            yield "Long for a CPU: take fewer and smaller steps, as configs/vocals-cpu.toml does, or use a GPU"
        if pace.waiting > WAITING and (advice := self._data.advice()):
            yield f"{pace.waiting:.0%} of that is waiting for data. {advice}"

    def epoch_done(self, keeper: Keeper, validator: Validator) -> None:
        """Show an epoch everywhere; in the folder only once the run has begun to be kept there."""
        if not self._leads:
            return
        row, stopping = keeper.history[-1], self._learner.stopping
        judged = self._learner.monitor == "loss" or row["sdr"] is not None
        self._progress.epoch_done(row, _decibels(row["sdr"]), stopping.waited, stopping.patience, judged=judged)
        if not keeper.begun:
            return
        if self._events is None:
            self._events = Events.open(self._run.path, row["step"])
        self._events.row(row)
        if row["sdr"] is not None and self._events.active:
            self._let_hear(row["step"], validator.separator(self._learner.judged), validator.data.validation_tracks[0])
        try:
            curves.draw(keeper.history, self._run.curves)
        except Exception as error:  # noqa: BLE001  a picture is not worth the run
            log.warning("%s cannot be drawn (%s)", self._run.curves, error)

    def _let_hear(self, step: int, separator: Separator, track: Track) -> None:
        """Give TensorBoard the loudest seconds of a song's target, separated."""
        song = load(track)
        target = np.sum([song.stems[s] for s in separator.sources if s in song.stems], axis=0)
        frames = min(EXCERPT_SECONDS * song.sample_rate, song.mixture.shape[-1])
        start = _loudest(target, frames)
        mixture = torch.from_numpy(np.ascontiguousarray(song.mixture[:, start : start + frames]))
        with preserved_randomness(self._learner.ranks.device):
            stems: dict[str, Tensor] = separator(mixture, song.sample_rate)
        assert self._events is not None
        self._events.example(step, track.name, song.sample_rate, mixture, stems)


def _loudest(signal: Any, frames: int) -> int:
    """Return the first frame of the span of `frames` frames of [channel, time] with the most energy."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64).sum(0))])
    return int(np.argmax(energy[frames:] - energy[: len(energy) - frames]))


def _opening(config: RunConfig, data: Data, learner: Learner, precision: Precision) -> str:
    parameters = sum(p.numel() for p in learner.network.parameters())
    frozen = sum(p.numel() for p in learner.network.parameters() if not p.requires_grad)
    still = f", {frozen / 1e6:.2f} M frozen" if frozen else ""
    processes = f"{learner.ranks.count} x " if learner.ranks.count > 1 else ""
    return (
        f"{config.model.name} ({parameters / 1e6:.2f} M parameters{still}) for {', '.join(config.audio.sources)} "
        f"on {processes}{learner.ranks.device.type} "
        f"in {str(precision.dtype).removeprefix('torch.')}; "
        f"{len(data.train_songs)} songs to train on, {len(data.validation_songs)} to validate on; "
        f"{data.steps_per_epoch} steps of {config.train.batch_size} chunks an epoch"
    )


def _decibels(sdr: dict[str, float | None] | None) -> str:
    """Return the SDR of each source for a person to read, or nothing."""
    if sdr is None:
        return ""
    values = [f"{source} {'undefined' if value is None else f'{value:.2f}'} dB" for source, value in sdr.items()]
    return f"  SDR {', '.join(values)}"
