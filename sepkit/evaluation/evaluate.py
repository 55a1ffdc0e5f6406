"""Tracks times estimates times metrics -> scores, in as many processes as there are cores.

A song's score is the median over its frames, and the score of a run the median over its songs, as in SiSEC 2018.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median

import numpy as np

from sepkit.component import MetricConfig
from sepkit.data.parallel import each
from sepkit.errors import CorpusError, SepkitError, WorkerError, reason
from sepkit.evaluation.alignment import Shift, lag
from sepkit.evaluation.bounds import bounds_of
from sepkit.evaluation.comparison import listed
from sepkit.evaluation.cost import Cost
from sepkit.evaluation.estimates import Estimator
from sepkit.evaluation.pairing import AvailableStems, pair
from sepkit.evaluation.reference import Reference, load
from sepkit.evaluation.score import Score, measured_by
from sepkit.evaluation.scoring import Entry, Scoring
from sepkit.evaluation.section import section_of
from sepkit.report import Limits, Section
from sepkit.track import Track

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted before it was scored"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a song: its scores, its section of the report, what failed, stems without a reference, and
    estimates that are late or early.
    """

    track: Track
    scores: tuple[Score, ...] = ()
    section: Section | None = None
    error: str = ""
    absent: tuple[str, ...] = ()
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """All scores, why tracks failed, the stems of tracks that were not scored, as there is no reference for them, and
    estimates that are late or early.

    `estimates` are the labels of those who were evaluated, `bounds` those of what they are seen beside, and `stop` is
    what ended it before all songs were scored.
    """

    metrics: tuple[MetricConfig, ...]
    estimates: tuple[str, ...]
    bounds: tuple[str, ...]
    scores: Sequence[Score] = ()
    failed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    stop: BaseException | None = None
    shifts: Sequence[Shift] = ()

    @cached_property
    def by_column(self) -> dict[tuple[str, str, str], list[Score]]:
        """The scores of all songs by stem, metric and estimate."""
        found: dict[tuple[str, str, str], list[Score]] = {}
        for score in self.scores:
            found.setdefault((score.stem, score.metric, score.estimate), []).append(score)
        return found

    def values(self, stem: str, metric: str, estimate: str) -> list[float]:
        """Return the scores of all songs that have one; that of a perfect estimate is infinite."""
        rows = self.by_column.get((stem, metric, estimate), ())
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
    def everyone(self) -> tuple[str, ...]:
        """The labels of who was evaluated, and of what bounds them."""
        return (*self.estimates, *self.bounds)

    @cached_property
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
            return Result(track, error=reason(error))

    def _scored(self, track: Track) -> Result:
        made, errors = self._made(track)
        absent = {stem for m in made.values() for stem in m.stems if not m.known(track.stems, [stem])}
        wanted = tuple(stem for stem in sorted(absent) if stem in self.targets or not self.targets)
        if not any(m.known(track.stems, self.targets) for m in made.values()):
            return Result(track, error="; ".join(errors), absent=wanted)
        song = load(track)
        scoring, own, names = Scoring(song, self.metrics, errors=errors), list[Entry](), _names(made.values())
        shifts: list[Shift] = []
        for estimator in self.estimators:
            pairings = pair(song, made[estimator.label], self.targets) if estimator.label in made else []
            try:
                stems = estimator.estimate(track, song) if pairings else {}
            except SepkitError as error:
                errors.append(self._whose(estimator, error))
                continue
            for pairing in pairings:
                estimates = np.stack([stems[stem] for stem in pairing.stems])
                if pairing.without:
                    pairing = pairing.called(names[pairing.stems[0], pairing.without])  # noqa: PLW2901
                entry = Entry(estimator.label, pairing, estimates)
                scoring.add(entry)
                shifts += _shifts(song, entry)
                own += [entry] if self.limits else []
                for bound in bounds_of(estimator.network, estimator.audio) if self.bounded else ():
                    scoring.bound(pairing, bound)
        section = section_of(song, own, scoring.scores, self.metrics, self.limits) if self.limits and own else None
        return Result(track, tuple(scoring.scores), section, "; ".join(errors), wanted, tuple(shifts))

    def _made(self, track: Track) -> tuple[dict[str, AvailableStems], list[str]]:
        """Return what each estimator makes of a song, and why some make nothing."""
        made: dict[str, AvailableStems] = {}
        errors: list[str] = []
        for estimator in self.estimators:
            try:
                made[estimator.label] = estimator.available(track)
            except SepkitError as error:
                errors.append(self._whose(estimator, error))
        return made, errors

    def _whose(self, estimator: Estimator, error: SepkitError) -> str:
        return f"{estimator.label}: {error}" if len(self.estimators) > 1 else str(error)


