"""`sepkit data check`: every file of a corpus is heard, and what a run would stumble over is found."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import log10
from typing import Literal

import numpy as np

from sepkit.audio.listen import Sound
from sepkit.audio.read import Piece, read_sum
from sepkit.config import RunConfig
from sepkit.data.parallel import each
from sepkit.data.sounds import known_sounds
from sepkit.errors import SepkitError
from sepkit.progress import watched
from sepkit.track import AudioFile, Track

SPLITS = ("train", "validation", "test")
MIXTURE = "mixture"
# Seconds by which the files of a song may differ in length without a word.
SAME_LENGTH = 0.1
# The difference between a mixture and the sum of its stems that is worth a warning, in dB of the mixture. Stems that
# were encoded with loss, as in MUSDB18, reach -15 dB.
LOUD_DIFFERENCE = -10.0
# Seconds that are compared at once.
BLOCK = 60

Severity = Literal["unusable", "warning", "note"]


@dataclass(frozen=True, slots=True)
class CheckedSong:
    """A track, where it is from, what its files sound like (None: unreadable), and the mixture minus its stems in dB
    of the mixture, in the worst channel (None: nothing to compare).
    """

    dataset: str
    split: str
    track: Track
    files: list[tuple[str, AudioFile, Sound | None]]
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a song or one of its files. Unusable: training or evaluation would stop at it."""

    severity: Severity
    dataset: str
    split: str
    track: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """All songs, and what was found."""

    songs: list[CheckedSong] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether a run could use everything."""
        return all(finding.severity != "unusable" for finding in self.findings)


def check(config: RunConfig, workers: int) -> Check:
    """Look at every file of every split of a config's datasets, in `workers` processes.

    Raises:
        CorpusError: a dataset is not there.
    """
    tracks = [(d.name, split, track) for d in config.datasets for split in SPLITS for track in d.tracks(split)]
    sounds, errors = known_sounds((file for *_, track in tracks for _, file in _files(track)), workers)
    songs = [
        CheckedSong(name, split, track, [(stem, file, sounds.get(file)) for stem, file in _files(track)])
        for name, split, track in tracks
    ]
    compared = watched(
        each(_difference, list(map(_pieces, songs)), workers), len(songs), "Comparing mixtures and stems"
    )
    differences = list(compared)
    songs = [
        song if isinstance(difference, SepkitError) else replace(song, difference=difference)
        for song, difference in zip(songs, differences, strict=True)
    ]
    findings = [
        Finding("unusable", song.dataset, song.split, song.track.name, str(file), str(errors[file]))
        for song in songs
        for _, file, sound in song.files
        if sound is None
    ]
    findings += [
        Finding("unusable", song.dataset, song.split, song.track.name, "", str(difference))
        for song, difference in zip(songs, differences, strict=True)
        if isinstance(difference, SepkitError)
    ]
    findings += [finding for song in songs for finding in _about_song(song)]
    return Check(songs, [*_about_run(config, songs), *findings, *_twice(songs)])


def _files(track: Track) -> list[tuple[str, AudioFile]]:
    stems = [(stem, file) for stem, files in track.stems.items() for file in files]
    return [(MIXTURE, track.mixture), *stems] if track.mixture else stems


def _pieces(song: CheckedSong) -> list[Piece]:
    """Return the mixture and, to be subtracted, its stems; nothing where a file is missing or unreadable."""
    heard = [(stem, Piece(file, sound.info, 1 if stem == MIXTURE else -1)) for stem, file, sound in song.files if sound]
    comparable = song.track.mixture is not None and len(heard) == len(song.files)
    return [piece for _, piece in heard] if comparable else []


def _difference(pieces: list[Piece]) -> float | SepkitError | None:
    """Return the energy of the sum of all pieces over that of the first in dB, in the worst channel."""
    try:
        return _compare(pieces)
    except SepkitError as error:
        return error


def _compare(pieces: list[Piece]) -> float | None:
    if not pieces:
        return None
    info = pieces[0].info
    energies = np.zeros((2, info.channels))
    for start in range(0, info.frames, BLOCK * info.sample_rate):
        frames = min(BLOCK * info.sample_rate, info.frames - start)
        mixture, stems = (
            read_sum(some, info.sample_rate, info.channels, start, frames) for some in (pieces[:1], pieces[1:])
        )
        energies += [np.square(samples, dtype=np.float64).sum(1) for samples in (mixture + stems, mixture)]
    floor = 1e-10 * energies[1].sum()  # a channel of the mixture may be dead, and its stems not
    return max(10 * log10(max(rest / max(loud, floor), 1e-12)) for rest, loud in energies.T) if floor else None


def _about_run(config: RunConfig, songs: list[CheckedSong]) -> Iterator[Finding]:
    """What a run would refuse before it looks at any file."""
    for split, what in (("train", "train"), ("validation", "validate")):
        tracks = [song.track for song in songs if song.split == split]
        if not tracks:
            yield Finding("unusable", "", split, "", "", f"no songs to {what} on")
        elif not any(source in track.stems for track in tracks for source in config.audio.sources):
            yield Finding("unusable", "", split, "", "", f"no song has a stem for {', '.join(config.audio.sources)}")


def _about_song(song: CheckedSong) -> Iterator[Finding]:
    def finding(severity: Severity, text: str, file: object = "") -> Finding:
        return Finding(severity, song.dataset, song.split, song.track.name, str(file), text)

    if song.track.note:
        yield finding("note", f"known of this corpus: {song.track.note}")
    heard = [(stem, file, sound) for stem, file, sound in song.files if sound]
    longest = max((sound.info.seconds for *_, sound in heard), default=0.0)
    for _, file, sound in heard:
        for severity, text in _about_file(sound, longest):
            yield finding(severity, text, file)
    rates = sorted({sound.info.sample_rate for *_, sound in heard})
    if len(rates) > 1:
        yield finding("note", f"its files differ in rate: {', '.join(map(str, rates))} Hz; they are resampled")
    if song.difference is None:
        return
    if song.track.complete and song.difference > LOUD_DIFFERENCE:
        yield finding("warning", f"the mixture minus its stems is loud: {song.difference:.1f} dB of the mixture")
    if song.difference > 0:
        yield finding("warning", "the mixture minus its stems is louder than the mixture: do they belong together?")


def _about_file(sound: Sound, longest: float) -> Iterator[tuple[Severity, str]]:
    if sound.not_finite:
        yield "warning", f"{sound.not_finite} samples are not finite (NaN or infinity); they are taken as silence"
    if sound.clipped:
        yield "warning", f"clips in {sound.clipped} places"
    if not sound.sounding:
        yield "warning", "silent throughout"
    if longest - sound.info.seconds > SAME_LENGTH:
        yield "note", f"{longest - sound.info.seconds:.1f} s shorter than the song; padded with silence"


def _twice(songs: list[CheckedSong]) -> Iterator[Finding]:
    """The same audio in two songs: a leak if they are in different splits. Silence is no content."""
    places = defaultdict(list)
    for song in songs:
        for _, file, sound in song.files:
            if sound and sound.sounding:
                places[sound.digest].append((song, file))
    for (first, file), *others in places.values():
        for song, other in others:
            if song.split != first.split:
                text = f"the same audio as {file} in the {first.split} split"
                yield Finding("warning", song.dataset, song.split, song.track.name, str(other), text)
            else:
                text = f"the same audio as {file}"
                yield Finding("note", song.dataset, song.split, song.track.name, str(other), text)
