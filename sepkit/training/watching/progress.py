"""What a person sees while a run goes on: one bar an epoch in a terminal, one line an epoch anywhere else."""

from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sepkit.terminal import console


class TrainingProgress:
    """Shows epochs on stderr, or nothing at all unless it is `shown`."""

    def __init__(self, epochs: int, batch_size: int, *, shown: bool = True) -> None:
        self._epochs = epochs
        self._batch_size = batch_size
        self._shown = shown
        self._done = 0
        self._console = console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("", figures="", visible=False)
        self._waiting = self._bar.add_task("validating", total=None, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line, if there is something to say."""
        if text and self._shown:
            self._console.print(text, soft_wrap=True)

    def epoch(self, epoch: int, steps: int, done: int) -> None:
        """Start the bar of an epoch of which some steps are done."""
        self._done = done
        description = f"epoch {epoch}/{self._epochs}"
        self._bar.update(self._waiting, visible=False)
        self._bar.reset(self._task, total=steps, completed=done, description=description, figures="", visible=True)

    def validates(self) -> None:
        """Show that validation goes on instead of an epoch."""
        self._bar.update(self._task, visible=False)
        self._bar.reset(self._waiting, visible=True)

    def step(self, loss: float) -> None:
        """Count a step with its mean loss so far."""
        task = self._bar.tasks[0]
        speed = (task.completed + 1 - self._done) * self._batch_size / max(task.elapsed or 0.0, 1e-6)
        self._bar.update(self._task, advance=1, figures=f"loss {loss:.5f}  {speed:.1f} chunks/s")

    def epoch_done(self, row: dict[str, Any], sdr: str, waited: int, patience: int, *, judged: bool) -> None:
        """Print the row of an epoch, with its SDR as a text; `judged` says whether what is monitored was measured."""
        mark = "best" if row["best"] else "" if not judged else f"no better for {waited} of {patience}"
        self.say(
            f"epoch {row['epoch']:>4}/{self._epochs}  train {_number(row['train_loss'])}  "
            f"validation {_number(row['validation_loss'])}  {row['chunks_per_second']:6.1f} chunks/s  "
            f"{row['seconds']:6.1f} s{sdr}  {mark}".rstrip()
        )


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.5f}"
