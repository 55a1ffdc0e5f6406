"""The files of a run, and what may happen to them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepkit.atomic import Commit, remove_leftovers
from sepkit.errors import ConfigError, ModelFileError, TrainingError
from sepkit.training.ranks import Ranks


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`config.toml`, `best_model.safetensors`, `last_state.safetensors`, `history.jsonl` and pictures in one folder."""

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

    @property
    def curves(self) -> Path:
        """The losses and scores of all epochs, as a picture."""
        return self.path / "curves.png"

    def used(self) -> bool:
        """Return whether a run has left results here."""
        return any(file.exists() for file in (self.best_model, self.last_state, self.history))

    def check_free(self, *, overwrite: bool) -> None:
        """Raise ConfigError if the folder holds a run that nobody allowed to overwrite."""
        if overwrite:
            return
        if self.last_state.exists():
            raise ConfigError(
                f"{self.path} holds a run already: continue it with --resume, or replace it with --overwrite"
            )
        if self.used():
            raise ConfigError(
                f"{self.path} holds a run already, without its state: start from its best model with --resume-from "
                f"{self.best_model} and another --output-dir, or replace it with --overwrite"
            )
        if self.config.exists():
            raise ConfigError(
                f"{self.config} would be replaced; give another --output-dir, or allow it with --overwrite"
            )

    def check_foreign(self, file: Path) -> None:
        """Raise ConfigError if a new run here would remove the file that it starts from."""
        if file.resolve().parent == self.path.resolve():
            raise ConfigError(f"{file} lies in the output folder of the new run; give another --output-dir")

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error})") from None

    @contextmanager
    def alone(self, ranks: Ranks) -> Iterator[None]:
        """Make the folder, and keep other processes from training in it; remove what a killed one left unfinished.

        A folder that is made here, and gets nothing, is gone afterwards.

        Raises:
            ConfigError: the folder cannot be written, or another process trains in it.
        """
        if not ranks.leads:
            yield
            return
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self._make()
        try:
            with _locked(self.path / ".training"):
                remove_leftovers((self.config, self.best_model, self.last_state, self.history, self.curves))
                yield
        finally:
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()

    @contextmanager
    def commit(self) -> Iterator[Commit]:
        """Yield a commit of files in this folder.

        Raises:
            TrainingError: they cannot be written; all files are as they were.
        """
        try:
            with Commit() as commit:
                yield commit
        except (OSError, ModelFileError) as error:
            raise TrainingError(f"{self.path}: the run cannot be saved, its earlier files are kept ({error})") from None

    def clear(self, commit: Commit) -> None:
        """Let a commit remove what an earlier run has left."""
        for file in (
            self.best_model,
            self.last_state,
            self.history,
            self.curves,
            *self.path.glob("events.out.tfevents.*"),
        ):
            commit.remove(file)

    def adopt(self, state: Path) -> None:
        """Copy the state of another run, with the history and the best model beside it."""
        origin = RunDirectory(state.parent)
        with self.commit() as commit:
            self.clear(commit)
            for source, target in (
                (origin.history, self.history),
                (origin.best_model, self.best_model),
                (state, self.last_state),
            ):
                if source.exists():
                    with commit.file(target) as temporary:
                        shutil.copyfile(source, temporary)

    def read_history(self, last_epoch: int) -> list[dict[str, Any]]:
        """Return the rows up to `last_epoch`; later ones belong to epochs that are run again."""
        if not self.history.exists():
            return []
        try:
            rows = [json.loads(line) for line in self.history.read_text(encoding="utf-8").splitlines()]
            return [row for row in rows if row["epoch"] <= last_epoch]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.history}: a line is no JSON object of an epoch ({error}); remove it") from None

    def stage_history(self, commit: Commit, rows: list[dict[str, Any]]) -> None:
        """Let a commit replace the history."""
        commit.text(self.history, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file. The system lets it go with the process, and forked workers do not hold it, as they would hold
    one of `flock`; a system that has no such locks does without.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        file = path.open("w")
    except OSError as error:
        raise ConfigError(f"{path.parent}: cannot be written ({error})") from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ConfigError(
                f"another process trains in {path.parent}; wait for it, or give another --output-dir"
            ) from None
        except OSError:  # not on this file system
            pass
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
