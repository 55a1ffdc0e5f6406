"""One song: every estimate of every stem, and every bound of it, scored with every metric."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, MetricConfig
from sepkit.errors import PluginError, SepkitError, reason
from sepkit.evaluation.alignment import Shift, find_shifts
from sepkit.evaluation.bounds import bounds_of
from sepkit.evaluation.estimates import Estimator
from sepkit.evaluation.pairing import AvailableStems, Estimates, pair
from sepkit.evaluation.reference import Reference, load
from sepkit.evaluation.score import Score, finite, is_perfect, value_of
from sepkit.evaluation.section import section_of
from sepkit.report import Limits, SongSection
from sepkit.track import Track

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SongScores:
    """The scores of one song, of estimates and bounds.

    Attributes:
        track: The song.
        scores: All of them.
        section: The song on the report page, if there is one.
        error: The reason if anything could not be scored.
        absent: Estimated stems that the song has no reference for.
        shifts: Estimates that are late or early.
    """

    track: Track
    scores: tuple[Score, ...] = ()
    section: SongSection | None = None
    error: str = ""
    absent: tuple[str, ...] = ()
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True)
class SongScorer:
    """A function track -> `SongScores` that worker processes call."""

    estimators: tuple[Estimator, ...]
    metrics: tuple[MetricConfig, ...]
    targets: tuple[str, ...] = ()
    bounded: bool = True
    limits: Limits | None = None

    def __call__(self, track: Track) -> SongScores:
        """Estimate and score a song; its errors are part of the result."""
        try:
            return self._score(track)
        except SepkitError as error:
            return SongScores(track, error=str(error))
        except Exception as error:
            log.debug("%s", track.name, exc_info=True)
            return SongScores(track, error=reason(error))

    def _score(self, track: Track) -> SongScores:
        errors: list[str] = []
        available = self._available(track, errors)
        absent = {stem for each in available.values() for stem in each.stems if not each.known(track.stems, [stem])}
        wanted = tuple(stem for stem in sorted(absent) if stem in self.targets or not self.targets)
        if not any(each.known(track.stems, self.targets) for each in available.values()):
            return SongScores(track, error="; ".join(errors), absent=wanted)
        song, names = load(track), _residual_names(available.values())
        scores: list[Score] = []
        shifts: list[Shift] = []
        shown: list[Estimates] = []
        bounded: set[tuple[str, str, tuple[str, ...]]] = set()
        for estimator in self.estimators:
            pairings = pair(song, available[estimator.label], self.targets) if estimator.label in available else []
            try:
                stems = estimator.estimate(track, song) if pairings else {}
            except SepkitError as error:
                errors.append(self._whose(estimator, error))
                continue
            for pairing in pairings:
                estimates = Estimates(estimator.label, pairing, np.stack([stems[stem] for stem in pairing.stems]))
                if pairing.without:
                    estimates = estimates.called(names[pairing.stems[0], pairing.without])
                scores += self._measure(song, estimates, errors)
                shifts += find_shifts(song, estimates)
                shown += [estimates] if self.limits else []
                for bound in bounds_of(estimator.network, estimator.audio) if self.bounded else ():
                    new = {(bound.label, stem, pairing.without): stem for stem in estimates.pairing.stems}
                    left = [stem for key, stem in new.items() if key not in bounded]
                    bounded |= new.keys()
                    if left:
                        some = estimates.pairing.only(left)
                        samples = bound.estimate(some.references, song.mixture, song.sample_rate)[: len(left)]
                        scores += self._measure(song, Estimates(bound.label, some, samples), errors)
        section = section_of(song, shown, scores, self.metrics, self.limits) if self.limits and shown else None
        return SongScores(track, tuple(scores), section, "; ".join(errors), wanted, tuple(shifts))

    def _available(self, track: Track, errors: list[str]) -> dict[str, AvailableStems]:
        """Return the stems that each estimator has of a song, by label."""
        available: dict[str, AvailableStems] = {}
        for estimator in self.estimators:
            try:
                available[estimator.label] = estimator.available(track)
            except SepkitError as error:
                errors.append(self._whose(estimator, error))
        return available

    def _measure(self, song: Reference, estimates: Estimates, errors: list[str]) -> list[Score]:
        """Score estimates. A metric that fails costs its own scores and no others."""
        scores: list[Score] = []
        for metric in self.metrics:
            try:
                scores += _scores(song, estimates, metric)
                continue
            except SepkitError as error:
                text = str(error)
            except Exception as error:  # noqa: BLE001  metrics of plugins may raise anything
                text = f'the metric "{metric.name}" failed ({reason(error)})'
            errors += [text] if text not in errors else []
        return scores

    def _whose(self, estimator: Estimator, error: SepkitError) -> str:
        return f"{estimator.label}: {error}" if len(self.estimators) > 1 else str(error)


def _residual_names(available: Iterable[AvailableStems]) -> dict[tuple[str, tuple[str, ...]], str]:
    """Return (residual, stems that it leaves out) -> a name: one that means several things names what it leaves out."""
    found = {residual for each in available for residual in each.residuals.items()}
    names = [name for name, _ in found]
    return {
        (name, without): name if names.count(name) == 1 else f"{name} (without {', '.join(without)})"
        for name, without in found
    }


def _scores(song: Reference, estimates: Estimates, metric: MetricConfig) -> Iterator[Score]:
    pairing = estimates.pairing
    audio = AudioSpec(song.sample_rate, len(song.mixture), pairing.sources)
    measured = metric.build(audio)(estimates.samples, pairing.references, song.mixture)
    if isinstance(measured, Mapping):
        named = {f"{metric.name}.{name}": scores for name, scores in measured.items()}
    else:
        named = {metric.name: measured}
    for name, scores in named.items():
        rows = _rows(metric, scores, len(pairing.stems))
        for stem, row, reference, estimate in zip(
            pairing.stems, rows, pairing.references, estimates.samples, strict=False
        ):
            if name == f"{metric.name}.{stem}" and np.isnan(row).all():
                continue  # a score of other sources, as bleed, that a source has not of itself
            value, undefined = value_of(row.reshape(-1), reference, estimate, metric)
            frames = tuple(value if is_perfect(value) else finite(value) for value in row.tolist()) if row.ndim else ()
            yield Score(song.name, stem, name, estimates.label, value, undefined, frames, pairing.without)


def _rows(metric: MetricConfig, scores: Samples | Scores, count: int) -> Scores:
    """Return scores [source] or [source, frame] in double precision, or raise PluginError if they are neither."""
    rows = np.asarray(scores)
    if rows.dtype.kind not in "fiu" or rows.ndim not in (1, 2) or len(rows) != count:
        got = f"{rows.dtype} {list(rows.shape)}"
        raise PluginError(f'the metric "{metric.name}" returned {got} instead of [{count}] or [{count}, frame]')
    return rows.astype(np.float64)
