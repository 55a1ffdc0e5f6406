"""Tracks times metrics -> scores, beside those of the mixture itself as the baseline.

A song's score is the median over its frames, and the score of a run the median over its songs, as in SiSEC 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sepkit.component import AudioSpec, MetricConfig, Track
from sepkit.errors import CorpusError, SepkitError
from sepkit.evaluation.reference import Reference, load
from sepkit.separation import Separator


@dataclass(frozen=True, slots=True)
class Score:
    """One number: a metric of one stem of one song, by the model and by the mixture taken as the estimate.

    None where it is undefined, as where the reference is silent throughout.
    """

    track: str
    stem: str
    metric: str
    unit: str
    score: float | None
    mixture: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores, why the failed tracks failed, and the tracks that have no stem to score, with those they have."""

    scores: list[Score]
    failed: dict[str, str]
    absent: dict[str, tuple[str, ...]]

    def median(self, stem: str, metric: str) -> tuple[float | None, float | None]:
        """Return the medians over songs of the model and of the mixture, None where no song has a score."""
        rows = [s for s in self.scores if (s.stem, s.metric) == (stem, metric)]
        return _median([r.score for r in rows]), _median([r.mixture for r in rows])

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The pairs of stem and metric, in order."""
        return list(dict.fromkeys((s.stem, s.metric) for s in self.scores))


def evaluate(
    separator: Separator,
    tracks: Sequence[Track],
    metrics: Sequence[MetricConfig],
    targets: tuple[str, ...] = (),
    done: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Separate and score each track.

    Args:
        separator: The model.
        tracks: Songs with known stems. One that cannot be read is reported, and the others are scored.
        metrics: What to measure.
        targets: The stems to score; by default all that the model makes.
        done: Called with the name of each finished track.

    Raises:
        ConfigError: a target that the model does not make.
    """
    separator.check_stems(targets)
    wanted = targets or separator.stems
    known = [track for track in tracks if _known(separator, track.stems, wanted)]
    absent = {track.name: tuple(track.stems) for track in tracks if track not in known}
    if not known:
        found = sorted({stem for stems in absent.values() for stem in stems})
        raise CorpusError(f"no song has a reference for {', '.join(wanted)}; stems found: {', '.join(found) or 'none'}")
    scores: list[Score] = []
    failed: dict[str, str] = {}
    for track in known:
        try:
            scores += _score(separator, load(track), metrics, wanted)
        except SepkitError as error:
            failed[track.name] = str(error)
        done(track.name)
    return Evaluation(scores, failed, absent)


def _known(separator: Separator, stems: Collection[str], wanted: tuple[str, ...]) -> list[str]:
    """Return those of the wanted stems that a song with `stems` has a reference for.

    An absent stem is unknown, not silent, and so is a residual that it may hide in.
    """
    known = {source for source in separator.sources if source in stems}
    rest = {separator.residual} if known == set(separator.sources) else set()
    return [stem for stem in wanted if stem in known | rest]


def _score(
    separator: Separator, song: Reference, metrics: Sequence[MetricConfig], wanted: tuple[str, ...]
) -> list[Score]:
    references = {stem: song.stems[stem] for stem in separator.sources if stem in song.stems}
    rest = song.residual(separator.sources)
    if separator.residual and rest is not None:
        references[separator.residual] = rest
    names = _known(separator, song.stems, wanted)
    separated = separator(torch.from_numpy(song.mixture), song.sample_rate)
    estimates = np.stack([separated[name].numpy() for name in names])
    others = {**song.stems, **references}
    known = np.stack([references[name] for name in names] + [others[n] for n in others if n not in names])
    baseline = np.repeat(song.mixture[None], len(names), axis=0)
    audio = AudioSpec(song.sample_rate, len(song.mixture), tuple(names))
    scores = []
    for metric in metrics:
        measure = metric.build(audio)
        model, floor = (_per_source(measure(e, known, song.mixture)) for e in (estimates, baseline))
        scores += [Score(song.name, name, metric.name, metric.unit, model[i], floor[i]) for i, name in enumerate(names)]
    return scores


def _per_source(values: np.ndarray) -> list[float | None]:
    """[source] or [source, frame] -> the median over the frames that have a value."""
    frames = np.asarray(values, np.float64).reshape(len(values), -1)
    return [_median([float(v) for v in row if not np.isnan(v)]) for row in frames]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
