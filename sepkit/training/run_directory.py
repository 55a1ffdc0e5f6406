"""The files of a run, and what may happen to them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepkit import config as configs
from sepkit.atomic import replacing, write_text
from sepkit.config import RunConfig
from sepkit.errors import ConfigError, TrainingError


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`config.toml`, `best_model.safetensors`, `last_state.safetensors` and `history.jsonl` in one folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.toml"

    @property
    def best_model(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / "best_model.safetensors"

    @property
    def last_state(self) -> Path:
        """All that resuming needs."""
        return self.path / "last_state.safetensors"

    @property
    def history(self) -> Path:
        """One JSON object an epoch."""
        return self.path / "history.jsonl"

    def used(self) -> bool:
        """Return whether a run has left results here."""
        return any(file.exists() for file in (self.best_model, self.last_state, self.history))

    def check_free(self, *, overwrite: bool) -> None:
        """Raise ConfigError if the folder holds a run that nobody allowed to overwrite."""
        if self.used() and not overwrite:
            way_on = "continue it with --resume" if self.last_state.exists() else "give another --output-dir"
            raise ConfigError(f"{self.path} holds a run already: {way_on}, or replace it with --overwrite")

    def check_foreign(self, file: Path) -> None:
        """Raise ConfigError if a new run here would remove the file that it starts from."""
        if file.resolve().parent == self.path.resolve():
            raise ConfigError(f"{file} lies in the output folder of the new run; give another --output-dir")

    def prepare(self) -> None:
        """Make the folder, or raise ConfigError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error})") from None

    def start(self, config: RunConfig, *, fresh: bool) -> None:
        """Write the config of the run that begins here; a fresh one removes what an earlier one left."""
        if fresh:
            for file in (self.best_model, self.last_state, self.history):
                file.unlink(missing_ok=True)
        write_text(self.config, configs.dump_toml(config))

    def adopt(self, state: Path) -> None:
        """Copy the state of another run, with the history and the best model beside it."""
        origin = RunDirectory(state.parent)
        for source, target in (
            (origin.history, self.history),
            (origin.best_model, self.best_model),
            (state, self.last_state),
        ):
            if source.exists():
                with replacing(target) as temporary:
                    shutil.copyfile(source, temporary)
            else:  # what an earlier run left here is not this run's
                target.unlink(missing_ok=True)

    def read_history(self, last_epoch: int) -> list[dict[str, Any]]:
        """Return the rows up to `last_epoch`; later ones belong to epochs that are run again."""
        if not self.history.exists():
            return []
        try:
            rows = [json.loads(line) for line in self.history.read_text(encoding="utf-8").splitlines()]
            return [row for row in rows if row["epoch"] <= last_epoch]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.history}: a line is no JSON object of an epoch ({error}); remove it") from None

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Replace the history."""
        write_text(self.history, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
