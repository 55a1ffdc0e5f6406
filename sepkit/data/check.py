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
from sepkit.data.partition import Fault, faults, inner_products
from sepkit.data.song import SAME_LENGTH
from sepkit.data.sounds import known_sounds
from sepkit.data.workers import each
from sepkit.datasets.stem_names import MIXTURE
from sepkit.errors import SepkitError
from sepkit.progress import with_bar
from sepkit.track import AudioFile, Track

SPLITS = ("train", "validation", "test")
# The difference between a mixture and the sum of its stems that is worth a warning, in dB of the mixture. Stems that
# were encoded with loss, as in MUSDB18, reach -15 dB.
LOUD_DIFFERENCE = -10.0
# Seconds that are compared at once; of songs without a mixture, whose stems can only be like each other, one block of
# so many.
BLOCK = 15
PASSED_OVER = 4

Severity = Literal["unusable", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The mixture minus its stems in dB of the mixture, in the worst channel (None: nothing to compare), and why the
    stems are no partition of the mixture.
    """

    difference: float | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSong:
    """A track, where it is from, what its files sound like (None: unreadable), and how they go together."""

    dataset: str
    split: str
    track: Track
    files: list[tuple[str, AudioFile, Sound | None]]
    compared: Compared = Compared()


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
    jobs = [(_pieces(song), tuple(song.track.overlapping)) for song in songs]
    compared = list(with_bar(each(_compared, jobs, workers), len(songs), "Comparing mixtures and stems"))
    songs = [
        song if isinstance(result, SepkitError) else replace(song, compared=result)
        for song, result in zip(songs, compared, strict=True)
    ]
    findings = [
        Finding("unusable", song.dataset, song.split, song.track.name, str(file), str(errors[file]))
        for song in songs
        for _, file, sound in song.files
        if sound is None
    ]
    findings += [
        Finding("unusable", song.dataset, song.split, song.track.name, "", str(result))
        for song, result in zip(songs, compared, strict=True)
        if isinstance(result, SepkitError)
    ]
    findings += [finding for song in songs for finding in _about_song(song)]
    return Check(songs, [*_about_run(config, songs), *findings, *_twice(songs)])


def _files(track: Track) -> list[tuple[str, AudioFile]]:
    stems = [(stem, file) for stem, files in track.targets.items() for file in files]
    return [(MIXTURE, track.mixture), *stems] if track.mixture else stems


def _pieces(song: CheckedSong) -> dict[str, list[Piece]]:
    """Return the mixture, the stems and what overlaps them; nothing where a file is unreadable, or one stem is all."""
    found: dict[str, list[Piece]] = {}
    for name, file, sound in song.files:
        if sound is None:
            return {}
        found.setdefault(name, []).append(Piece(file, sound.info))
    return found if len(found) > 1 else {}


def _compared(job: tuple[dict[str, list[Piece]], tuple[str, ...]]) -> Compared | SepkitError:
    """Compare the signals of a song, of which some are no part of the sum."""
    try:
        return _compare(*job)
    except SepkitError as error:
        return error


def _compare(signals: dict[str, list[Piece]], overlapping: tuple[str, ...]) -> Compared:
    if not signals:
        return Compared()
    mixture = signals.get(MIXTURE)
    infos = [piece.info for pieces in ([mixture] if mixture else signals.values()) for piece in pieces]
    rate, channels = max(info.sample_rate for info in infos), max(info.channels for info in infos)
    length = max(piece.frames_at(rate) for pieces in ([mixture] if mixture else signals.values()) for piece in pieces)
    products, energies = np.zeros((len(signals), len(signals))), np.zeros((2, channels))
    step = BLOCK * rate
    for start in range(0, length, step if mixture else PASSED_OVER * step):
        frames = min(step, length - start)
        heard = {name: read_sum(pieces, rate, channels, start, frames) for name, pieces in signals.items()}
        products += inner_products(list(heard.values()))
        if mixture:
            stems = [samples for name, samples in heard.items() if name not in (MIXTURE, *overlapping)]
            rest = heard[MIXTURE] - np.sum(stems, axis=0, dtype=np.float32)
            energies += [np.square(samples, dtype=np.float64).sum(1) for samples in (rest, heard[MIXTURE])]
    floor = 1e-10 * energies[1].sum()  # a channel of the mixture may be dead, and its stems not
    worst = max(10 * log10(max(rest / max(loud, floor), 1e-12)) for rest, loud in energies.T) if floor else None
    return Compared(worst, tuple(faults(list(signals), products, overlapping)))


def _about_run(config: RunConfig, songs: list[CheckedSong]) -> Iterator[Finding]:
    """What a run would refuse before it looks at any file."""
    for split, what in (("train", "train"), ("validation", "validate")):
        tracks = [song.track for song in songs if song.split == split]
        if not tracks:
            yield Finding("unusable", "", split, "", "", f"no songs to {what} on")
        elif not any(source in track.targets for track in tracks for source in config.audio.sources):
            yield Finding("unusable", "", split, "", "", f"no song has a stem for {', '.join(config.audio.sources)}")


def _about_song(song: CheckedSong) -> Iterator[Finding]:
    def finding(severity: Severity, text: str, file: object = "") -> Finding:
        return Finding(severity, song.dataset, song.split, song.track.name, str(file), text)

    if song.track.note:
        yield finding("note", f"known of this corpus: {song.track.note}")
    heard = [(stem, file, sound) for stem, file, sound in song.files if sound]
    mixtures = [sound for stem, _, sound in heard if stem == MIXTURE and not song.track.complete]
    length = max((sound.info.seconds for sound in mixtures or [sound for *_, sound in heard]), default=0.0)
    for _, file, sound in heard:
        for severity, text in _about_file(sound, length):
            yield finding(severity, text, file)
    rates = sorted({sound.info.sample_rate for *_, sound in heard})
    if len(rates) > 1:
        yield finding("note", f"its files differ in rate: {', '.join(map(str, rates))} Hz; they are resampled")
    difference = song.compared.difference
    for fault in song.compared.faults:
        yield finding("warning", fault.text, next(file for stem, file, _ in heard if stem == fault.name))
    if difference is not None and song.track.complete and difference > LOUD_DIFFERENCE:
        yield finding("warning", f"the mixture minus its stems is loud: {difference:.1f} dB of the mixture")
    if difference is not None and difference > 0:
        yield finding("warning", "the mixture minus its stems is louder than the mixture: do they belong together?")


def _about_file(sound: Sound, length: float) -> Iterator[tuple[Severity, str]]:
    """Yield what is odd about a file of a song of `length` seconds."""
    if sound.not_finite:
        yield "warning", f"{sound.not_finite} samples are not finite (NaN or infinity); they are taken as silence"
    if sound.clipped:
        yield "warning", f"clips in {sound.clipped} places"
    if not sound.sounding:
        yield "warning", "silent throughout"
    if length - sound.info.seconds > SAME_LENGTH:
        yield "note", f"{length - sound.info.seconds:.1f} s shorter than the song; padded with silence"
    if sound.info.seconds - length > SAME_LENGTH:
        yield "warning", f"{sound.info.seconds - length:.1f} s longer than the mixture, with which the song ends"


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
