"""`summary.json`: the scores of every song, their medians, and the definition of each score, as strict JSON."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.score import Score, finite

FORMAT = 1
OVER_SONGS = "median over songs"


def aggregation(frame_seconds: float) -> str:
    """Return the name of the way from frames, if there are any, to the number of a run."""
    return f"{OVER_SONGS} of the median over frames" if frame_seconds else OVER_SONGS


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain values. An undefined score is null with a reason, a perfect one "perfect"."""
    return {
        "format": FORMAT,
        "sepkit": version("sepkit"),
        "estimates": list(evaluation.estimates),
        "bounds": list(evaluation.bounds),
        "metrics": [_metric(evaluation, name) for name in dict.fromkeys(name for _, name in evaluation.columns)],
        "medians": _medians(evaluation),
        "tracks": [_row(score) for score in evaluation.scores],
        "cost": {label: asdict(cost) for label, cost in evaluation.costs.items()},
        "report": bool(evaluation.sections),
        "interrupted": evaluation.stop is not None,
        "failed": evaluation.failed,
        "absent": {track: list(stems) for track, stems in evaluation.absent.items()},
        "shifted": [
            {
                "track": shift.track, "estimate": shift.estimate, "stem": shift.stem, "samples_late": shift.samples,
                "milliseconds_late": shift.milliseconds, "cost_db": shift.cost,
            }
            for shift in evaluation.shifts
        ],
    }  # fmt: skip


def _row(score: Score) -> dict[str, Any]:
    row = {
        "track": score.track, "stem": score.stem, "metric": score.metric, "estimate": score.estimate,
        "score": finite(score.value), "undefined": f"undefined: {score.undefined}" if score.undefined else "",
        "perfect": score.perfect,
    }  # fmt: skip
    if score.frames:
        row |= {"frames": len(score.frames), "undefined_frames": score.frames.count(None)}
    return row | ({"without": list(score.without)} if score.without else {})


def _metric(evaluation: Evaluation, name: str) -> dict[str, Any]:
    config = evaluation.metric_of(name)
    return {
        "metric": name,
        "unit": config.unit,
        "better": config.better,
        "frame_seconds": config.frame,
        "aggregation": aggregation(config.frame),
        "signals": "at the rate and channels of each song",
        "settings": config.model_dump(mode="json"),
    }


def _medians(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for stem, metric in evaluation.columns:
        for estimate in evaluation.labels:
            found = evaluation.by_column.get((stem, metric, estimate), [])
            undefined: dict[str, int] = {}
            for score in found:
                if score.undefined:
                    undefined[score.undefined] = undefined.get(score.undefined, 0) + 1
            if found:
                rows.append(
                    {
                        "stem": stem,
                        "metric": metric,
                        "estimate": estimate,
                        "median": finite(evaluation.median(stem, metric, estimate)),
                        "mean": finite(evaluation.mean(stem, metric, estimate)),
                        "songs": len(found) - sum(undefined.values()),
                        "perfect": sum(score.perfect for score in found),
                        "undefined": undefined,
                    }
                )
    return rows
