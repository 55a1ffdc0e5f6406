"""The tracks, metrics and estimators that the options of a user select."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from sepkit.checkpoints.locate import locate
from sepkit.component import MetricConfig
from sepkit.config import RunConfig
from sepkit.config_errors import explain
from sepkit.datasets.folder import Folder, song_in
from sepkit.device import cores
from sepkit.errors import ConfigError, CorpusError
from sepkit.evaluation.bounds import bounds_of
from sepkit.evaluation.cost import Cost, measure
from sepkit.evaluation.estimates import Estimator, FinishedEstimates, ModelEstimates, labels, unique_names
from sepkit.registry import METRICS
from sepkit.songs.separator import Separator
from sepkit.track import Track

# Each process holds a model and a song with all its stems.
MOST_PROCESSES = 8
# Metrics without a config.
DEFAULT = ("sdr", "silence_level", "silence_audible", "bleed")


def choose_tracks(config: RunConfig | None, song_dir: Path | None, data_dir: Path | None) -> list[Track]:
    """Return one song, every song of a folder, or the test split of a config.

    Raises:
        ConfigError: none or several are given.
        CorpusError: there are no songs.
    """
    if song_dir and data_dir:
        raise ConfigError("--song-dir is for one song, --data-dir for a folder of songs; give one")
    if song_dir:
        return [song_in(song_dir)]
    if data_dir:
        return _told_apart(Folder(root=data_dir).tracks("all"))
    if config is None:
        raise ConfigError("nothing to score: give CONFIG (its test split), --data-dir DIR or --song-dir DIR")
    tracks = [track for dataset in config.datasets for track in dataset.tracks("test")]
    if not tracks:
        raise CorpusError("the datasets of the config have no test songs; name some there, or use --data-dir DIR")
    return _told_apart(tracks)


def _told_apart(tracks: Sequence[Track]) -> list[Track]:
    """Number the songs whose name an earlier one has, in another corpus or split."""
    names = unique_names([track.name for track in tracks])
    return [replace(track, name=name) for track, name in zip(tracks, names, strict=True)]


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
        raise ConfigError(f"--metrics names {', '.join(sorted(twice))} twice; name each once")
    return metrics


def _by_name(name: str, names: str) -> MetricConfig:
    try:
        return METRICS.get(name).component.model_validate({"name": name})
    except ValidationError as error:
        raise ConfigError(f"--metrics {names}: {explain(error)}; set it in a config instead") from None


def choose_estimators(
    models: Sequence[str], finished: Path | None, device: str, target: str, *, songs: int
) -> tuple[Estimator, ...]:
    """Return the estimators: models, finished stems in a folder, or both, each with its own label.

    Raises:
        ModelFileError: a model cannot be loaded.
        ConfigError: a model does not estimate the target.
    """
    files = [locate(model) for model in models or ([] if finished else [""])]
    found: list[ModelEstimates | FinishedEstimates] = []
    for label, file in zip(labels(files), files, strict=True):
        separator = Separator.load(file, device)
        separator.check_stems([target] if target else [])
        separator.prepare()
        found.append(ModelEstimates(label, separator))
    found += [FinishedEstimates.of(finished, alone=songs == 1)] if finished else []
    bounds = {bound.label for e in found for bound in bounds_of(e.network, e.audio)}
    names = unique_names([estimator.label for estimator in found], bounds)
    return tuple(replace(estimator, label=name) for estimator, name in zip(found, names, strict=True))


def measure_costs(estimators: Sequence[Estimator], device: str) -> dict[str, Cost]:
    """Return the cost of each model, by label."""
    models = [e for e in estimators if isinstance(e, ModelEstimates)]
    return {model.label: measure(model.separator.model.path, device) for model in models}


def processes_for(estimators: Sequence[Estimator]) -> int:
    """Return how many songs may be scored at the same time: models that do not run on the CPU share one device."""
    devices = {e.separator.device for e in estimators if isinstance(e, ModelEstimates)}
    return min(cores(), MOST_PROCESSES) if devices <= {"cpu"} else 1
