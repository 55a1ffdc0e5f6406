"""Compare two evaluations of the same songs: the difference of each song, and its interval over songs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sepkit.errors import ConfigError
from sepkit.evaluation.saved_scores import SavedMetric, SavedScores
from sepkit.evaluation.score import PERFECT

CONFIDENCE = 0.95
RESAMPLES = 9999
FEWEST_SONGS = 10
"""From fewer songs there is no interval."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The scores of one song in both evaluations."""

    track: str
    first: float
    other: float

    @property
    def difference(self) -> float:
        """The other minus the first."""
        return self.other - self.first


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A song without a pair: the reason why the first and the other evaluation have no number, or ""."""

    track: str
    first: str
    other: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences of one metric of one stem.

    Attributes:
        stem: The stem.
        metric: The metric.
        pairs: One for each song, from the most improved to the most worsened.
        left_out: The songs without a pair.
        interval: Of the mean difference; None where songs are too few.
    """

    stem: str
    metric: SavedMetric
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...]
    interval: tuple[float, float] | None

    @property
    def mean(self) -> float | None:
        """The mean difference."""
        return float(np.mean([pair.difference for pair in self.pairs])) if self.pairs else None

    @property
    def median(self) -> float | None:
        """The median difference."""
        return float(np.median([pair.difference for pair in self.pairs])) if self.pairs else None

    @property
    def improved(self) -> tuple[Pair, ...]:
        """The songs with a better score, the most improved one first."""
        return tuple(pair for pair in self.pairs if _gain(self.metric, pair.difference) > 0)

    @property
    def worsened(self) -> tuple[Pair, ...]:
        """The songs with a worse score, the most worsened one first."""
        return tuple(pair for pair in reversed(self.pairs) if _gain(self.metric, pair.difference) < 0)

    @property
    def verdict(self) -> Literal["better", "worse", "unclear", ""]:
        """The side of zero that the interval lies on; unclear if on both, empty if there is none."""
        if self.interval is None:
            return ""
        low, high = sorted(_gain(self.metric, end) for end in self.interval)
        return "better" if low > 0 else "worse" if high < 0 else "unclear"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All columns, and the stems that only one of the two evaluations has."""

    first: SavedScores
    other: SavedScores
    columns: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_other: tuple[str, ...]


def compare(first: SavedScores, other: SavedScores, metrics: Sequence[str] = ()) -> Comparison:
    """Pair the scores of two evaluations.

    Args:
        first: The baseline.
        other: The evaluation to compare with it.
        metrics: Only these; a name such as "bleed" stands for all its scores. Default: all.

    Raises:
        ConfigError: they differ in metrics, in their definitions, in songs, or in the stems that a residual leaves out;
            or they have no stem in common.
    """
    names = _check_metrics(first, other, metrics)
    stems = [stem for stem in first.stems if stem in other.stems]
    if not stems:
        raise ConfigError(f"no stem in common: {first} has {listed(first.stems)}, {other} has {listed(other.stems)}")
    keys = [key for key in dict.fromkeys([*first.columns, *other.columns]) if key[0] in stems and key[1] in names]
    for key in keys:
        _check_tracks(first, other, key)
        _check_residuals(first, other, key)
    return Comparison(
        first,
        other,
        tuple(_column(first, other, key) for key in keys),
        tuple(stem for stem in first.stems if stem not in stems),
        tuple(stem for stem in other.stems if stem not in stems),
    )


def interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean difference over songs, or None where there are too few.

    Songs are drawn with replacement, each with both its scores. The percentiles of the means make the interval as wide
    as Student's t for normal differences: plain ones are too close for few songs.
    T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69(4), 2015.
    """
    if len(differences) < FEWEST_SONGS:
        return None
    from scipy.stats import norm, t

    count = len(differences)
    tail = norm.cdf(t.ppf((1 - CONFIDENCE) / 2, count - 1) * np.sqrt(count / (count - 1)))
    means = np.random.default_rng(0).choice(differences, (RESAMPLES, count)).mean(1)
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def _check_metrics(first: SavedScores, other: SavedScores, asked: Sequence[str]) -> list[str]:
    """Return the names of the scores to compare, which are the same in both."""
    for name in asked:
        for scores in (first, other):
            if not any(_is(metric, name) for metric in scores.metrics):
                raise ConfigError(f'{scores} has no metric "{name}"; it has {listed(scores.metrics)}')
    ours, theirs = ([m for m in s.metrics if not asked or any(_is(m, a) for a in asked)] for s in (first, other))
    if set(ours) != set(theirs):
        common = [name for name in ours if name in theirs]
        advice = f", or compare what both have: --metrics {','.join(common)}" if common else ""
        raise ConfigError(
            f"different metrics: {first} has {listed(ours)}; {other} has {listed(theirs)}. "
            f"Evaluate both with the same --metrics{advice}"
        )
    for name in ours:
        _check_same(first, other, first.metrics[name], other.metrics[name])
    return ours


