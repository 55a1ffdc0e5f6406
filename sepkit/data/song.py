"""A track prepared for training: which files make each source, and which make all the rest."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

from sepkit.audio.probe import probe
from sepkit.component import AudioSpec, Track
from sepkit.errors import AudioError, CorpusError, did_you_mean


@dataclass(frozen=True, slots=True)
class Part:
    """The sum of some files minus the sum of others. No files at all are silence."""

    plus: tuple[Path, ...]
    minus: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Song:
    """What a chunk can be cut from. Frames are counted at the run's rate.

    Attributes:
        sources: The sources that this song has; another may be absent, which is not silent.
        rest: All that is no source: mixture - sources, or the sum of the other stems.
        pure: The rest holds no source, so it may be mixed with the sources of another song.
    """

    name: str
    frames: int
    sources: dict[str, Part]
    rest: Part
    pure: bool
    weight: float = 1.0


def prepare(tracks: list[Track], audio: AudioSpec, weight: float = 1.0) -> list[Song]:
    """Return the songs of `tracks` that are of use for `audio.sources`.

    Raises:
        CorpusError: files that cannot be read, all of them listed; or no song has any of the sources.
    """
    songs, faults = [], []
    for track in tracks:
        try:
            songs.append(_prepare_one(track, audio, weight))
        except AudioError as error:
            faults.append(str(error))
    if faults:
        raise CorpusError(f"{len(faults)} unusable files: {'; '.join(faults)}")
    useful = [song for song in songs if song.sources or song.pure]
    if tracks and not any(song.sources for song in useful):
        found = sorted({stem for track in tracks for stem in track.stems})
        raise CorpusError(
            f"none of the {len(tracks)} songs has a stem for {', '.join(audio.sources)}; "
            f"stems found: {', '.join(found)}.{did_you_mean(audio.sources[0], found)} "
            "Choose one with --target, or rename the files"
        )
    return useful


def _prepare_one(track: Track, audio: AudioSpec, weight: float) -> Song:
    sources = {s: Part(track.stems[s]) for s in audio.sources if s in track.stems}
    others = tuple(f for stem, files in track.stems.items() if stem not in sources for f in files)
    targets = tuple(f for part in sources.values() for f in part.plus)
    if track.complete or track.mixture is None:
        rest = Part(others)
    else:
        rest = Part((track.mixture,), targets)
    files = {*targets, *rest.plus}
    frames = max(_frames(path, audio.sample_rate) for path in files)
    pure = track.complete or len(sources) == len(audio.sources)
    return Song(track.name, frames, sources, rest, pure, weight)


def _frames(path: Path, sample_rate: int) -> int:
    info = probe(path)
    return ceil(info.frames * sample_rate / info.sample_rate)
