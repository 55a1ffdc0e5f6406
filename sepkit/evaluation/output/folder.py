"""The folder that an evaluation leaves: `summary.json`, `scores.csv`, `tracks/` and `report.html`, all or none new."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sepkit.atomic import Commit
from sepkit.errors import ConfigError
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.output.scores_csv import scores_csv
from sepkit.evaluation.output.summary import summarise
from sepkit.evaluation.output.track_files import track_files
from sepkit.evaluation.saved_scores import SUMMARY
from sepkit.songs.output import safe_name

REPORT = "report.html"


def prepare(folder: Path, *, report: bool) -> None:
    """Make the folder, and raise ConfigError if it could not be written after hours of work."""
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
        raise ConfigError(f"{page} exists, and is not that of an evaluation; give another --output-dir")


def write(folder: Path, evaluation: Evaluation, html: str = "") -> dict[str, Any]:
    """Write an evaluation, and remove what an earlier one left of other songs; return the summary.

    `html` is the report, if there is one.

    Raises:
        ConfigError: the folder cannot be written.
    """
    files = {folder / "scores.csv": scores_csv(evaluation)}
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
    """Return the files that an earlier evaluation says it has left in the folder."""
    try:
        names = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["files"]
        paths = [folder / name for name in names if ".." not in Path(name).parts]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [path for path in paths if path.is_relative_to(folder)]


def _below(folder: Path, *parts: str) -> Path:
    """Return a file that no name leads out of the folder."""
    *folders, name = (part.replace("/", "_") for part in parts)
    return folder.joinpath(*map(safe_name, folders), safe_name(name, ".json"))


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=2) + "\n"
