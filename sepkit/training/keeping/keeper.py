"""What of a run is on disk, and when it gets there."""

from math import isfinite
from time import monotonic, perf_counter
from typing import Any

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.config import RunConfig
from sepkit.training.keeping import state as states
from sepkit.training.keeping.resume import state_of
from sepkit.training.keeping.run_directory import RunDirectory
from sepkit.training.learning.learner import Learner
from sepkit.training.validation import Validation


class Keeper:
    """Keeps the history, the best model and the state of a run.

    A state is kept only if a run may go on from it; otherwise the last one that was is left in place. Every rank must
    call the methods, and rank 0 writes.
    """

    def __init__(self, config: RunConfig, run: RunDirectory, learner: Learner, *, fresh: bool) -> None:
        """A fresh run leaves in place what an earlier one has left until there is something to put there."""
        self._config = config
        self._run = run
        self._learner = learner
        self._fresh = fresh
        self._saved_at = monotonic()
        self._saved_step = None if fresh else learner.position.step
        self.history: list[dict[str, Any]] = [] if fresh else run.read_history(learner.position.epoch)

    @property
    def begun(self) -> bool:
        """Whether there is anything of this run on disk."""
        return not self._fresh

    @property
    def due(self) -> bool:
        """Whether a save within the epoch is."""
        return monotonic() - self._saved_at >= 60 * self._config.train.save_minutes

    @property
    def saved_step(self) -> int | None:
        """The step that can be gone on from, if there is any."""
        return self._saved_step

    def check(self) -> None:
        """Raise TrainingError if the files of the run could not be written: before the first step, not after hours."""
        state = state_of(self._learner)
        if self._learner.ranks.leads:
            with self._run.commit() as commit:
                self._stage(commit, state, better=True, sound=True)
                commit.discard()

    def begin(self, validation: Validation) -> None:
        """Keep the weights that a run starts from as the best so far."""
        if self._learner.stopping.update(0, validation.score(self._learner.monitor)):
            self._write(better=True, sound=True)

    def save(self) -> None:
        """Save the state within an epoch, if anything was learned since the last time."""
        if self._learner.position.step not in (0, self._saved_step):
            self._write(better=False, sound=True)

    def close_epoch(self, validation: Validation, started: float) -> None:
        """End an epoch, whose validation started at `started`: judge it, note it, keep it."""
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
            learner.schedule.judge(score)
        position.close_epoch()
        self._write(better=better, sound=isfinite(validation.loss))

    def _write(self, *, better: bool, sound: bool) -> None:
        state = state_of(self._learner)
        sound = sound and self._learner.sound
        if self._fresh and not sound:
            return
        if self._learner.ranks.leads:
            with self._run.commit() as commit:
                self._stage(commit, state, better=better, sound=sound)
        self._fresh = False
        if sound:
            self._saved_at, self._saved_step = monotonic(), self._learner.position.step

    def _stage(self, commit: Commit, state: dict[str, Any], *, better: bool, sound: bool) -> None:
        run, learner, manifest = self._run, self._learner, self._manifest()
        commit.text(run.config, configs.dump_toml(self._config))
        run.stage_history(commit, self.history)
        if better:
            model_file.stage(commit, run.best_model, learner.judged, manifest)
        if sound:
            states.stage(commit, run.last_state, state, manifest)
        if self._fresh:
            run.clear(commit)
        elif learner.stopping.best is None:  # that of a run that was overwritten
            commit.remove(run.best_model)

    def _manifest(self) -> dict[str, Any]:
        position = self._learner.position
        row = self.history[-1] if self.history and not position.epoch_step else {}
        metrics = {"validation_loss": row.get("validation_loss")}
        metrics |= {f"sdr_{source}": value for source, value in (row.get("sdr") or {}).items()}
        known = {name: value for name, value in metrics.items() if value is not None}
        return model_file.manifest_of(self._config, epoch=position.epoch, step=position.step, metrics=known)


def _finite(value: float | None) -> float | None:
    """JSON has no NaN, and no infinity."""
    return value if value is not None and isfinite(value) else None
