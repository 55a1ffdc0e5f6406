"""Tracks times estimates times metrics -> scores, in as many processes as there are cores.

A song's score is the median over its frames, and the score of a run the median over its songs, as in SiSEC 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median

from sepkit.component import MetricConfig
from sepkit.data.workers import each
from sepkit.errors import CorpusError, WorkerError
from sepkit.evaluation.alignment import Shift, warn_of_shifts
from sepkit.evaluation.bounds import bounds_of
from sepkit.evaluation.cost import Cost
from sepkit.evaluation.score import Score, metric_of
from sepkit.evaluation.song_scorer import SongScorer, SongScores
from sepkit.report import SongSection
from sepkit.track import Track

INTERRUPTED = "interrupted before it was scored"


@dataclass(frozen=True)
class Evaluation:
    """The scores of all songs.

    Attributes:
        metrics: In the order of the scores.
        estimates: The labels of the estimators.
        bounds: The labels of floor and ceilings.
        scores: All of them.
        failed: Song -> the reason.
        absent: Song -> estimated stems that it has no reference for.
        costs: Of each model, by label.
        sections: The songs on the report page.
        stop: The exception that ended it before all songs were scored, if any.
        shifts: Estimates that are late or early.
    """

    metrics: tuple[MetricConfig, ...]
    estimates: tuple[str, ...]
    bounds: tuple[str, ...]
    scores: Sequence[Score] = ()
    failed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    sections: Sequence[SongSection] = ()
    stop: BaseException | None = None
    shifts: Sequence[Shift] = ()

    @cached_property
    def by_column(self) -> dict[tuple[str, str, str], list[Score]]:
        """Stem, metric and estimate -> the scores of all songs."""
        found: dict[tuple[str, str, str], list[Score]] = {}
        for score in self.scores:
            found.setdefault((score.stem, score.metric, score.estimate), []).append(score)
        return found

    @cached_property
    def by_place(self) -> dict[tuple[str, str], dict[tuple[str, str], Score]]:
        """Song and stem -> metric and estimate -> the score."""
        found: dict[tuple[str, str], dict[tuple[str, str], Score]] = {}
        for score in self.scores:
            found.setdefault((score.track, score.stem), {})[score.metric, score.estimate] = score
        return found

    def median(self, stem: str, metric: str, estimate: str) -> float | None:
        """Return the median over the songs that have a score, infinite if most are perfect; None without scores."""
        return median(values) if (values := self._values(stem, metric, estimate)) else None

    def mean(self, stem: str, metric: str, estimate: str) -> float | None:
        """Return the mean over the songs that have a score, infinite if one is perfect; None without scores."""
        return fmean(values) if (values := self._values(stem, metric, estimate)) else None

    def _values(self, stem: str, metric: str, estimate: str) -> list[float]:
        return [s.value for s in self.by_column.get((stem, metric, estimate), ()) if s.value is not None]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of estimators and bounds."""
        return (*self.estimates, *self.bounds)

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """The pairs of stem and metric, in order."""
        return list(dict.fromkeys((s.stem, s.metric) for s in self.scores))

    def metric_of(self, score: str) -> MetricConfig:
        """Return the metric that a score of this name comes from."""
        return metric_of(self.metrics, score)


def evaluate(
    scorer: SongScorer,
    tracks: Sequence[Track],
    costs: dict[str, Cost] | None = None,
    *,
    processes: int = 1,
    done: Callable[[SongScores], None] = lambda _: None,
    stops: tuple[type[BaseException], ...] = (),
) -> Evaluation:
    """Estimate and score each track.

    Args:
        scorer: Estimates and scores one of them.
        tracks: Songs with known stems. One that cannot be read is reported, and the others are scored.
        costs: Of each model, by label.
        processes: The number of songs at a time, each in a process of its own if it is not 1.
        done: A callback for the scores of each track, in their order.
        stops: Exceptions that end the evaluation early, such as KeyboardInterrupt: the remaining songs count as failed.
            They are raised as long as no song is scored.

    Raises:
        CorpusError: no song has a reference for any estimate.
    """
    results, stop = _until_stopped(_results(scorer, tracks, min(processes, len(tracks))), done, stops)
    results += [SongScores(track, error=INTERRUPTED) for track in tracks[len(results) :]]
    evaluation = Evaluation(
        scorer.metrics,
        tuple(estimator.label for estimator in scorer.estimators),
        _bounds(scorer),
        [score for result in results for score in result.scores],
        {result.track.name: result.error for result in results if result.error},
        {result.track.name: result.absent for result in results if result.absent},
        costs or {},
        [result.section for result in results if result.section],
        stop,
        [shift for result in results for shift in result.shifts],
    )
    warn_of_shifts(evaluation.shifts)
    if not evaluation.scores and not evaluation.failed:
        raise CorpusError(_no_reference(scorer, tracks))
    return evaluation


def _until_stopped(
    coming: Generator[SongScores, None, None],
    done: Callable[[SongScores], None],
    stops: tuple[type[BaseException], ...],
) -> tuple[list[SongScores], BaseException | None]:
    """Return the results up to an exception that stops, and that exception; raise it if no song is scored."""
    results: list[SongScores] = []
    try:
        with closing(coming):
            for result in coming:
                results.append(result)
                done(result)
    except stops as error:
        if not any(result.scores for result in results):
            raise
        return results, error.with_traceback(None)
    return results, None


def _results(scorer: SongScorer, tracks: Sequence[Track], count: int) -> Generator[SongScores, None, None]:
    """Yield the scores of each track. If a process dies, as when memory is short, the remaining songs have failed."""
    left = list(tracks)
    try:
        for result in each(scorer, tracks, count if count > 1 else 0):
            left.pop(0)
            yield result
    except WorkerError as error:
        for track in left:
            yield SongScores(track, error=f"{error}: --processes 1")


def _bounds(scorer: SongScorer) -> tuple[str, ...]:
    bounds = [bound for e in scorer.estimators for bound in bounds_of(e.network, e.audio)] if scorer.bounded else []
    return tuple(dict.fromkeys(bound.label for bound in bounds))


def _no_reference(scorer: SongScorer, tracks: Sequence[Track]) -> str:
    found = sorted({stem for track in tracks for stem in track.stems})
    wanted = ", ".join(scorer.targets) or "the estimates"
    return f"no song has a reference for {wanted}; stems found: {', '.join(found) or 'none'}"
