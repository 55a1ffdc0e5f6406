"""All that a run shows while it trains: lines and a bar on stderr, curves.png, TensorBoard."""

import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sepkit.config import RunConfig
from sepkit.data.loader import Data
from sepkit.evaluation.reference import load
from sepkit.terminal import console
from sepkit.track import Track
from sepkit.training import curves
from sepkit.training.checkpointer import Checkpointer
from sepkit.training.curves import Rows
from sepkit.training.learner import Learner
from sepkit.training.pace import LONG_EPOCH, WAITING, Pace
from sepkit.training.randomness import preserved_randomness
from sepkit.training.run_directory import RunDirectory
from sepkit.training.tensorboard import TensorBoard
from sepkit.training.validation import Validation, Validator

# Of the song in TensorBoard.
EXCERPT_SECONDS = 10
# Between two pictures of a run: one takes as long to draw as a small epoch to train.
DRAWING_SECONDS = 10

log = logging.getLogger(__name__)


class Display:
    """Shows a run: one bar an epoch in a terminal, one line an epoch anywhere. Only the leading rank shows anything."""

    def __init__(self, config: RunConfig, data: Data, run: RunDirectory, learner: Learner) -> None:
        self._config = config
        self._data = data
        self._run = run
        self._learner = learner
        self._leads = learner.ranks.leads
        self._tensorboard: TensorBoard | None = None
        self._shows_examples = True  # until the first that fails
        self._pace = Pace()
        self._validating_since = perf_counter()
        self._validation_seconds = 0.0
        self._drawn_at = perf_counter()
        self._not_drawn: Rows = ()
        self._console = console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not (self._leads and self._console.is_terminal),
        )
        self._epoch = self._bar.add_task("", figures="", visible=False)
        self._validation = self._bar.add_task("validating", total=None, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        if error is None or isinstance(error, Exception):  # any other is to end the run at once
            self._draw()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._leads:
            self._console.print(text, soft_wrap=True)

    def opening(self, notes: Sequence[str]) -> None:
        """Print the network, the songs and the steps of a run, and notes on its start."""
        config, data, learner = self._config, self._data, self._learner
        parameters = sum(p.numel() for p in learner.network.parameters())
        frozen = sum(p.numel() for p in learner.network.parameters() if not p.requires_grad)
        still = f", {frozen / 1e6:.2f} M frozen" if frozen else ""
        processes = f"{learner.ranks.count} x " if learner.ranks.count > 1 else ""
        self.say(
            f"{config.model.name} ({parameters / 1e6:.2f} M parameters{still}) for {', '.join(config.audio.sources)} "
            f"on {processes}{learner.ranks.device.type} in {str(learner.precision.dtype).removeprefix('torch.')}; "
            f"{len(data.train_songs)} songs to train on, {len(data.validation_songs)} to validate on; "
            f"{data.steps_per_epoch} steps of {config.train.batch_size} chunks an epoch"
        )
        for note in notes:
            self.say(note)

    def validation_begins(self) -> None:
        """Show a validation in place of the epoch."""
        self._validating_since = perf_counter()
        self._bar.update(self._epoch, visible=False)
        self._bar.reset(self._validation, visible=True)

    def validated_first(self, validation: Validation) -> None:
        """Print the scores that a run starts from."""
        self._validation_seconds = perf_counter() - self._validating_since
        self.say(f"before training  validation {validation.loss:.5f}{_decibels(validation.sdr)}")

    def epoch_begins(self) -> None:
        """Start the bar of an epoch, which may have been interrupted before."""
        position, steps = self._learner.position, self._data.steps_per_epoch
        self._begun_at = position.epoch_step
        text = f"epoch {position.epoch + 1}/{self._config.train.epochs}"
        self._bar.update(self._validation, visible=False)
        self._bar.reset(
            self._epoch, total=steps, completed=self._begun_at, description=text, figures="", visible=True
        )  # fmt: skip

    def step_done(self, seconds: float, waited: float) -> None:
        """Count a step that took some seconds, of which it waited some for its data. Once enough are known, print the
        time that the run will take, and advice that would make it faster.
        """
        task = self._bar.tasks[self._epoch]
        chunks = (task.completed + 1 - self._begun_at) * self._config.train.batch_size
        speed = chunks / max(task.elapsed or 0.0, 1e-6)
        figures = f"loss {self._learner.position.loss:.5f}  {speed:.1f} chunks/s"
        self._bar.update(self._epoch, advance=1, figures=figures)
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

    def epoch_done(self, checkpointer: Checkpointer, validator: Validator) -> None:
        """Show an epoch everywhere; in the folder only after the run has written its first files there."""
        if not self._leads:
            return
        row = checkpointer.history[-1]
        self.say(self._line(row))
        if not checkpointer.begun:
            return
        if self._tensorboard is None:
            self._tensorboard = TensorBoard(self._run.path, row["step"])
        self._tensorboard.row(row)
        if row["sdr"] is not None and self._tensorboard.active and self._shows_examples:
            self._show_example(self._tensorboard, row["step"], validator)
        self._not_drawn = checkpointer.history
        if perf_counter() - self._drawn_at >= DRAWING_SECONDS:
            self._draw()

    def _draw(self) -> None:
        if not self._not_drawn:
            return
        try:
            curves.draw(self._not_drawn, self._run.curves)
        except Exception as error:  # noqa: BLE001  a picture is not worth the run
            log.warning("%s cannot be drawn (%s)", self._run.curves, error)
        self._not_drawn, self._drawn_at = (), perf_counter()

    def _line(self, row: dict[str, Any]) -> str:
        stopping, scored = self._learner.stopping, self._learner.monitor == "loss" or row["sdr"] is not None
        waited = f"no better for {stopping.waited} of {stopping.patience}" if scored else ""
        training, validation = (
            "not finite" if loss is None else f"{loss:.5f}" for loss in (row["train_loss"], row["validation_loss"])
        )
        return (
            f"epoch {row['epoch']:>4}/{self._config.train.epochs}  train {training}  validation {validation}  "
            f"{row['chunks_per_second']:6.1f} chunks/s  {row['seconds']:6.1f} s{_decibels(row['sdr'])}  "
            f"{'best' if row['best'] else waited}"
        ).rstrip()

    def _show_example(self, tensorboard: TensorBoard, step: int, validator: Validator) -> None:
        track = self._data.validation_tracks[0]
        try:
            self._write_example(tensorboard, step, validator, track)
        except Exception as error:  # noqa: BLE001  nor is a sound
            self._shows_examples = False
            log.warning("%s: no example is written for TensorBoard any more (%s)", track.name, error)

    def _write_example(self, tensorboard: TensorBoard, step: int, validator: Validator, track: Track) -> None:
        """Write the loudest seconds of a song's sources to TensorBoard, separated; of its mixture if none is known."""
        separator, song = validator.separator(), load(track)
        known = [song.stems[source] for source in separator.sources if source in song.stems]
        target = np.sum(known, axis=0) if known else song.mixture
        length = min(EXCERPT_SECONDS * song.sample_rate, song.mixture.shape[-1])
        energy = np.concatenate([[0.0], np.cumsum(np.square(target, dtype=np.float64).sum(0))])
        start = int(np.argmax(energy[length:] - energy[: len(energy) - length]))
        mixture = torch.from_numpy(np.ascontiguousarray(song.mixture[:, start : start + length]))
        with preserved_randomness(self._learner.ranks.device):
            stems = separator(mixture, song.sample_rate)
        tensorboard.example(step, track.name, song.sample_rate, mixture, stems)


def _decibels(sdr: dict[str, float | None] | None) -> str:
    """Return the SDR of each source as text, or nothing."""
    if sdr is None:
        return ""
    values = [f"{source} {'undefined' if value is None else f'{value:.2f}'} dB" for source, value in sdr.items()]
    return f"  SDR {', '.join(values)}"
