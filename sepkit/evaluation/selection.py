"""Which tracks, which metrics and whose estimates a user means."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from sepkit import config as configs
from sepkit.checkpoints.locate import locate
from sepkit.component import MetricConfig, Track
from sepkit.config import RunConfig
from sepkit.datasets.folder import Folder, song_in
from sepkit.errors import ConfigError, CorpusError
from sepkit.evaluation.cost import Cost, measure
from sepkit.evaluation.estimates import Estimator, FinishedEstimates, ModelEstimates, labels
from sepkit.registry import METRICS
from sepkit.separation import Separator

# What is measured where nobody says what.
DEFAULT = ("sdr", "silence_level", "silence_audible", "bleed")


def choose_tracks(config: RunConfig | None, song_dir: Path | None, data_dir: Path | None) -> list[Track]:
    """Return one song, every song of a folder, or the test split of a config.

    Raises:
        ConfigError: none or several of them are given.
        CorpusError: there is nothing to score.
    """
    if song_dir and data_dir:
        raise ConfigError("--song-dir is for one song, --data-dir for a folder of songs; give one")
    if song_dir:
        return [song_in(song_dir)]
    if data_dir:
        return Folder(root=data_dir).tracks("all")
    if config is None:
        raise ConfigError("nothing to score: give CONFIG (its test split), --data-dir DIR or --song-dir DIR")
    tracks = [track for dataset in config.datasets for track in dataset.tracks("test")]
    if not tracks:
        raise CorpusError("the datasets of the config have no test songs; name some there, or use --data-dir DIR")
    return list(_told_apart(tracks))


def _told_apart(tracks: Sequence[Track]) -> Iterator[Track]:
    """Number the songs whose name an earlier one of another corpus has."""
    names: Counter[str] = Counter()
    for track in tracks:
        names[track.name] += 1
        yield track if names[track.name] == 1 else replace(track, name=f"{track.name} ({names[track.name]})")


def choose_metrics(config: RunConfig | None, names: str) -> tuple[MetricConfig, ...]:
    """Return the metrics called `names` (separated by commas), else those of the config, else the default ones.

    Raises:
        PluginError: there is no metric of that name.
        ConfigError: a metric that needs settings is asked for by name alone, or one is there twice.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked and config is not None:
        metrics = config.metrics
    else:
        metrics = tuple(_by_name(name, names) for name in asked or DEFAULT)
    twice = {metric.name for metric in metrics if [m.name for m in metrics].count(metric.name) > 1}
    if twice:
        raise ConfigError(f"metrics that are asked for twice: {', '.join(sorted(twice))}; once is enough")
    return metrics


def _by_name(name: str, names: str) -> MetricConfig:
    try:
        return METRICS.get(name).component.model_validate({"name": name})
    except ValidationError as error:
        raise ConfigError(f"--metrics {names}: {configs.explain(error)}; set it in a config instead") from None


def choose_estimators(models: Sequence[str], finished: Path | None, device: str, target: str) -> tuple[Estimator, ...]:
    """Return whose estimates are scored: those of models, finished ones in a folder, or both.

    Raises:
        ModelFileError: a model cannot be loaded.
        ConfigError: a model that does not make the target.
    """
    files = [locate(model) for model in models or ([] if finished else [""])]
    found: list[Estimator] = []
    for label, file in zip(labels(files), files, strict=True):
        separator = Separator.load(file, device)
        separator.check_stems([target] if target else [])
        found.append(ModelEstimates(label, separator))
    return (*found, FinishedEstimates.of(finished)) if finished else tuple(found)


def measure_costs(estimators: Sequence[Estimator], device: str) -> dict[str, Cost]:
    """Return what each of the models costs, by label."""
    models = [e for e in estimators if isinstance(e, ModelEstimates)]
    return {model.label: measure(model.separator.model.path, device) for model in models}
