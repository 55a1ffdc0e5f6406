"""What TensorBoard shows of a run: numbers of each epoch, examples to hear and see; `events.*` in the run's folder.

Watching never ends a run: what goes wrong, such as a full disk, is one warning, and nothing more is written.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from sepkit.training.watching import spectrogram

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


class Events:
    """Writes events; does nothing where TensorBoard is not installed, and after the first failure."""

    def __init__(self, folder: Path, first_step: int, *, active: bool) -> None:
        self._folder = folder
        self._first_step = first_step
        self._active = active
        self._writer: SummaryWriter | None = None
        self._open_writer = ExitStack()

    @classmethod
    def open(cls, folder: Path, first_step: int) -> Self:
        """Return the events from `first_step` on: the step of the first of them, or any after those that stay.

        What a run that was broken off has shown from there on, TensorBoard forgets. The file appears with the first
        event.
        """
        return cls(folder, first_step, active=find_spec("tensorboard") is not None)

    @property
    def active(self) -> bool:
        """Whether what comes is written."""
        return self._active

    def row(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch's row of the history; one that is missing or null is left out."""
        self._write(lambda writer: _add_row(writer, row))

    def example(self, step: int, name: str, sample_rate: int, mixture: Tensor, stems: Mapping[str, Tensor]) -> None:
        """Write how a mixture [channel, time] and its estimated stems sound, in mono, and their spectrograms."""
        sounds = {"mixture": mixture, **stems}
        self._write(lambda writer: _add_example(writer, step, name, sample_rate, sounds))

    def close(self) -> None:
        """End the file. What comes afterwards is not written."""
        active, self._active = self._active, False
        try:
            self._open_writer.close()
        except Exception as error:  # noqa: BLE001  see the module
            if active:
                self._warn(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _write(self, add: Callable[["SummaryWriter"], None]) -> None:
        if not self._active:
            return
        try:
            if self._writer is None:
                self._writer = self._open_writer.enter_context(_summary_writer(self._folder, self._first_step))
            add(self._writer)
        except Exception as error:  # noqa: BLE001  see the module; TensorBoard, protobuf and TensorFlow raise anything
            self._active = False
            self._warn(error)
            self.close()

    def _warn(self, error: Exception) -> None:
        log.warning("%s: nothing more is written for TensorBoard (%s)", self._folder, error)


def _add_row(writer: "SummaryWriter", row: Mapping[str, Any]) -> None:
    values = {
        "loss/train": row.get("train_loss"),
        "loss/validation": row.get("validation_loss"),
        **{f"sdr/{source}": value for source, value in (row.get("sdr") or {}).items()},
        **{key: row.get(key) for key in ("lr", "skipped", "chunks_per_second")},
    }
    for tag, value in values.items():
        if value is not None and isfinite(value):
            writer.add_scalar(tag, value, row["step"])


def _add_example(writer: "SummaryWriter", step: int, name: str, sample_rate: int, sounds: Mapping[str, Tensor]) -> None:
    """Add audio and pictures. All pictures share the scale of the first, so that stems compare with the mixture."""
    sounds = {part: sound.detach().cpu().float().nan_to_num() for part, sound in sounds.items()}
    powers = {part: spectrogram.power(sound, sample_rate) for part, sound in sounds.items()}
    loudest = next(iter(powers.values())).max().item()
    for part, sound in sounds.items():
        mono = sound.mean(0, keepdim=True).clamp(-1, 1)  # else TensorBoard tells stdout that it clips
        writer.add_audio(f"audio/{name}/{part}", mono, step, sample_rate)
        writer.add_image(f"spectrogram/{name}/{part}", spectrogram.picture(powers[part], loudest), step)


@contextmanager
def _summary_writer(folder: Path, first_step: int) -> Iterator["SummaryWriter"]:
    """Yield a writer. At the end its thread is ended, and an error that no call has raised yet is raised."""
    with warnings.catch_warnings():  # protobuf 4 on Python 3.12 warns of itself
        warnings.filterwarnings("ignore", "Type google", DeprecationWarning)
        from torch.utils.tensorboard import SummaryWriter

    started: set[Any] = set()
    with _thread_errors() as errors:
        try:
            before = _threads()
            try:
                writer = SummaryWriter(str(folder), purge_step=first_step, max_queue=100, flush_secs=10)
            finally:  # one that fails to open has started its thread already
                started = _threads() - before
            yield writer
            writer.close()
        finally:
            for thread in started:
                thread.stop()
    if errors:
        raise errors[0]


@contextmanager
def _thread_errors() -> Iterator[list[BaseException]]:
    """Collect the errors of TensorBoard's threads, which else print a traceback, and may reach no call any more."""
    errors: list[BaseException] = []
    inherited = threading.excepthook

    def collect(failure: threading.ExceptHookArgs) -> None:
        if _is_writing(failure.thread) and failure.exc_value:
            errors.append(failure.exc_value)
        else:
            inherited(failure)

    threading.excepthook = collect
    try:
        yield errors
    finally:
        if threading.excepthook is collect:
            threading.excepthook = inherited


def _threads() -> set[Any]:
    return {thread for thread in threading.enumerate() if _is_writing(thread)}


def _is_writing(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("tensorboard.")
