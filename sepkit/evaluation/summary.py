"""Scores for people (tables) and for machines (strict JSON)."""

import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepkit.atomic import write_text
from sepkit.errors import ConfigError
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.guide import guide_text, verdict

if TYPE_CHECKING:
    from rich.table import Table

AGGREGATION = "median over songs of the median over frames"


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Return all scores and their medians as plain values: an undefined or infinite score is null."""
    return {
        "aggregation": AGGREGATION,
        "medians": [
            {"stem": stem, "metric": metric, "score": _finite(model), "mixture": _finite(mixture)}
            for stem, metric in evaluation.columns
            for model, mixture in [evaluation.median(stem, metric)]
        ],
        "tracks": [
            {
                "track": s.track, "stem": s.stem, "metric": s.metric, "unit": s.unit,
                "score": _finite(s.score), "mixture": _finite(s.mixture),
            }
            for s in evaluation.scores
        ],
        "failed": evaluation.failed,
        "absent": evaluation.absent,
    }  # fmt: skip


def write(folder: Path, summary: dict[str, Any]) -> Path:
    """Write `summary.json` into `folder` and return its path."""
    path = folder / "summary.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(summary, allow_nan=False, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error}); give another --output-dir") from None
    return path


def tables(evaluation: Evaluation) -> "list[Table | str]":
    """Return a table per metric, what failed, and the guide where SDR was measured."""
    parts: list[Table | str] = [_table(evaluation, m) for m in dict.fromkeys(s.metric for s in evaluation.scores)]
    if any(s.metric == "sdr" for s in evaluation.scores):
        parts += [_verdict(evaluation), guide_text()]
    parts += [f"not scored: {track}: {error}" for track, error in evaluation.failed.items()]
    if evaluation.absent:
        parts.append(f"not scored, as they lack the stems: {', '.join(evaluation.absent)}")
    return parts


def _table(evaluation: Evaluation, metric: str) -> "Table":
    from rich.table import Table

    rows = [s for s in evaluation.scores if s.metric == metric]
    table = Table(title=f"{metric} in {rows[0].unit}, {AGGREGATION}")
    table.add_column("song", overflow="fold")
    table.add_column("stem")
    for heading in ("model", "mixture", "gain"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.track, row.stem, *_numbers(row.score, row.mixture))
    table.add_section()
    for stem in dict.fromkeys(row.stem for row in rows):
        table.add_row("median", stem, *_numbers(*evaluation.median(stem, metric)), style="bold")
    return table


def _numbers(model: float | None, mixture: float | None) -> tuple[str, str, str]:
    gain = None if model is None or mixture is None else model - mixture
    return tuple("undefined" if v is None else f"{v:.2f}" for v in (model, mixture, gain))  # type: ignore[return-value]


def _verdict(evaluation: Evaluation) -> str:
    parts = []
    for stem, metric in evaluation.columns:
        median = evaluation.median(stem, metric)[0]
        if metric == "sdr" and median is not None:
            parts.append(f"{stem} {median:.2f} dB: {verdict(median)}")
    return "; ".join(parts)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
