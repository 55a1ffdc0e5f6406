"""The scores of one estimate in a `summary.json`, read back and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from sepkit.config_errors import faults
from sepkit.errors import ConfigError, did_you_mean, did_you_mean_path

FORMAT = 1
SUMMARY = "summary.json"


class SavedMetric(BaseModel):
    """The definition of a score. Scores with different definitions cannot be compared."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(validation_alias=AliasChoices("score", "metric"))]
    unit: str
    better: Literal["higher", "lower"]
    frame_seconds: float
    aggregation: str
    signals: str = ""
    settings: dict[str, Any] = {}


class SavedScore(BaseModel):
    """A number, or the reason why there is none.

    `without` are the stems that a residual leaves out, if known.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    track: str
    stem: str
    metric: str
    estimate: str
    score: float | None
    undefined: str = ""
    perfect: bool = False
    without: frozenset[str] | None = None


class _Summary(BaseModel):
    metrics: list[SavedMetric]
    estimates: list[str]
    bounds: list[str] = []
    tracks: list[SavedScore]
    failed: dict[str, str] = {}


class _Format(BaseModel):
    format: int


@dataclass(frozen=True)
class SavedScores:
    """The scores of one estimate.

    Attributes:
        path: The file.
        estimate: The label of a model, or of what the models are seen beside, such as the mixture.
        metrics: Name -> what it is.
        columns: (stem, metric) -> track -> its score.
        failed: Track -> why it has none.
    """

    path: Path
    estimate: str
    metrics: dict[str, SavedMetric]
    columns: dict[tuple[str, str], dict[str, SavedScore]]
    failed: dict[str, str]

    def __str__(self) -> str:
        return f"{self.path}:{self.estimate}"

    @property
    def stems(self) -> list[str]:
        """The stems that have scores, in order."""
        return list(dict.fromkeys(stem for stem, _ in self.columns))


def read(name: str) -> SavedScores:
    """Read `FILE.json`, or the `summary.json` of a folder; with `:ESTIMATE` where it has the scores of several models.

    Raises:
        ConfigError: the file cannot be read, is no summary of an evaluation, or does not have the estimate.
    """
    place, asked = _divided(name)
    path = place / SUMMARY if place.is_dir() else place
    summary = _parsed(path, _content(path))
    estimate = _chosen(path, summary, asked)
    return SavedScores(
        path, estimate, {metric.name: metric for metric in summary.metrics}, _columns(path, summary, estimate),
        summary.failed,
    )  # fmt: skip


def _divided(name: str) -> tuple[Path, str]:
    """Return the file or the folder, and the estimate, whose label may hold a colon as well as the path."""
    if Path(name).exists():
        return Path(name), ""
    head, colon, asked = name.partition(".json:")
    if colon:
        return Path(f"{head}.json"), asked
    folders = (at for at, character in enumerate(name) if character == ":" and Path(name[:at]).is_dir())
    at = next(folders, len(name))
    return Path(name[:at]), name[at + 1 :]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"give the folder of an evaluation, or its {SUMMARY}"
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {what}.{_near(path)}") from None


def _near(path: Path) -> str:
    """Return a hint at the evaluation that a missing path probably means, or ""."""
    if path.name == SUMMARY:  # of the folder of a run, say
        below = sorted(path.parent.glob(f"*/{SUMMARY}"))
        return f' Did you mean "{below[0].parent}"?' if below else ""
    return did_you_mean_path(path, lambda other: other.is_dir() or other.suffix == ".json")


def _parsed(path: Path, content: bytes) -> _Summary:
    try:
        number = _Format.model_validate_json(content).format
        if number != FORMAT:
            raise ConfigError(f"{path} has format {number}, this sepkit reads {FORMAT}: evaluate again with this one")
        return _Summary.model_validate_json(content)
    except ValidationError as error:
        raise ConfigError(f"{path} is not a summary.json that `sepkit evaluate` wrote ({faults(error)[0]})") from None


def _chosen(path: Path, summary: _Summary, asked: str) -> str:
    known = [*summary.estimates, *summary.bounds]
    if asked and asked not in known:
        raise ConfigError(f'{path} has no "{asked}".{did_you_mean(asked, known)} It has: {", ".join(known) or "none"}')
    if not asked and len(summary.estimates) != 1:
        example = f' Name one: "{path}:{known[0]}"' if known else ""
        raise ConfigError(f"{path} has the scores of {len(summary.estimates)} models: {', '.join(known)}.{example}")
    return asked or summary.estimates[0]


def _columns(path: Path, summary: _Summary, estimate: str) -> dict[tuple[str, str], dict[str, SavedScore]]:
    metrics = {metric.name for metric in summary.metrics}
    columns: dict[tuple[str, str], dict[str, SavedScore]] = {}
    for score in summary.tracks:
        if score.metric not in metrics:
            raise ConfigError(f'{path} does not say what its metric "{score.metric}" is: evaluate again')
        if score.estimate == estimate:
            column = columns.setdefault((score.stem, score.metric), {})
            if score.track in column:
                raise ConfigError(f'{path} has two songs called "{score.track}": rename one and evaluate again')
            column[score.track] = score
    return columns
