"""The songs of a run, from all its datasets, with their prepared files and the spans in which each source sounds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from sepkit.config import RunConfig
from sepkit.data.prepared import with_prepared
from sepkit.data.song import RESIDUAL, Song, songs_of
from sepkit.data.sounds import check_ends, with_sounding
from sepkit.errors import CorpusError
from sepkit.track import Track


def songs_in(config: RunConfig, split: str) -> list[Song]:
    """Return the songs of a split, or of "all", of all datasets of a config, as they are on disk.

    Raises:
        CorpusError: a dataset is not there, files cannot be read (all of them listed), or no song can be used.
    """
    with _without_collection():
        tracks = [(number, track) for number, dataset in enumerate(config.datasets) for track in dataset.tracks(split)]
        songs = songs_of(tracks, config.audio)
    if not any(song.sources for song in songs):
        raise CorpusError(_nothing_to(split, [dataset.name for dataset in config.datasets]))
    return songs


def training_songs(config: RunConfig) -> list[Song]:
    """Return the songs to train on, ready to be drawn from. New files are scanned first."""
    songs = songs_in(config, "train")
    if len(config.audio.sources) == 1 and not any(song.parts[RESIDUAL].pieces for song in songs):
        raise CorpusError(f"the training songs hold {config.audio.sources[0]} alone; add a mixture or the other stems")
    check_ends(songs)
    scanned = with_sounding(songs, config.audio.sample_rate, config.train.workers)
    return [with_prepared(song, config.audio) for song in scanned]


def validation_songs(config: RunConfig) -> list[Song]:
    """Return the songs to validate on that have a source."""
    songs = [song for song in songs_in(config, "validation") if song.sources]
    check_ends(songs)
    return [with_prepared(song, config.audio) for song in songs]


def validation_tracks(config: RunConfig) -> list[Track]:
    """Return the same songs as they are on disk."""
    tracks = [track for dataset in config.datasets for track in dataset.tracks("validation")]
    return [track for track in tracks if any(source in track.targets for source in config.audio.sources)]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause garbage collection: among thousands of new objects that all stay it takes as long as making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _nothing_to(split: str, names: list[str]) -> str:
    purpose = {"train": "train", "validation": "validate", "test": "test"}.get(split, "work")
    return (
        f"no songs to {purpose} on (datasets: {', '.join(names)}). A plain folder needs two songs or more: "
        "one is set aside for validation. Give it a validation/ folder, or more songs"
    )
