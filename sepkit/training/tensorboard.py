"""A run in TensorBoard: numbers of each epoch, sounds and pictures of a song; `events.*` in the run's folder.

Events are written as they come, by TensorBoard's own encoding of records; its writer would do so in a thread that
prints its errors. No failure ends the run: one, such as a full disk, is one warning, and nothing more is written.
"""

import logging
import socket
import time
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from sepkit.training import spectrogram

log = logging.getLogger(__name__)


class TensorBoard:
    """Writes events; does nothing without TensorBoard, and after the first failure.

    The file appears with the first event. Events from `first_step` on that an interrupted run has left are hidden.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self.active = find_spec("tensorboard") is not None
        self._folder = folder
        self._first_step = first_step
        self._file: Path | None = None

    def row(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch's row of the history; a missing number or null is left out."""
        values = {
            "loss/train": row.get("train_loss"),
            "loss/validation": row.get("validation_loss"),
            **{f"sdr/{source}": value for source, value in (row.get("sdr") or {}).items()},
            **{key: row.get(key) for key in ("lr", "skipped", "chunks_per_second")},
        }
        known = {tag: value for tag, value in values.items() if value is not None and isfinite(value)}
        self._write(row["step"], [("scalar", (tag, value)) for tag, value in known.items()])

    def example(self, step: int, name: str, sample_rate: int, mixture: Tensor, stems: Mapping[str, Tensor]) -> None:
        """Write a mixture [channel, time] and its estimated stems as mono sounds, and their spectrograms.

        All pictures share the scale of the mixture's.
        """
        sounds = {part: s.detach().cpu().float().nan_to_num() for part, s in {"mixture": mixture, **stems}.items()}
        powers = {part: spectrogram.power(sound, sample_rate) for part, sound in sounds.items()}
        loudest = powers["mixture"].max().item()
        summaries: list[tuple[str, tuple[Any, ...]]] = []
        for part, sound in sounds.items():
            mono = sound.mean(0, keepdim=True).clamp(-1, 1)  # TensorBoard reports clipping on stdout
            summaries.append(("audio", (f"audio/{name}/{part}", mono, sample_rate)))
            picture = spectrogram.picture(powers[part], loudest)[None]
            summaries.append(("image", (f"spectrogram/{name}/{part}", picture)))
        self._write(step, summaries)

    def _write(self, step: int, summaries: list[tuple[str, tuple[Any, ...]]]) -> None:
        """Append summaries, each the name of a function of `torch.utils.tensorboard.summary` and its arguments."""
        if not self.active:
            return
        try:
            with warnings.catch_warnings():  # protobuf 4 on Python 3.12 warns of itself
                warnings.filterwarnings("ignore", "Type google", DeprecationWarning)
                from tensorboard.compat.proto.event_pb2 import Event, SessionLog
                from tensorboard.summary.writer.record_writer import RecordWriter
                from torch.utils.tensorboard import summary
            now = time.time()
            events = [
                Event(wall_time=now, step=step, summary=getattr(summary, kind)(*args)) for kind, args in summaries
            ]
            if self._file is None:
                self._file = self._folder / f"events.out.tfevents.{now:.6f}.{socket.gethostname()}"
                start = SessionLog(status=SessionLog.START)
                events[:0] = [
                    Event(wall_time=now, file_version="brain.Event:2"),
                    Event(wall_time=now, step=self._first_step, session_log=start),
                ]
            with self._file.open("ab") as file:
                records = RecordWriter(file)
                for event in events:
                    records.write(event.SerializeToString())
        except Exception as error:  # noqa: BLE001  see the module; TensorBoard and protobuf raise anything
            self.active = False
            log.warning("%s: nothing more is written for TensorBoard (%s)", self._folder, error)
