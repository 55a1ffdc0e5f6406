"""An evaluation on the report page."""

from collections.abc import Iterator
from importlib.metadata import version

from sepkit.evaluation.cost import Cost
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.guide import guide_text
from sepkit.evaluation.score import PERFECT, finite, is_perfect
from sepkit.evaluation.tables import SDR, stated, verdicts
from sepkit.report import PageContent, ScoreColumn, ScoreRow


def page_content(evaluation: Evaluation) -> PageContent:
    """Return all that the page shows."""
    columns = tuple(_columns(evaluation))
    with_sdr = any(metric == SDR for _, metric in evaluation.columns)
    return PageContent(
        title=f"Evaluation of {', '.join(evaluation.estimates)}",
        facts=tuple(_facts(evaluation)),
        notes=(*verdicts(evaluation), guide_text()) if with_sdr else (),
        columns=columns,
        rows=tuple(_rows(evaluation, columns)),
        totals=tuple(_totals(evaluation, columns)),
        failed=tuple(evaluation.failed.items()),
        cost=tuple(fact for label, cost in evaluation.costs.items() for fact in _cost(label, cost)),
        sections=tuple(evaluation.sections),
    )


def _names(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(metric for _, metric in evaluation.columns))


def _columns(evaluation: Evaluation) -> Iterator[ScoreColumn]:
    for name in _names(evaluation):
        config = evaluation.metric_of(name)
        for estimate in evaluation.labels:
            yield ScoreColumn(estimate, name, config.unit, config.better)


def _facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    songs = len({s.track for s in evaluation.scores})
    yield "Songs", f"{songs} scored, {len(evaluation.failed)} failed, {len(evaluation.absent)} without the stems"
    for config in evaluation.metrics:
        yield config.name, stated(config)
    yield "Signals", "at the rate and channels of each song"
    yield "Beside them", "; ".join(evaluation.bounds) or "nothing"
    yield "Made by", f"sepkit {version('sepkit')}"


def _rows(evaluation: Evaluation, columns: tuple[ScoreColumn, ...]) -> Iterator[ScoreRow]:
    for (track, stem), scores in evaluation.by_place.items():
        found = [scores.get((column.group, column.name)) for column in columns]
        values = tuple(finite(s.value) if s else None for s in found)
        reasons = tuple((PERFECT if s.perfect else s.undefined) if s else "" for s in found)
        yield ScoreRow(track, stem, values, reasons)


def _totals(evaluation: Evaluation, columns: tuple[ScoreColumn, ...]) -> Iterator[ScoreRow]:
    for stem in dict.fromkeys(stem for stem, _ in evaluation.columns):
        medians = [evaluation.median(stem, column.group, column.name) for column in columns]
        reasons = tuple(PERFECT if is_perfect(median) else "" for median in medians)
        yield ScoreRow("median", stem, tuple(map(finite, medians)), reasons)


def _cost(label: str, cost: Cost) -> Iterator[tuple[str, str]]:
    memory = "unknown" if cost.peak_megabytes is None else f"{cost.peak_megabytes:.0f} MB"
    yield label, f"{cost.parameters / 1e6:.2f} M parameters, {cost.gflop_per_minute:.1f} GFLOP for a minute of audio"
    yield f"{label}, 30 s of 44.1 kHz stereo", f"real-time factor {cost.real_time_factor:.3f} ({cost.device}), {memory}"
