"""A scored song as a section of the report: what there is to hear of it, its scores over time, its silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from sepkit.arrays import Samples
from sepkit.component import MetricConfig
from sepkit.evaluation.reference import Reference
from sepkit.evaluation.score import Score, finite, measured_by
from sepkit.evaluation.scoring import Entry
from sepkit.metrics.silence import Silence
from sepkit.metrics.silence_level import FRAME_SECONDS
from sepkit.report import ArraySignal, Curve, Limits, Section, Song, Stem, page_section


def section_of(
    song: Reference, made: Sequence[Entry], scores: Sequence[Score], metrics: Sequence[MetricConfig], limits: Limits
) -> Section:
    """Draw and encode a song, with each stem that somebody made of it."""
    several = len({entry.label for entry in made}) > 1
    stems = tuple(
        Stem(
            f"{stem}, {entry.label}" if several else stem,
            ArraySignal(entry.estimates[number], song.sample_rate),
            ArraySignal(reference := entry.pairing.references[number], song.sample_rate),
            tuple(_curves([s for s in scores if (s.stem, s.estimate) == (stem, entry.label)], metrics)),
            tuple(_silences(reference, song)),
        )
        for entry in made
        for number, stem in enumerate(entry.pairing.stems)
    )
    return page_section(Song(song.name, ArraySignal(song.mixture, song.sample_rate), stems), limits)


def _curves(scores: Sequence[Score], metrics: Sequence[MetricConfig]) -> Iterator[Curve]:
    for score in scores:
        values = tuple(map(finite, score.frames))
        if any(value is not None for value in values):
            metric = measured_by(metrics, score.metric)
            yield Curve(score.metric, metric.unit, metric.frame, values, metric.better)


def _silences(reference: Samples, song: Reference) -> Iterator[tuple[float, float]]:
    """Yield from and to, in seconds, where the reference [channel, time] is silent and the song is not."""
    length = round(FRAME_SECONDS * song.sample_rate)
    silent = Silence.of(reference[None], song.mixture, length).silent[0]
    for is_silent, frames in groupby(range(len(silent)), key=lambda i: bool(silent[i])):
        if is_silent:
            first, *rest = frames
            yield first * FRAME_SECONDS, ((rest or [first])[-1] + 1) * FRAME_SECONDS
