"""The history, the best model and the state of a run, written to its folder."""

from math import isfinite
from time import monotonic, perf_counter
from typing import Any

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.config import RunConfig
from sepkit.training import state as states
from sepkit.training.learner import Learner
from sepkit.training.run_directory import RunDirectory
from sepkit.training.validation import Validation


class Checkpointer:
    """Saves a run. Every rank must call the methods, and rank 0 writes.

    A state is saved only if the run can resume from it; otherwise the last good one stays in place.
    """

    def __init__(self, config: RunConfig, run: RunDirectory, learner: Learner, *, fresh: bool) -> None:
        """A fresh run leaves the files of an earlier one in place until there is something to replace them."""
        self._config = config
        self._run = run
        self._learner = learner
        self._saved_at = monotonic()
        self.begun = not fresh  # True once any file of this run is on disk
        self.saved_step = None if fresh else learner.position.step  # the last step that a run can resume from
        self.history: list[dict[str, Any]] = [] if fresh else run.read_history(learner.position.epoch)

    @property
    def due(self) -> bool:
        """True when a save within the epoch is due."""
        return monotonic() - self._saved_at >= 60 * self._config.train.save_minutes

    def check(self) -> None:
        """Raise TrainingError before the first step if the files of the run cannot be written."""
        state = states.state_of(self._learner, self._config)
        if self._learner.ranks.leads:
            with self._run.commit() as commit:
                self._stage(commit, state, better=True, resumable=True)
                commit.discard()

    def begin(self, validation: Validation) -> None:
        """Keep the weights that a run starts from as the best so far."""
        if self._learner.stopping.update(0, validation.score(self._learner.monitor)):
            self._write(better=True, resumable=True)

    def save(self) -> None:
        """Save the state within an epoch, if steps were taken since the last time."""
        if self._learner.position.step not in (0, self.saved_step):
            self._write(better=False, resumable=True)

    def close_epoch(self, validation: Validation, started: float) -> None:
        """End an epoch, whose validation started at `started`: compare it, add it to the history, save it."""
        learner, position = self._learner, self._learner.position
        score = validation.score(learner.monitor)
        better = learner.stopping.update(position.epoch + 1, score)
        self.history.append(
            {
                "epoch": position.epoch + 1,
                "step": position.step,
                "train_loss": _finite(position.loss),
                "validation_loss": _finite(validation.loss),
                "sdr": validation.sdr and {source: _finite(value) for source, value in validation.sdr.items()},
                "lr": learner.schedule.rate,
                "skipped": position.skipped,
                "chunks_per_second": position.epoch_step * self._config.train.batch_size / max(position.seconds, 1e-9),
                "seconds": position.seconds + perf_counter() - started,
                "best": better,
            }
        )
        if score is not None:
            learner.schedule.validated(score)
        position.close_epoch()
        self._write(better=better, resumable=isfinite(validation.loss))

    def _write(self, *, better: bool, resumable: bool) -> None:
        state = states.state_of(self._learner, self._config)
        resumable = resumable and self._learner.is_finite()
        if not self.begun and not resumable:
            return
        if self._learner.ranks.leads:
            with self._run.commit() as commit:
                self._stage(commit, state, better=better, resumable=resumable)
        self.begun = True
        if resumable:
            self._saved_at, self.saved_step = monotonic(), self._learner.position.step

    def _stage(self, commit: Commit, state: dict[str, Any], *, better: bool, resumable: bool) -> None:
        run, learner, manifest = self._run, self._learner, self._manifest()
        commit.text(run.config, configs.dump_toml(self._config))
        run.stage_history(commit, self.history)
        if better:
            model_file.stage(commit, run.best_model, learner.evaluated_network, manifest)
        if resumable:
            states.stage(commit, run.last_state, state, manifest)
        if not self.begun:
            run.clear(commit)
        elif learner.stopping.best is None:  # a best model is that of a run that was overwritten
            commit.remove(run.best_model)

    def _manifest(self) -> dict[str, Any]:
        position = self._learner.position
        row = self.history[-1] if self.history and not position.epoch_step else {}
        metrics = {"validation_loss": row.get("validation_loss")}
        metrics |= {f"sdr_{source}": value for source, value in (row.get("sdr") or {}).items()}
        known = {name: value for name, value in metrics.items() if value is not None}
        return model_file.manifest_of(self._config, epoch=position.epoch, step=position.step, metrics=known)


def _finite(value: float | None) -> float | None:
    """Return None for NaN and infinity, which JSON lacks."""
    return value if value is not None and isfinite(value) else None
