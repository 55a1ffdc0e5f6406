"""A scored song on the report page: its signals, its scores over time, its silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from sepkit.arrays import Samples
from sepkit.component import MetricConfig
from sepkit.evaluation.pairing import Estimates
from sepkit.evaluation.reference import Reference
from sepkit.evaluation.score import Score, finite, metric_of
from sepkit.metrics.silence import Silence
from sepkit.metrics.silence_level import FRAME_SECONDS
from sepkit.report import ArraySignal, Curve, Limits, SeparatedSong, SongSection, Stem, page_section


def section_of(
    song: Reference,
    shown: Sequence[Estimates],
    scores: Sequence[Score],
    metrics: Sequence[MetricConfig],
    limits: Limits,
) -> SongSection:
    """Draw and encode a song with all estimates of its stems."""
    several = len({estimates.label for estimates in shown}) > 1
    stems = tuple(
        Stem(
            f"{stem}, {estimates.label}" if several else stem,
            ArraySignal(estimates.samples[number], song.sample_rate),
            ArraySignal(reference := estimates.pairing.references[number], song.sample_rate),
            tuple(_curves([s for s in scores if (s.stem, s.estimate) == (stem, estimates.label)], metrics)),
            tuple(_silences(reference, song)),
        )
        for estimates in shown
        for number, stem in enumerate(estimates.pairing.stems)
    )
    return page_section(SeparatedSong(song.name, ArraySignal(song.mixture, song.sample_rate), stems), limits)


def _curves(scores: Sequence[Score], metrics: Sequence[MetricConfig]) -> Iterator[Curve]:
    for score in scores:
        values = tuple(map(finite, score.frames))
        if any(value is not None for value in values):
            metric = metric_of(metrics, score.metric)
            yield Curve(score.metric, metric.unit, metric.frame, values, metric.better)


def _silences(reference: Samples, song: Reference) -> Iterator[tuple[float, float]]:
    """Yield start and end in seconds of each part with a silent reference [channel, time] in a song that sounds."""
    length = round(FRAME_SECONDS * song.sample_rate)
    silent = Silence.of(reference[None], song.mixture, length).silent[0]
    for is_silent, frames in groupby(range(len(silent)), key=lambda i: bool(silent[i])):
        if is_silent:
            first, *rest = frames
            yield first * FRAME_SECONDS, ((rest or [first])[-1] + 1) * FRAME_SECONDS
