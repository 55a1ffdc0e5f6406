"""One song: every estimate of every stem, and what bounds them, scored with every metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sepkit.component import AudioSpec, MetricConfig
from sepkit.evaluation.bounds import Bound
from sepkit.evaluation.pairing import Pairing
from sepkit.evaluation.reference import Reference
from sepkit.evaluation.score import Score, finite, value_of

if TYPE_CHECKING:
    from sepkit.component import Samples, Scores


@dataclass(frozen=True, slots=True)
class Entry:
    """Estimates [source, channel, time] of the stems of a pairing, under the label of who made them."""

    label: str
    pairing: Pairing
    estimates: Samples


def entries(
    song: Reference, label: str, pairings: Sequence[Pairing], stems: Mapping[str, Samples], bounds: Sequence[Bound]
) -> Iterator[Entry]:
    """Yield the estimates of a song as entries, and after them those of each bound."""
    for pairing in pairings:
        yield Entry(label, pairing, np.stack([stems[stem] for stem in pairing.stems]))
        for bound in bounds:
            everything = bound.estimate(pairing.references, song.mixture, song.sample_rate)
            yield Entry(bound.label, pairing, everything[: len(pairing.stems)])


def score(song: Reference, entered: Iterable[Entry], metrics: Sequence[MetricConfig]) -> Iterator[Score]:
    """Yield the scores of entries, each stem of a label once."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for entry in entered:
        if (entry.label, entry.pairing.stems) in seen:
            continue
        seen.add((entry.label, entry.pairing.stems))
        for metric in metrics:
            yield from _scores(song, entry, metric)


def _scores(song: Reference, entry: Entry, metric: MetricConfig) -> Iterator[Score]:
    pairing = entry.pairing
    measure = metric.build(AudioSpec(song.sample_rate, len(song.mixture), pairing.sources))
    measured = measure(entry.estimates, pairing.references, song.mixture)
    if isinstance(measured, Mapping):
        named = {f"{metric.name}.{name}": scores for name, scores in measured.items()}
    else:
        named = {metric.name: measured}
    for name, scores in named.items():
        for number, stem in enumerate(pairing.stems):
            row: Scores = np.asarray(scores[number], np.float64)
            value, undefined = value_of(row.reshape(-1), pairing.references[number], entry.estimates[number])
            frames = tuple(map(finite, row)) if row.ndim else ()
            yield Score(song.name, stem, name, entry.label, value, undefined, frames)
