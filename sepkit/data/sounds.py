"""The level over time of the files of a corpus, kept in the cache, and the spans in which each source sounds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from sepkit.audio.info import AudioInfo
from sepkit.audio.listen import Sound, listen, window_frames
from sepkit.audio.probe import probe
from sepkit.audio.read import decode_raw
from sepkit.cache.file_facts import find_facts
from sepkit.data.song import Song, Span, raise_unusable
from sepkit.data.workers import each, in_threads
from sepkit.errors import SepkitError
from sepkit.progress import with_bar
from sepkit.track import AudioFile

Fact = dict[str, Any]


def known_sounds(
    files: Iterable[AudioFile], workers: int
) -> tuple[dict[AudioFile, Sound], dict[AudioFile, SepkitError]]:
    """Return the sound of each file, and the errors of those that cannot be read; `workers` processes scan them."""
    facts = find_facts("sounds-2", sorted(set(files), key=str), partial(_find, workers=workers))
    return {file: _sound(fact) for file, fact in facts.known.items()}, facts.errors


def with_sounding(songs: Sequence[Song], sample_rate: int, workers: int) -> list[Song]:
    """Return the songs with the spans in which each source sounds.

    Raises:
        CorpusError: files that cannot be read, all of them listed.
    """
    parts = [song.parts[source] for song in songs for source in song.sources]
    sounds, errors = known_sounds((piece.file for part in parts for piece in part.pieces), workers)
    raise_unusable(errors.values())
    return [replace(song, sounding=_sounding(song, sounds, sample_rate)) for song in songs]


def check_ends(songs: Sequence[Song]) -> None:
    """Decode the end of each file, to find truncated ones before the first epoch, not in the middle of it.

    Raises:
        CorpusError: files that cannot be read, all of them listed.
    """
    files = {piece.file for song in songs for part in song.parts.values() for piece in part.pieces}
    raise_unusable(find_facts("ends-2", sorted(files, key=str), partial(in_threads, _end)).errors.values())


def _end(file: AudioFile) -> bool | SepkitError:
    try:
        info = probe(file)
        frames = min(info.frames, info.sample_rate // 10)
        decode_raw(file, info, info.frames - frames, frames)
    except SepkitError as error:
        return error
    return True


def _find(files: Sequence[AudioFile], workers: int) -> Iterator[Fact | SepkitError]:
    return with_bar(each(_listen, files, workers), len(files), "Scanning stems for activity")


def _listen(file: AudioFile) -> Fact | SepkitError:
    try:
        sound = listen(file)
        info = sound.info
        return {**asdict(sound), "info": [info.sample_rate, info.channels, info.frames, info.counted]}
    except SepkitError as error:
        return error


def _sound(fact: Fact) -> Sound:
    spans = tuple((first, stop) for first, stop in fact["sounding"])
    return Sound(**{**fact, "info": AudioInfo(*fact["info"]), "sounding": spans})


def _sounding(song: Song, sounds: dict[AudioFile, Sound], sample_rate: int) -> dict[str, tuple[Span, ...]]:
    return {
        source: _union(
            (first, min(stop, song.frames))
            for piece in song.parts[source].pieces
            for first, stop in _frames(sounds[piece.file], sample_rate)
            if first < song.frames
        )
        for source in song.sources
    }


def _frames(sound: Sound, sample_rate: int) -> Iterator[Span]:
    """Yield the spans of a file in samples of another rate."""
    window = window_frames(sound.info.sample_rate)
    for span in sound.sounding:
        first, stop = (min(n * window, sound.info.frames) * sample_rate // sound.info.sample_rate for n in span)
        yield first, stop


def _union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join spans that overlap or touch."""
    merged: list[Span] = []
    for first, stop in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return tuple(merged)
