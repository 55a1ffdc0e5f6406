"""The files of an evaluation, replaced together: `summary.json`, `scores.csv`, `tracks/` and `report.html`."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from sepkit.atomic import Commit
from sepkit.errors import ConfigError
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.saved_scores import SUMMARY
from sepkit.evaluation.summary import summarise
from sepkit.evaluation.track_files import track_files
from sepkit.songs.output import safe_name

REPORT = "report.html"
# The first characters of a cell that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def prepare(folder: Path, *, report: bool) -> None:
    """Make the folder, and raise ConfigError now if it cannot be written later."""
    page, probe = folder / REPORT, folder / SUMMARY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Commit() as commit:
            commit.text(probe, "")
            commit.discard()
    except OSError as error:
        why = "it is a file" if folder.is_file() else error.strerror or str(error)
        raise ConfigError(f"{folder}: cannot be written ({why}); give another --output-dir") from None
    if report and page.exists() and page not in _earlier(folder):
        raise ConfigError(f"{page} exists and is not of an evaluation; give another --output-dir")


def write(folder: Path, evaluation: Evaluation, html: str = "") -> dict[str, Any]:
    """Write an evaluation, remove the files that an earlier one left of other songs, and return the summary.

    `html` is the report, if there is one.

    Raises:
        ConfigError: the folder cannot be written.
    """
    files = {folder / "scores.csv": _csv(evaluation)}
    several = len(evaluation.estimates) > 1
    for estimate, track, values in track_files(evaluation):
        files[_below(folder / "tracks", *([estimate] * several), track)] = _json(values)
    if html:
        files[folder / REPORT] = html
    summary = summarise(evaluation) | {"files": [str(path.relative_to(folder)) for path in files]}
    files = {folder / SUMMARY: _json(summary), **files}
    try:
        _commit(files, _earlier(folder))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); give another --output-dir") from None
    return summary


def _commit(files: dict[Path, str], earlier: Sequence[Path]) -> None:
    with Commit() as commit:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            commit.text(path, text.encode("utf-8", "replace").decode())  # names of songs need not be valid text
        for path in earlier:
            commit.remove(path)


def _earlier(folder: Path) -> list[Path]:
    """Return the files that the summary of an earlier evaluation lists."""
    try:
        names = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["files"]
        paths = [folder / name for name in names if ".." not in Path(name).parts]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [path for path in paths if path.is_relative_to(folder)]


def _below(folder: Path, *parts: str) -> Path:
    """Return a file inside the folder, whatever the names hold."""
    *folders, name = (part.replace("/", "_") for part in parts)
    return folder.joinpath(*map(safe_name, folders), safe_name(name, ".json"))


def _csv(evaluation: Evaluation) -> str:
    """Return the scores with a header; an undefined one is an empty cell, with the reason in the last."""
    text = StringIO()
    table = csv.writer(text)
    table.writerow(("track", "stem", "metric", "unit", "estimate", "score", "undefined"))
    for s in evaluation.scores:
        names = (s.track, s.stem, s.metric, evaluation.metric_of(s.metric).unit, s.estimate)
        plain = (f"'{name}" if name.startswith(_FORMULA) else name for name in names)
        table.writerow((*plain, "" if s.value is None else repr(s.value), s.undefined))
    return text.getvalue()


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=2) + "\n"
