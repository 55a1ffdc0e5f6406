"""A track as training reads it: the files of each source and of the residual, and the spans in which sources sound."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sepkit.arrays import Samples
from sepkit.audio.info import AudioInfo
from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read_sum
from sepkit.cache.file_facts import Facts, find_facts
from sepkit.component import AudioSpec
from sepkit.data.workers import in_threads
from sepkit.datasets.stem_names import left_out
from sepkit.errors import CorpusError, SepkitError, did_you_mean
from sepkit.track import AudioFile, Track

if TYPE_CHECKING:
    from sepkit.cache.file_facts import Stamp


log = logging.getLogger(__name__)

# The name of a song's part that holds everything but the sources; no stem may have it.
RESIDUAL = "rest"
# Seconds by which the files of a song may differ in length without a word.
SAME_LENGTH = 0.1

Header = str
"""Rate, channels, samples, and 1 if these were counted, as the cache keeps them: "44100 2 1323000 0"."""
Span = tuple[int, int]


class Part(Protocol):
    """A source, or the residual, of one song."""

    def read(self, audio: AudioSpec, start: int, length: int) -> Samples:
        """Return [channel, time] from sample `start` on, `length` samples at the run's rate; zeros beyond the end."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """A part that is decoded from its files whenever it is read. Without pieces it is silence."""

    pieces: tuple[Piece, ...] = ()

    def read(self, audio: AudioSpec, start: int, length: int) -> Samples:
        """Return [channel, time]."""
        return read_sum(self.pieces, audio.sample_rate, audio.channels, start, length)


