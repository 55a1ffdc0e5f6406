"""The files of a run, and their protection from other runs."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sepkit.atomic import Commit, remove_leftovers
from sepkit.errors import ConfigError, ModelFileError, TrainingError
from sepkit.training.ranks import Ranks


class RunDirectory:
    """The folder of a run.

    Attributes:
        config: The resolved config.
        best_model: The weights with the best validation score.
        last_state: All that resuming needs.
        history: One JSON object an epoch.
        curves: The losses and scores of all epochs, as a picture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.best_model = path / "best_model.safetensors"
        self.last_state = path / "last_state.safetensors"
        self.history = path / "history.jsonl"
        self.curves = path / "curves.png"

    def used(self) -> bool:
        """Return True if a run has left results here."""
        return any(file.exists() for file in (self.best_model, self.last_state, self.history))

    def check_free(self, *, overwrite: bool) -> None:
        """Raise ConfigError if the folder holds a run that may not be overwritten."""
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

    @contextmanager
    def alone(self, ranks: Ranks) -> Iterator[None]:
        """Make the folder, keep other processes from training in it, and remove unfinished files of a killed run.

        A folder that is made here, and gets nothing, is gone afterwards.

        Raises:
            ConfigError: the folder cannot be written, or another process trains in it.
        """
        if not ranks.leads:
            yield
            return
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".training").open("w")
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error})") from None
        try:
            with lock:
                self._lock(lock.fileno())
                remove_leftovers((self.config, self.best_model, self.last_state, self.history, self.curves))
                try:
                    yield
                finally:
                    Path(lock.name).unlink(missing_ok=True)
        finally:
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()

    def _lock(self, descriptor: int) -> None:
        """Lock a file until its process ends. Forked workers do not hold this kind of lock, as they would a `flock`."""
        with suppress(ImportError):  # a system without such locks
            import fcntl

            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise ConfigError(
                    f"another process trains in {self.path}; wait for it, or give another --output-dir"
                ) from None
            except OSError:  # not on this file system
                pass

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
        """Let a commit remove the files of an earlier run."""
        events = self.path.glob("events.out.tfevents.*")
        for file in (self.best_model, self.last_state, self.history, self.curves, *events):
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
