"""An evaluation in the terminal: the first metric by song, medians of all metrics, a guide to the numbers, failures."""

from collections import Counter
from collections.abc import Iterable, Iterator

from sepkit.component import MetricConfig
from sepkit.evaluation.comparison import listed
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.guide import guide_text, leak, verdict
from sepkit.evaluation.score import PERFECT, Score, is_perfect
from sepkit.evaluation.summary import aggregation
from sepkit.terminal import Column, Prose, Table

SDR = "sdr"
# Songs that the terminal lists; more are in the files.
_MOST_SONGS = 60


def tables(evaluation: Evaluation) -> list[Table | str]:
    """Return the tables, the guide if SDR was measured, and a line for each failure."""
    parts: list[Table | str] = []
    if evaluation.columns:
        parts += [_songs(evaluation, evaluation.columns[0][1]), _medians(evaluation), *_undefined(evaluation)]
    if any(metric == SDR for _, metric in evaluation.columns):
        parts += [*verdicts(evaluation), Prose(guide_text())]
    parts += [_cost(evaluation)] if evaluation.costs else []
    parts += _failed(evaluation)
    parts += [f"not scored: {', '.join(stems)} of {track}: no reference" for track, stems in evaluation.absent.items()]
    return parts


def stated(config: MetricConfig) -> str:
    """Return the unit, frames and aggregation of a metric, without which numbers cannot be compared."""
    frames = f"frames of {config.frame:g} s" if config.frame else "whole songs"
    return f"{config.unit}, {config.better} is better; {frames}, {aggregation(config.frame)}"


def verdicts(evaluation: Evaluation) -> list[str]:
    """Return a verdict on each stem: its SDR, and the leaks that it has."""
    parts = []
    for estimate in evaluation.estimates:
        whose = f"{estimate}: " if len(evaluation.estimates) > 1 else ""
        for stem, metric in evaluation.columns:
            median = evaluation.median(stem, metric, estimate)
            if is_perfect(median):
                parts += [f"{whose}{stem}: no error at all"] if metric == SDR else []
            elif metric == SDR and median is not None:
                leaks = [
                    leak(name, evaluation.median(s, name, estimate)) for s, name in evaluation.columns if s == stem
                ]
                parts.append(f"{whose}{stem} {median:.2f} dB: {verdict(median, list(filter(None, leaks)))}")
    return parts


def _songs(evaluation: Evaluation, metric: str) -> Table:
    columns = Column("song"), Column("stem"), *_numbers(evaluation.labels)
    table = Table(columns, f"{metric}: {stated(evaluation.metric_of(metric))}")
    keys = [(metric, label) for label in evaluation.labels]
    rows = {place: scores for place, scores in evaluation.by_place.items() if scores.keys() & set(keys)}
    for place, scores in list(rows.items())[:_MOST_SONGS]:
        table.add(*place, *(_text(scores.get(key)) for key in keys))
    if len(rows) > _MOST_SONGS:
        table.add(f"and {len(rows) - _MOST_SONGS} more", *[""] * (1 + len(evaluation.labels)))
    return table


def _medians(evaluation: Evaluation) -> Table:
    columns = Column("metric"), Column("unit", "text"), Column("stem"), *_numbers(evaluation.labels)
    table = Table(columns, "medians over songs")
    for stem, metric in evaluation.columns:
        medians = [evaluation.median(stem, metric, column) for column in evaluation.labels]
        if any(median is not None for median in medians):
            config = evaluation.metric_of(metric)
            unit = f"{config.unit} {'↑' if config.better == 'higher' else '↓'}"
            table.add(metric, unit, stem, *("" if m is None else number(m) for m in medians))
    return table


def _undefined(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each reason that left songs, or frames of the first metric, without a score."""
    songs: dict[tuple[str, str, str, str], int] = Counter()
    frames: dict[tuple[str, str, str], list[int]] = {}
    for score in evaluation.scores:
        if score.estimate in evaluation.estimates:
            if score.undefined:
                songs[score.metric, score.stem, score.undefined, _whose(evaluation, score.estimate)] += 1
            elif score.frames and score.metric == evaluation.columns[0][1]:
                counts = frames.setdefault((score.metric, score.stem, _whose(evaluation, score.estimate)), [0, 0])
                counts[0] += score.frames.count(None)
                counts[1] += len(score.frames)
    for (metric, stem, why, whose), count in songs.items():
        yield f"undefined: {metric} of {stem}{whose} in {count} song{'s' * (count > 1)} ({why})"
    for (metric, stem, whose), (missing, all_frames) in frames.items():
        if missing:
            yield f"undefined: {metric} of {stem}{whose} in {missing} of {all_frames} frames (silence)"


def _failed(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each reason that left songs without scores."""
    songs: dict[str, list[str]] = {}
    for track, error in evaluation.failed.items():
        songs.setdefault(error, []).append(track)
    for error, tracks in songs.items():
        yield f"not scored: {listed(tracks)}: {error}"


def _whose(evaluation: Evaluation, estimate: str) -> str:
    return f", {estimate}," if len(evaluation.estimates) > 1 else ""


def _text(score: Score | None) -> str:
    if score is None:
        return ""
    return score.undefined or number(score.value or 0.0)


def number(value: float) -> str:
    """Return a score with two decimals, without a minus before zero."""
    return PERFECT if is_perfect(value) else f"{round(value, 2) + 0.0:.2f}"


def _cost(evaluation: Evaluation) -> Table:
    figures = ("parameters", "GFLOP a minute", "real-time factor", "most memory")
    columns = Column("model"), *_numbers(figures), Column("on", "text")
    table = Table(columns, "cost: 30 s of 44.1 kHz stereo in a process of its own")
    for label, cost in evaluation.costs.items():
        memory = "unknown" if cost.peak_megabytes is None else f"{cost.peak_megabytes:.0f} MB"
        numbers = f"{cost.parameters / 1e6:.2f} M", f"{cost.gflop_per_minute:.1f}", f"{cost.real_time_factor:.3f}"
        table.add(label, *numbers, memory, cost.device)
    return table


def _numbers(headings: Iterable[str]) -> list[Column]:
    return [Column(heading, "number") for heading in headings]