@dataclass(frozen=True, slots=True)
class Song:
    """The parts from which chunks are cut. Samples are counted at the run's rate.

    Attributes:
        frames: Its length in samples: that of its mixture, or of its longest stem if the mixture is their sum.
        parts: The sources that this song has, and the residual last: the mixture minus the sources, or the sum of the
            other stems. A source that is not a key is absent, which is not silent.
        pure: The residual holds no source, so it may be mixed with the sources of another song.
        dataset: Number of its `[[datasets]]` entry, which has a weight.
        stamps: Size and time of modification of each file.
        sounding: The spans of samples in which each source sounds.
        prepared: The same parts from prepared files, which are read faster, if there are any.
    """

    name: str
    frames: int
    parts: dict[str, Decoded]
    pure: bool
    dataset: int = 0
    stamps: dict[AudioFile, Stamp] = field(default_factory=dict)
    sounding: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    prepared: dict[str, Part] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that this song has."""
        return tuple(name for name in self.parts if name != RESIDUAL)

    def part(self, name: str) -> Part:
        """Return a source or the residual, from the prepared file if there is one."""
        return (self.prepared or self.parts)[name]


def songs_of(tracks: Sequence[tuple[int, Track]], audio: AudioSpec) -> list[Song]:
    """Return the songs that can be used for `audio.sources`, of tracks with the number of their dataset.

    Raises:
        CorpusError: files that cannot be read, all of them listed; no song has any of the sources; or one of these is
            a part of another.
    """
    headers = _headers({file for _, track in tracks for file in files_for(track, audio)})
    songs = [_song(number, track, audio, headers) for number, track in tracks]
    useful = [song for song in songs if song.sources or song.pure]
    _warn_of_lengths([track for _, track in tracks], audio, headers)
    if tracks and not any(song.sources for song in useful):
        found = sorted({stem for _, track in tracks for stem in track.targets})
        raise CorpusError(
            f"none of the {len(tracks)} songs has a stem for {', '.join(audio.sources)}; "
            f"stems found: {', '.join(found)}.{did_you_mean(audio.sources[0], found)} "
            "Choose one with --target, or rename the files"
        )
    return useful


def files_for(track: Track, audio: AudioSpec) -> list[AudioFile]:
    """Return the files of a track that a run for `audio.sources` reads."""
    targets, residual, subtracted = _divide(track, audio)
    return [*(file for files in targets.values() for file in files), *residual, *subtracted]


def raise_unusable(errors: Collection[SepkitError]) -> None:
    """Raise one CorpusError that lists all errors, if there are any."""
    if errors:
        raise CorpusError(f"{len(errors)} unusable files: {'; '.join(map(str, errors))}")


def _headers(files: set[AudioFile]) -> Facts[AudioFile, Header]:
    facts = find_facts("headers-2", sorted(files, key=str), partial(in_threads, _header))
    raise_unusable(facts.errors.values())
    return facts


def _header(file: AudioFile) -> Header | SepkitError:
    try:
        info = probe(file)
    except SepkitError as error:
        return error
    return f"{info.sample_rate} {info.channels} {info.frames} {info.counted:d}"


def _info(header: Header) -> AudioInfo:
    rate, channels, frames, counted = map(int, header.split())
    return AudioInfo(rate, channels, frames, counted=bool(counted))


def _divide(
    track: Track, audio: AudioSpec
) -> tuple[dict[str, tuple[AudioFile, ...]], list[AudioFile], list[AudioFile]]:
    """Return the files of each source, those of the residual, and those that are subtracted from the residual."""
    stems = _stems_for(track, audio)
    sources = {s: stems[s] for s in audio.sources if s in stems}
    if track.complete or track.mixture is None:
        return sources, [f for stem, files in stems.items() if stem not in sources for f in files], []
    return sources, [track.mixture], [file for files in sources.values() for file in files]


def _stems_for(track: Track, audio: AudioSpec) -> Mapping[str, tuple[AudioFile, ...]]:
    """Return the stems that add up. A source that overlaps some takes their place."""
    chosen = next((source for source in audio.sources if source in track.overlapping), None)
    if chosen is None:
        return track.stems
    beside = left_out(chosen, track.stems)
    for source in audio.sources:
        if source in track.targets and source not in (chosen, *beside):
            raise CorpusError(f"{track.name}: {chosen} holds {source} as well; train for one of them")
    return {chosen: track.overlapping[chosen], **{stem: track.stems[stem] for stem in beside if stem in track.stems}}


def _is_pure(track: Track, audio: AudioSpec) -> bool:
    """Return True if the residual holds no source: those that the song lacks must be known not to sound in it."""
    absent = [source for source in audio.sources if source not in track.stems]
    return not absent or (track.complete and all(source in track.corpus_stems for source in absent))


def _song(number: int, track: Track, audio: AudioSpec, headers: Facts[AudioFile, Header]) -> Song:
    sources, residual, subtracted = _divide(track, audio)
    files = files_for(track, audio)
    infos = {header: _info(header) for header in {headers.known[file] for file in files}}
    pieces = {file: Piece(file, infos[headers.known[file]]) for file in files}
    if track.mixture in pieces:
        pieces = {file: piece.until(pieces[track.mixture].info) for file, piece in pieces.items()}
    minus = tuple(Piece(file, pieces[file].info, -1) for file in subtracted)
    return Song(
        name=track.name,
        frames=max((piece.frames_at(audio.sample_rate) for piece in pieces.values()), default=0),
        parts={
            **{source: Decoded(tuple(pieces[file] for file in files)) for source, files in sources.items()},
            RESIDUAL: Decoded((*(pieces[file] for file in residual), *minus)),
        },
        pure=_is_pure(track, audio),
        dataset=number,
        stamps={file: headers.stamps[file] for file in pieces},
    )


def _warn_of_lengths(tracks: Sequence[Track], audio: AudioSpec, headers: Facts[AudioFile, Header]) -> None:
    """Warn of sources that do not end with the mixture that they are subtracted from."""
    longer, shorter = list[str](), list[str]()
    for track in tracks:
        sources, *_, subtracted = _divide(track, audio)
        if not subtracted or not track.mixture:
            continue
        end = _seconds(headers.known[track.mixture])
        for source, files in sources.items():
            seconds = max(_seconds(headers.known[file]) for file in files)
            if abs(seconds - end) > SAME_LENGTH:
                song = f"{track.name}: {source} {seconds:.1f} s, mixture {end:.1f} s"
                (longer if seconds > end else shorter).append(song)
    for songs, difference, consequence in (
        (longer, "longer", "A song ends with its mixture"),
        (shorter, "shorter", "Silence is added to the stem"),
    ):
        if songs:
            log.warning(
                "stems %s than their mixture: %d (%s%s). %s; `sepkit data check` lists them",
                difference, len(songs), songs[0], "; ..." if len(songs) > 1 else "", consequence,
            )  # fmt: skip


def _seconds(header: Header) -> float:
    return _info(header).seconds