def _check_same(first: SavedScores, other: SavedScores, ours: SavedMetric, theirs: SavedMetric) -> None:
    theirs_by_field = theirs.model_dump()
    for field, value in ours.model_dump().items():
        if value != theirs_by_field[field]:
            raise ConfigError(
                f"{ours.name} is not the same score in both: {field.replace('_', ' ')} {value!r} in {first}, "
                f"{theirs_by_field[field]!r} in {other}. Evaluate both in the same way"
            )


def _check_tracks(first: SavedScores, other: SavedScores, key: tuple[str, str]) -> None:
    ours, theirs = first.columns.get(key, {}), other.columns.get(key, {})
    missing = (
        (other, [track for track in ours if track not in theirs]),
        (first, [track for track in theirs if track not in ours]),
    )
    lacks = [
        f"{scores} lacks {listed(f'{track} (it failed)' if track in scores.failed else track for track in tracks)}"
        for scores, tracks in missing
        if tracks
    ]
    if lacks:
        raise ConfigError(f"different songs for {key[1]} of {key[0]}: {'; '.join(lacks)}. Evaluate both on the same")


def _check_residuals(first: SavedScores, other: SavedScores, key: tuple[str, str]) -> None:
    for track, ours in first.columns[key].items():
        theirs = other.columns[key][track]
        if ours.without is not None and theirs.without is not None and ours.without != theirs.without:
            raise ConfigError(
                f"{key[0]} is not the same stem in both: the song without {listed(sorted(ours.without))} in {first}, "
                f"without {listed(sorted(theirs.without))} in {other} ({track}). Evaluate models of the same sources"
            )


def _column(first: SavedScores, other: SavedScores, key: tuple[str, str]) -> Difference:
    pairs, left_out = [], []
    for track, ours in first.columns[key].items():
        theirs = other.columns[key][track]
        if ours.score is None or theirs.score is None:
            left_out.append(LeftOut(track, *(PERFECT if s.perfect else s.undefined for s in (ours, theirs))))
        else:
            pairs.append(Pair(track, ours.score, theirs.score))
    metric = first.metrics[key[1]]
    pairs.sort(key=lambda pair: _gain(metric, pair.difference), reverse=True)
    return Difference(key[0], metric, tuple(pairs), tuple(left_out), interval([pair.difference for pair in pairs]))


def _gain(metric: SavedMetric, difference: float) -> float:
    return difference if metric.better == "higher" else -difference


def _is(name: str, asked: str) -> bool:
    return name == asked or name.startswith(f"{asked}.")


def listed(names: Iterable[str], at_most: int = 5) -> str:
    """Return names in one line, the first `at_most` of them."""
    known = list(names)
    more = f" and {len(known) - at_most} more" if len(known) > at_most else ""
    return ", ".join(known[:at_most]) + more if known else "none"
