"""One song: every estimate of every stem, and what bounds them, scored with every metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, MetricConfig
from sepkit.errors import PluginError, SepkitError, reason
from sepkit.evaluation.bounds import Bound
from sepkit.evaluation.pairing import Pairing
from sepkit.evaluation.reference import Reference
from sepkit.evaluation.score import Score, finite, is_perfect, value_of


@dataclass(frozen=True, slots=True)
class Entry:
    """Estimates [source, channel, time] of the stems of a pairing, under the label of who made them."""

    label: str
    pairing: Pairing
    estimates: Samples


@dataclass(slots=True)
class Scoring:
    """The scores of a song, one entry after the other; a metric that fails costs its own scores and no others."""

    song: Reference
    metrics: Sequence[MetricConfig]
    scores: list[Score] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _bounded: set[tuple[str, str, tuple[str, ...]]] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Score estimates."""
        for metric in self.metrics:
            try:
                self.scores += _scores(self.song, entry, metric)
            except SepkitError as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001  metrics of others may raise anything
                self._note(f'the metric "{metric.name}" failed ({reason(error)})')

    def bound(self, pairing: Pairing, bound: Bound) -> None:
        """Score a bound of the stems of a pairing; those that it has been scored for stand already."""
        left = [stem for stem in pairing.stems if (bound.label, stem, pairing.without) not in self._bounded]
        self._bounded |= {(bound.label, stem, pairing.without) for stem in left}
        if left:
            some = pairing.only(left)
            everything = bound.estimate(some.references, self.song.mixture, self.song.sample_rate)
            self.add(Entry(bound.label, some, everything[: len(left)]))

    def _note(self, error: str) -> None:
        if error not in self.errors:
            self.errors.append(error)


def _scores(song: Reference, entry: Entry, metric: MetricConfig) -> Iterator[Score]:
    pairing = entry.pairing
    audio = AudioSpec(song.sample_rate, len(song.mixture), pairing.sources)
    measured = metric.build(audio)(entry.estimates, pairing.references, song.mixture)
    if isinstance(measured, Mapping):
        named = {f"{metric.name}.{name}": scores for name, scores in measured.items()}
    else:
        named = {metric.name: measured}
    for name, scores in named.items():
        rows = _rows(metric, scores, len(pairing.stems))
        for stem, row, reference, estimate in zip(
            pairing.stems, rows, pairing.references, entry.estimates, strict=False
        ):
            if name == f"{metric.name}.{stem}" and np.isnan(row).all():
                continue  # what it is of other sources, it is not of itself
            value, undefined = value_of(row.reshape(-1), reference, estimate, metric)
            frames = tuple(value if is_perfect(value) else finite(value) for value in row.tolist()) if row.ndim else ()
            yield Score(song.name, stem, name, entry.label, value, undefined, frames, pairing.without)


def _rows(metric: MetricConfig, scores: Scores, count: int) -> Scores:
    """Return scores [source] or [source, frame], or say who returned something else."""
    rows = np.asarray(scores)
    if rows.dtype.kind not in "fiu" or rows.ndim not in (1, 2) or len(rows) != count:
        got = f"{rows.dtype} {list(rows.shape)}"
        raise PluginError(f'the metric "{metric.name}" returned {got} instead of [{count}] or [{count}, frame]')
    return rows.astype(np.float64)
