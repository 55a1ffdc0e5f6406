"""Which tracks and which metrics a user means."""

from pathlib import Path

from pydantic import ValidationError

from sepkit import config as configs
from sepkit.component import MetricConfig, Track
from sepkit.config import RunConfig
from sepkit.datasets.folder import Folder, song_in
from sepkit.errors import ConfigError, CorpusError
from sepkit.registry import METRICS


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
    return tracks


def choose_metrics(config: RunConfig | None, names: str) -> list[MetricConfig]:
    """Return the metrics called `names` (separated by commas), else those of the config, else SDR.

    Raises:
        PluginError: there is no metric of that name.
        ConfigError: a metric that needs settings is asked for by name alone.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked and config is not None:
        return list(config.metrics)
    try:
        return [METRICS.get(name).component.model_validate({"name": name}) for name in asked or ["sdr"]]
    except ValidationError as error:
        raise ConfigError(f"--metrics {names}: {configs.explain(error)}; set it in a config instead") from None
