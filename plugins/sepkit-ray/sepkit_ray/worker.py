"""One process of the cluster: it holds the model, and separates the songs that it is handed, one at a time."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from platform import node
from typing import Any, NamedTuple

import ray

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.checkpoints.locate import locate
from sepkit.errors import ModelFileError
from sepkit.separation import Separator
from sepkit.separation.engine.memory import share_one_heap
from sepkit.songs.batch import SongResult
from sepkit.songs.pipeline import Pipeline, Plan, SeparationOptions, StemFiles
from sepkit.songs.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class Setup:
    """The start of each worker. Relative paths are relative to `folder`, the command's own working folder.

    Attributes:
        folder: Where the command was given.
        model: What the command's -m means: a file, or the name of a pretrained model.
        checksum: Of that model, as the command has read it.
        device: As --device.
        engine: Keyword arguments of `Separator.load`.
        options: Of the run.
    """

    folder: Path
    model: str
    checksum: str
    device: str
    engine: dict[str, Any]
    options: SeparationOptions


class Answer(NamedTuple):
    """The result of a song, and the warnings that it gave."""

    result: SongResult
    warnings: tuple[str, ...] = ()


class Worker:
    """Becomes a Ray actor.

    Raises:
        ModelFileError: the model cannot be loaded here, or it is another one than the command has read.
        ConfigError: the device is not available.
        OSError: this machine has no such folder.
    """

    def __init__(self, setup: Setup) -> None:
        os.chdir(setup.folder)
        share_one_heap()
        separator = Separator.load(locate(setup.model), setup.device, **setup.engine)
        if separator.model.checksum != setup.checksum:
            raise ModelFileError(
                f"on {node()}, {setup.model} is another model; put it on a disk that all machines share"
            )
        self._pipeline = Pipeline(separator, Decoder(), setup.options, frozenset())
        self._warnings = _Warnings()
        logging.getLogger("sepkit").addHandler(self._warnings)

    def ready(self) -> None:
        """Return when the model is loaded."""

    def separate(self, plan: Plan) -> Answer:
        """Separate a song as planned, all stems or none."""
        try:
            result = SongResult(plan.song.path, self._written(plan))
        except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
            result = SongResult.failed(plan.song, error)
        return Answer(result, self._warnings.take())

    def _written(self, plan: Plan) -> StemFiles:
        current = self._current(plan)
        if current.action == "skip":
            return replace(current.skipped, skipped=False, reason="")
        with WorkFolder(self._pipeline.options.output.root) as work, work.part() as folder:
            return self._pipeline.finish(current, self._pipeline.grow(current, folder, lambda *_: None), folder)

    def _current(self, plan: Plan) -> Plan:
        """The worker before this one may have died with the stems in their place, or some of them."""
        if plan.replaces or not ray.get_runtime_context().was_current_actor_reconstructed:
            return plan
        again = replace(self._pipeline, options=replace(self._pipeline.options, skip_existing=True), _taken={})
        current = again.plan(plan.song)
        return plan if current.action == "leave out" else current


class _Warnings(logging.Handler):
    """Keeps warnings until the answer takes them along."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        texts, self._texts = tuple(self._texts), []
        return texts
