"""Describe an audio file. A length that no header states is counted once, and remembered."""

import logging
from collections.abc import Callable, Iterator, Sequence

from sepkit.audio.info import AudioInfo, check_bounds
from sepkit.audio.opening import opened
from sepkit.cache.file_facts import find_facts
from sepkit.errors import AudioError, SepkitError
from sepkit.track import AudioFile

log = logging.getLogger(__name__)

# Seconds of silence that are not worth a word.
_SHORT = 0.1


def probe(file: AudioFile) -> AudioInfo:
    """Return the description of a file, without its tags.

    Raises:
        AudioError: no such file, a folder or a special file, empty, or not audio that can be read here.
    """
    with opened(file) as source:
        rate, channels, frames = source.sample_rate, source.channels, source.frames
    return with_length(file, rate, channels, frames, _counted)


def with_length(
    file: AudioFile, sample_rate: int, channels: int, frames: int | None, count: Callable[[AudioFile], int]
) -> AudioInfo:
    """Return the description of a file; `frames` of None are remembered from earlier, or else counted.

    Raises:
        AudioError: they cannot be counted, or are too many.
    """
    if frames is not None:
        return AudioInfo(sample_rate, channels, frames)
    found = _known_length(file, count)
    check_bounds(file, sample_rate, channels, found)
    return AudioInfo(sample_rate, channels, found, counted=True)


def _known_length(file: AudioFile, count: Callable[[AudioFile], int]) -> int:
    def find(files: "Sequence[AudioFile]") -> Iterator[int | SepkitError]:
        for one in files:
            try:
                yield count(one)
            except AudioError as error:
                yield error

    facts = find_facts("lengths-1", [file], find)
    if file in facts.errors:
        raise facts.errors[file]
    return facts.known[file]


def say_filled(file: AudioFile, seconds: float) -> None:
    """Warn of a file whose timestamps have gaps."""
    if seconds > _SHORT:
        log.warning("%s: gaps in its timestamps, %.1f s in all, are filled with silence", file, seconds)


def _counted(file: AudioFile) -> int:
    with opened(file) as source:
        frames = source.count(lambda: None)
        say_filled(file, source.silence)
        return frames
