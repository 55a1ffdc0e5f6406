"""`tracks/<track>.json`, in the schema of museval, so that its readers and those of SiSEC's results can take them."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.score import Score, finite, is_perfect

# museval's names of what it measures, and whose scores they may be: the first of these that was measured.
_NAMES = {
    "SDR": ("sdr", "museval.SDR", "bsseval.SDR"),
    **{name: (f"museval.{name}", f"bsseval.{name}") for name in ("ISR", "SIR", "SAR")},
}


def track_files(evaluation: Evaluation) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (estimate, track, plain values) of each song and each estimate with framewise scores.

    A frame that is undefined or perfect lacks the number, which the schema has no null for, and says so in a key of its
    own.
    """
    found: dict[tuple[str, str], list[Score]] = {}
    for score in evaluation.scores:
        found.setdefault((score.estimate, score.track), []).extend([score] if score.frames else [])
    for (estimate, track), own in found.items():
        if estimate in evaluation.estimates:
            targets = [_target(evaluation, stem, own) for stem in dict.fromkeys(s.stem for s in own)]
            yield estimate, track, {"sepkit_version": version("sepkit"), "targets": targets}


def _target(evaluation: Evaluation, stem: str, scores: list[Score]) -> dict[str, Any]:
    framewise = {s.metric: s for s in scores if s.stem == stem}
    chosen = {name: next((framewise[k] for k in known if k in framewise), None) for name, known in _NAMES.items()}
    found = {name: score for name, score in chosen.items() if score is not None}
    lengths = {evaluation.metric_of(s.metric).frame: s for s in found.values()}
    if len(lengths) != 1:  # nothing of museval's, or frames that differ
        return {"name": stem, "frames": []}
    ((seconds, any_score),) = lengths.items()
    return {"name": stem, "frames": [_frame(i, seconds, found) for i in range(len(any_score.frames))]}


def _frame(number: int, seconds: float, scores: dict[str, Score]) -> dict[str, Any]:
    values = {name: score.frames[number] for name, score in scores.items()}
    known = {name: value for name, value in values.items() if finite(value) is not None}
    frame = {"time": number * seconds, "duration": seconds, "metrics": known}
    undefined = [name for name, value in values.items() if value is None]
    perfect = [name for name, value in values.items() if is_perfect(value)]
    return frame | ({"undefined": undefined} if undefined else {}) | ({"perfect": perfect} if perfect else {})
