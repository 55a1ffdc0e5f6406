"""`sepkit data prepare`: decode every song of a run once. It can be stopped at any time and started again."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from sepkit.component import AudioSpec
from sepkit.config import RunConfig
from sepkit.data import prepared
from sepkit.data.corpus import songs_in
from sepkit.data.song import Song
from sepkit.data.sounds import with_sounding
from sepkit.data.workers import each
from sepkit.errors import CorpusError, SepkitError
from sepkit.progress import with_bar


@dataclass(frozen=True, slots=True)
class Preparation:
    """The number of songs, of those made now, the bytes of all, the bytes set free, and the songs that failed."""

    folder: Path
    songs: int
    made: int
    size: int
    freed: int
    failed: list[tuple[str, str]] = field(default_factory=list)


def prepare(config: RunConfig, workers: int, say: Callable[[str], None] = lambda _: None) -> Preparation:
    """Prepare the training and validation songs of a config that are not prepared yet, in `workers` processes.

    Raises:
        CorpusError: see `songs_in`; or the disk is too small, or another process is preparing.
    """
    folder = prepared.folder()
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CorpusError(f"another `sepkit data prepare` is running in {folder}; wait for it") from None
    except OSError as error:
        raise CorpusError(f"{folder}: cannot be written ({error}); set SEPKIT_CACHE to a folder that can") from None
    try:
        return _prepare(config, workers, folder, say)
    finally:
        lock.release()


def _prepare(config: RunConfig, workers: int, folder: Path, say: Callable[[str], None]) -> Preparation:
    audio = config.audio
    training = songs_in(config, "train")
    songs = [*training, *(song for song in songs_in(config, "validation") if song.sources)]
    freed = prepared.remove_leftovers()
    missing = [song for song in songs if not prepared.with_prepared(song, audio).prepared]
    _check_space(missing, audio, folder, say)
    try:
        with closing(each(partial(_write, audio=audio), missing, workers)) as results:
            shown = with_bar(results, len(missing), "Preparing songs")
            errors = [(song, error) for song, error in zip(missing, shown, strict=True) if error]
    finally:  # an interrupt ends the workers in the middle of a song
        prepared.remove_leftovers()
    total = sum(prepared.size(song, audio) for song in songs) - sum(prepared.size(song, audio) for song, _ in errors)
    failed = [(song.name, str(error)) for song, error in errors]
    if not failed:
        with_sounding(training, audio.sample_rate, workers)  # or the first run would have to
    return Preparation(folder, len(songs), len(missing) - len(errors), total, freed, failed)


def _check_space(missing: list[Song], audio: AudioSpec, folder: Path, say: Callable[[str], None]) -> None:
    needed, free = sum(prepared.size(song, audio) for song in missing), shutil.disk_usage(folder).free
    room = f"{prepared.gigabytes(needed)} in {folder}, which has {prepared.gigabytes(free)} free"
    if needed > free:
        raise CorpusError(
            f"preparing {len(missing)} songs takes {room}; set SEPKIT_CACHE to a folder on a larger disk, or make room"
        )
    if missing:
        say(f"Preparing {len(missing)} songs takes {room}")


def _write(song: Song, audio: AudioSpec) -> SepkitError | None:
    try:
        prepared.write(song, audio)
    except SepkitError as error:
        return error
    except OSError as error:
        return CorpusError(f"{song.name} cannot be prepared: {error}")
    return None
