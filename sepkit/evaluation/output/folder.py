"""The folder that an evaluation leaves: `summary.json`, `scores.csv`, `tracks/` and `report.html`, all or none new."""

import json
from pathlib import Path
from typing import Any

from sepkit.atomic import Commit
from sepkit.errors import ConfigError
from sepkit.evaluation.evaluate import Evaluation
from sepkit.evaluation.output.scores_csv import scores_csv
from sepkit.evaluation.output.track_files import track_files
from sepkit.separation.songs.output import component

SUMMARY = "summary.json"


def write(folder: Path, evaluation: Evaluation, summary: dict[str, Any], html: str = "") -> list[Path]:
    """Write an evaluation, and remove what an earlier one left of other songs; return the paths.

    `html` is the report, if there is one.

    Raises:
        ConfigError: the folder cannot be written.
    """
    files = {folder / SUMMARY: _json(summary), folder / "scores.csv": scores_csv(evaluation)}
    several = len(evaluation.estimates) > 1
    for estimate, track, values in track_files(evaluation):
        parts = (estimate, track) if several else (track,)
        files[_below(folder / "tracks", *parts)] = _json(values)
    if html:
        files[folder / "report.html"] = html
    try:
        _commit(folder, files)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); give another --output-dir") from None
    return list(files)


def _commit(folder: Path, files: dict[Path, str]) -> None:
    earlier = [*(folder / "tracks").rglob("*.json"), folder / "report.html"]
    with Commit() as commit:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            commit.text(path, text)
        for path in earlier:
            commit.remove(path)


def _below(folder: Path, *parts: str) -> Path:
    """Return a file that no name leads out of the folder."""
    *folders, name = (component(part.replace("/", "_"), ".json" if part is parts[-1] else "") for part in parts)
    return folder.joinpath(*folders, name)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=2) + "\n"
