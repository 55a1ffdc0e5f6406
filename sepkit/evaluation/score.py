"""The score of one stem: a number, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from sepkit.arrays import Samples, Scores
from sepkit.component import MetricConfig

SILENT_REFERENCE = "silent reference"
SILENT_ESTIMATE = "silent estimate"
NOTHING_TO_SCORE = "no frame to score"
INFINITE = "infinite"
PERFECT = "perfect"


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one stem of one song, by one estimate.

    Attributes:
        track: The song.
        stem: The stem.
        metric: The name of the metric, and after a dot that of the score if the metric has several.
        estimate: The label of a model, or of a bound such as the mixture.
        value: The median of the frames that have a value, or None. Infinite if there is no error at all, which is
            better than any number; JSON has null and "perfect" for it.
        undefined: The reason why there is no value; empty if there is one.
        frames: The value of each frame, None where it is undefined; empty if the track is scored as a whole.
        without: The stems that a residual leaves out of the mixture; empty for other stems.
    """

    track: str
    stem: str
    metric: str
    estimate: str
    value: float | None
    undefined: str = ""
    frames: tuple[float | None, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def perfect(self) -> bool:
        """True if there is no error at all."""
        return is_perfect(self.value)


def value_of(scores: Scores, reference: Samples, estimate: Samples, metric: MetricConfig) -> tuple[float | None, str]:
    """Return the median of the frames [frame] that have a value, or None and the reason.

    The reference and the estimate are [channel, time].
    """
    known = scores[~np.isnan(scores)]
    with np.errstate(invalid="ignore"):  # between infinities of both signs there is no median
        median = float(np.median(known)) if known.size else np.nan
    if np.isfinite(median) or (is_perfect(median) and metric.better == "higher"):
        return median, ""
    if known.size:
        return None, INFINITE
    if why := metric.undefined_where:
        return None, why
    silent = [SILENT_REFERENCE] * (not reference.any()) + [SILENT_ESTIMATE] * (not estimate.any())
    return None, (silent or [NOTHING_TO_SCORE])[0]


def is_perfect(value: float | None) -> bool:
    """Return True for a score that is infinitely good, as the ratio of a signal to no error at all."""
    return value == inf


def finite(value: float | None) -> float | None:
    """Return a number, or None for NaN and infinity, which strict JSON lacks."""
    return float(value) if value is not None and isfinite(value) else None


def metric_of(metrics: Sequence[MetricConfig], name: str) -> MetricConfig:
    """Return the metric that a score of this name comes from."""
    return next(config for config in metrics if name == config.name or name.startswith(f"{config.name}."))
