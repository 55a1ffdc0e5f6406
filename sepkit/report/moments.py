"""Choose excerpts of a song: the moments of its worst scores or, without scores, its loudest ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import isfinite

from sepkit.arrays import Doubles
from sepkit.report.song import Curve, SeparatedSong


@dataclass(frozen=True, slots=True)
class Moment:
    """The start of an excerpt in seconds, and the reason for it."""

    start: float
    why: str


def worst_moments(song: SeparatedSong, total: float, seconds: float, count: int) -> list[Moment]:
    """Return up to `count` moments of `seconds` each that do not overlap, the worst first.

    The worst frame of each curve comes first, in the order of the curves; then the second worst of each, and so on.
    """
    ranked = [_ranked(curve, f"{curve.name} of {stem.name}:") for stem in song.stems for curve in stem.curves]
    chosen: list[Moment] = []
    for frames in zip_longest(*ranked):
        for middle, why in filter(None, frames):
            start = max(0.0, min(middle - seconds / 2, total - seconds))
            if len(chosen) < count and all(abs(start - moment.start) >= seconds for moment in chosen):
                chosen.append(Moment(start, why))
    return chosen


def loud_moments(name: str, levels: Doubles, total: float, seconds: float, count: int) -> list[Moment]:
    """Return the loudest moment of each of `count` equal parts; `levels` is the level of `name` over the whole song."""
    count = min(count, len(levels))
    edges = [len(levels) * part // count for part in range(count + 1)] if count else []
    moments: list[Moment] = []
    for first, last in pairwise(edges):
        middle = (first + int(levels[first:last].argmax()) + 0.5) * total / len(levels)
        start = max(0.0, min(middle - seconds / 2, total - seconds))
        if not moments or start - moments[-1].start >= seconds:
            moments.append(Moment(start, f"loud in {name}"))
    return moments


def _ranked(curve: Curve, what: str) -> list[tuple[float, str]]:
    """Return the middle of each frame that has a value, in seconds, and what it is; the worst first."""
    known = [(value, i) for i, value in enumerate(curve.values) if value is not None and isfinite(value)]
    known.sort(key=lambda pair: (pair[0] if curve.better == "higher" else -pair[0], pair[1]))
    return [((i + 0.5) * curve.frame_seconds, f"{what} {_text(value, curve.unit)}") for value, i in known]


def _text(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".strip().replace("-", "\N{MINUS SIGN}", 1)