def evaluate(
    job: Job,
    tracks: Sequence[Track],
    costs: dict[str, Cost] | None = None,
    *,
    processes: int = 1,
    done: Callable[[Result], None] = lambda _: None,
    stops: tuple[type[BaseException], ...] = (),
) -> Evaluation:
    """Estimate and score each track.

    Args:
        job: What to do with each.
        tracks: Songs with known stems. One that cannot be read is reported, and the others are scored.
        costs: What each of the models costs, by label.
        processes: How many songs are worked on at the same time, each in a process of its own if it is not 1.
        done: Called with what became of each track, in their order.
        stops: What ends the evaluation early, such as KeyboardInterrupt: the songs that are left have failed. It is
            raised as long as no song is scored.

    Raises:
        CorpusError: no song has a reference for what is estimated.
    """
    results, stop = _until_stopped(_results(job, tracks, min(processes, len(tracks))), done, stops)
    results += [Result(track, error=INTERRUPTED) for track in tracks[len(results) :]]
    evaluation = Evaluation(
        job.metrics,
        tuple(estimator.label for estimator in job.estimators),
        _bounds(job),
        [score for result in results for score in result.scores],
        {result.track.name: result.error for result in results if result.error},
        {result.track.name: result.absent for result in results if result.absent},
        costs or {},
        [result.section for result in results if result.section],
        stop,
        [shift for result in results for shift in result.shifts],
    )
    _warn_of_shifts(evaluation.shifts)
    if not evaluation.scores and not evaluation.failed:
        raise CorpusError(_no_reference(job, tracks))
    return evaluation


def _until_stopped(
    coming: Generator[Result, None, None], done: Callable[[Result], None], stops: tuple[type[BaseException], ...]
) -> tuple[list[Result], BaseException | None]:
    """Return the results that came, and what ended them early. With no score among them, raise that instead."""
    results: list[Result] = []
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


def _shifts(song: Reference, entry: Entry) -> Iterator[Shift]:
    for stem, estimate, reference in zip(entry.pairing.stems, entry.estimates, entry.pairing.references, strict=False):
        samples, cost = lag(estimate, reference, song.sample_rate)
        if samples:
            yield Shift(song.name, entry.label, stem, samples, song.sample_rate, cost)


def _warn_of_shifts(shifts: Sequence[Shift]) -> None:
    """Warn of estimates that are not in time: one line for all songs of one estimator that are so by the same lag."""
    groups: dict[tuple[str, int, float], list[Shift]] = {}
    for shift in shifts:
        groups.setdefault((shift.estimate, shift.samples, shift.milliseconds), []).append(shift)
    for (estimate, samples, milliseconds), group in groups.items():
        stems, songs = (listed(dict.fromkeys(names)) for names in ([s.stem for s in group], [s.track for s in group]))
        when, what = ("late", "remove them from the beginning") if samples > 0 else ("early", "add as many of silence")
        log.warning(
            "%s: %s of %s come %d samples (%.1f ms) %s, which costs up to %.1f dB; %s, or use a lossless format",
            estimate, stems, songs, abs(samples), abs(milliseconds), when, max(shift.cost for shift in group), what,
        )  # fmt: skip


def _names(made: Iterable[AvailableStems]) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return the names of residuals: where one name stands for different things, what is left out belongs to it."""
    found = {residual for one in made for residual in one.residuals.items()}
    names = [name for name, _ in found]
    return {
        (name, without): name if names.count(name) == 1 else f"{name} (without {', '.join(without)})"
        for name, without in found
    }


def _results(job: Job, tracks: Sequence[Track], count: int) -> Generator[Result, None, None]:
    """Yield what becomes of each track; where a process dies, as it does when memory is short, the rest has failed."""
    left = list(tracks)
    try:
        for result in each(job, tracks, count if count > 1 else 0):
            left.pop(0)
            yield result
    except WorkerError as error:
        for track in left:
            yield Result(track, error=f"{error}: --processes 1")


def _bounds(job: Job) -> tuple[str, ...]:
    bounds = [bound for e in job.estimators for bound in bounds_of(e.network, e.audio)] if job.bounded else []
    return tuple(dict.fromkeys(bound.label for bound in bounds))


def _no_reference(job: Job, tracks: Sequence[Track]) -> str:
    found = sorted({stem for track in tracks for stem in track.stems})
    wanted = job.targets or ("what is estimated",)
    return f"no song has a reference for {', '.join(wanted)}; stems found: {', '.join(found) or 'none'}"
