"""The files of a run, and what may happen to them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepkit import config as configs
from sepkit.atomic import write_text
from sepkit.config import RunConfig
from sepkit.errors import ConfigError


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
            raise ConfigError(
                f"{self.path} holds a run already: continue it with --resume, or replace it with --overwrite"
            )

    def start(self, config: RunConfig) -> None:
        """Make the folder ready for a new run: an earlier one in it is removed.

        Raises:
            ConfigError: the folder cannot be written.

        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for file in (self.best_model, self.last_state, self.history):
                file.unlink(missing_ok=True)
            write_text(self.config, configs.dump_toml(config))
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error})") from None

    def read_history(self, last_epoch: int) -> list[dict[str, Any]]:
        """Return the rows up to `last_epoch`; later ones belong to epochs that are run again."""
        if not self.history.exists():
            return []
        rows = [json.loads(line) for line in self.history.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["epoch"] <= last_epoch]

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Replace the history."""
        write_text(self.history, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
