"""Tracks times estimates times metrics -> scores, in as many processes as there are cores.

A song's score is the median over its frames, and the score of a run the median over its songs, as in SiSEC 2018.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from sepkit.component import MetricConfig, Track
from sepkit.data.parallel import cores, each
from sepkit.errors import CorpusError, SepkitError, reason
from sepkit.evaluation.bounds import bounds_of
from sepkit.evaluation.cost import Cost
from sepkit.evaluation.estimates import Estimator
from sepkit.evaluation.pairing import pair
from sepkit.evaluation.reference import load
from sepkit.evaluation.score import Score, measured_by
from sepkit.evaluation.scoring import Entry, entries, score
from sepkit.evaluation.section import section_of
from sepkit.report import Limits, Section

log = logging.getLogger(__name__)

# Each process holds a model and a song with all its stems.
MOST_PROCESSES = 8


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a song: its scores and its section of the report, or why it failed, or that it has no stems."""

    track: Track
    scores: tuple[Score, ...] = ()
    section: Section | None = None
    error: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Evaluation:
    """All scores, why the failed tracks failed, and the tracks that have no stem to score, with those they have.

    `estimates` are the labels of those who were evaluated, `bounds` those of what they are seen beside.
    """

    metrics: tuple[MetricConfig, ...]
    estimates: tuple[str, ...]
    bounds: tuple[str, ...]
    scores: list[Score] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def values(self, stem: str, metric: str, estimate: str) -> list[float]:
        """Return the scores of all songs that have one."""
        rows = [s for s in self.scores if (s.stem, s.metric, s.estimate) == (stem, metric, estimate)]
        return [row.value for row in rows if row.value is not None]

    def median(self, stem: str, metric: str, estimate: str) -> float | None:
        """Return the median over songs, None where no song has a score."""
        values = self.values(stem, metric, estimate)
        return median(values) if values else None

    def mean(self, stem: str, metric: str, estimate: str) -> float | None:
        """Return the mean over songs, None where no song has a score."""
        values = self.values(stem, metric, estimate)
        return fmean(values) if values else None

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The pairs of stem and metric, in order."""
        return list(dict.fromkeys((s.stem, s.metric) for s in self.scores))

    def measured_by(self, metric: str) -> MetricConfig:
        """Return the metric that a score comes from."""
        return measured_by(self.metrics, metric)


@dataclass(frozen=True)
class Job:
    """What is done with each song; it is called in worker processes."""

    estimators: tuple[Estimator, ...]
    metrics: tuple[MetricConfig, ...]
    targets: tuple[str, ...] = ()
    bounded: bool = True
    limits: Limits | None = None

    def __call__(self, track: Track) -> Result:
        """Estimate and score a song. Whatever goes wrong with it, the others are scored."""
        try:
            return self._scored(track)
        except SepkitError as error:
            return Result(track, error=str(error))
        except Exception as error:
            log.debug("%s", track.name, exc_info=True)
            return Result(track, error=f"{track.name}: {reason(error)}")

    def _scored(self, track: Track) -> Result:
        made = {e.label: e.made(track) for e in self.estimators}
        if not any(m.known(track.stems, self.targets) for m in made.values()):
            return Result(track, absent=True)
        song = load(track)
        entered: list[Entry] = []
        for estimator in self.estimators:
            pairings = pair(song, made[estimator.label], self.targets)
            bounds = bounds_of(estimator.network, estimator.audio) if self.bounded else ()
            if pairings:
                entered += entries(song, estimator.label, pairings, estimator.estimate(track, song), bounds)
        scores = tuple(score(song, entered, self.metrics))
        own = [entry for entry in entered if entry.label in made]
        section = section_of(song, own, scores, self.metrics, self.limits) if self.limits else None
        return Result(track, scores, section)


def evaluate(
    job: Job,
    tracks: Sequence[Track],
    costs: dict[str, Cost] | None = None,
    *,
    processes: int = 0,
    done: Callable[[Result], None] = lambda _: None,
) -> Evaluation:
    """Estimate and score each track.

    Args:
        job: What to do with each.
        tracks: Songs with known stems. One that cannot be read is reported, and the others are scored.
        costs: What each of the models costs, by label.
        processes: How many songs are worked on at the same time; 0: one on each core. One song needs no other process.
        done: Called with what became of each track, in their order.

    Raises:
        CorpusError: no song has a reference for what is estimated.
    """
    count = min(processes or min(cores(), MOST_PROCESSES), len(tracks))
    evaluation = Evaluation(job.metrics, tuple(e.label for e in job.estimators), _bounds(job), costs=costs or {})
    for result in _results(job, tracks, count):
        done(result)
        name = result.track.name
        if result.error:
            evaluation.failed[name] = result.error
        elif result.absent:
            evaluation.absent[name] = tuple(result.track.stems)
        evaluation.scores.extend(result.scores)
        evaluation.sections.extend([result.section] if result.section else [])
    if len(evaluation.absent) == len(tracks):
        raise CorpusError(_no_reference(job, evaluation))
    return evaluation


def _results(job: Job, tracks: Sequence[Track], count: int) -> Iterator[Result]:
    """Yield what becomes of each track; where a process dies, as it does when memory is short, the rest has failed."""
    left = list(tracks)
    try:
        for result in each(job, tracks, count if count > 1 else 0):
            left.pop(0)
            yield result
    except RuntimeError as error:
        for track in left:
            yield Result(track, error=f"{track.name}: a scoring process died ({reason(error)}); try --processes 1")


def _bounds(job: Job) -> tuple[str, ...]:
    bounds = [bound for e in job.estimators for bound in bounds_of(e.network, e.audio)] if job.bounded else []
    return tuple(dict.fromkeys(bound.label for bound in bounds))


def _no_reference(job: Job, evaluation: Evaluation) -> str:
    found = sorted({stem for stems in evaluation.absent.values() for stem in stems})
    wanted = job.targets or ("what is estimated",)
    return f"no song has a reference for {', '.join(wanted)}; stems found: {', '.join(found) or 'none'}"
