"""`sepkit data check`: decode every file of a corpus, and find faults that would harm training or evaluation."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
# The difference between a mixture and the sum of its stems that is worth a warning, in dB of the mixture. Stems with
# lossy encoding, as in MUSDB18, reach -15 dB.
LOUD_DIFFERENCE = -10.0
# Seconds that are compared at once. Of songs without a mixture, whose stems can only be like each other, one block of
# so many.
BLOCK = 15
SKIPPED = 4

Severity = Literal["unusable", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about a song or one of its files. Unusable: training or evaluation would stop at it."""

    severity: Severity
    dataset: str
    split: str
    track: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The mixture minus its stems in dB of the mixture, in the worst channel (None: nothing to compare), and reasons
    why the stems are no partition of the mixture.
    """

    difference: float | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedSong:
    """A track, its dataset and split, the sound of each of its files, and their comparison, or the errors of these."""

    dataset: str
    split: str
    track: Track
    files: list[tuple[str, AudioFile, Sound | SepkitError]]
    compared: Compared | SepkitError = Compared()

    @property
    def sounds(self) -> list[tuple[str, AudioFile, Sound]]:
        """The files that can be read."""
        return [(stem, file, sound) for stem, file, sound in self.files if isinstance(sound, Sound)]

    @property
    def difference(self) -> float | None:
        """The mixture minus its stems, in dB of the mixture."""
        return self.compared.difference if isinstance(self.compared, Compared) else None

    def finding(self, severity: Severity, text: object, file: object = "") -> Finding:
        """Return a finding about this song."""
        return Finding(severity, self.dataset, self.split, self.track.name, str(file), str(text))


@dataclass(frozen=True, slots=True)
class Check:
    """All songs and findings."""

    songs: list[CheckedSong]
    findings: list[Finding]

    @property
    def usable(self) -> bool:
        """True if a run can use everything."""
        return all(finding.severity != "unusable" for finding in self.findings)


def check(config: RunConfig, workers: int) -> Check:
    """Decode and compare every file of every split of a config's datasets, in `workers` processes.

    Raises:
        CorpusError: a dataset is missing.
    """
    tracks = [(d.name, split, track) for d in config.datasets for split in SPLITS for track in d.tracks(split)]
    sounds, errors = known_sounds((file for *_, track in tracks for _, file in _files(track)), workers)
    found: dict[AudioFile, Sound | SepkitError] = {**sounds, **errors}
    songs = [
        CheckedSong(name, split, track, [(stem, file, found[file]) for stem, file in _files(track)])
        for name, split, track in tracks
    ]
    jobs = [(_pieces(song), tuple(song.track.overlapping)) for song in songs]
    compared = with_bar(each(_compared, jobs, workers), len(songs), "Comparing mixtures and stems")
    songs = [replace(song, compared=result) for song, result in zip(songs, compared, strict=True)]
    about_songs = [finding for song in songs for finding in _about_song(song)]
    return Check(songs, [*_about_run(config, songs), *about_songs, *_duplicates(songs)])


def _files(track: Track) -> list[tuple[str, AudioFile]]:
    stems = [(stem, file) for stem, files in track.targets.items() for file in files]
    return [(MIXTURE, track.mixture), *stems] if track.mixture else stems


def _pieces(song: CheckedSong) -> dict[str, list[Piece]]:
    """Return the mixture, the stems and overlapping files; nothing if one is unreadable, or there is only one stem."""
    found = defaultdict[str, list[Piece]](list)
    for name, file, sound in song.sounds:
        found[name].append(Piece(file, sound.info))
    return dict(found) if len(song.sounds) == len(song.files) and len(found) > 1 else {}


def _compared(job: tuple[dict[str, list[Piece]], tuple[str, ...]]) -> Compared | SepkitError:
    """Compare the signals of a song, of which overlapping ones are no part of the sum."""
    try:
        return _compare(*job)
    except SepkitError as error:
        return error


def _compare(signals: dict[str, list[Piece]], overlapping: tuple[str, ...]) -> Compared:
    if not signals:
        return Compared()
    mixture = signals.get(MIXTURE)
    pieces = mixture or [piece for pieces in signals.values() for piece in pieces]
    rate, channels = max(p.info.sample_rate for p in pieces), max(p.info.channels for p in pieces)
    length = max(piece.frames_at(rate) for piece in pieces)
    products, energies = np.zeros((len(signals), len(signals))), np.zeros((2, channels))
    step = BLOCK * rate
    for start in range(0, length, step if mixture else SKIPPED * step):
        count = min(step, length - start)
        blocks = {name: read_sum(pieces, rate, channels, start, count) for name, pieces in signals.items()}
        products += inner_products(list(blocks.values()))
        if mixture:
            stems = [samples for name, samples in blocks.items() if name not in (MIXTURE, *overlapping)]
            residual = blocks[MIXTURE] - np.sum(stems, axis=0, dtype=np.float32)
            energies += [np.square(samples, dtype=np.float64).sum(1) for samples in (residual, blocks[MIXTURE])]
    floor = 1e-10 * energies[1].sum()  # a channel of the mixture may be dead, and its stems not
    worst = max(10 * log10(max(left / max(loud, floor), 1e-12)) for left, loud in energies.T) if floor else None
    return Compared(worst, tuple(faults(list(signals), products, overlapping)))


def _about_run(config: RunConfig, songs: list[CheckedSong]) -> Iterator[Finding]:
    """Yield the faults that a run refuses before it reads any file."""
    for split, purpose in (("train", "train"), ("validation", "validate")):
        tracks = [song.track for song in songs if song.split == split]
        if not tracks:
            yield Finding("unusable", "", split, "", "", f"no songs to {purpose} on")
        elif not any(source in track.targets for track in tracks for source in config.audio.sources):
            yield Finding("unusable", "", split, "", "", f"no song has a stem for {', '.join(config.audio.sources)}")


def _about_song(song: CheckedSong) -> Iterator[Finding]:
    for _, file, sound in song.files:
        if isinstance(sound, SepkitError):
            yield song.finding("unusable", sound, file)
    if song.track.note:
        yield song.finding("note", f"known of this corpus: {song.track.note}")
    mixtures = [sound for stem, _, sound in song.sounds if stem == MIXTURE and not song.track.complete]
    length = max((sound.info.seconds for sound in mixtures or [sound for *_, sound in song.sounds]), default=0.0)
    for _, file, sound in song.sounds:
        for severity, text in _about_file(sound, length):
            yield song.finding(severity, text, file)
    rates = sorted({sound.info.sample_rate for *_, sound in song.sounds})
    if len(rates) > 1:
        yield song.finding("note", f"its files differ in rate: {', '.join(map(str, rates))} Hz; they are resampled")
    if isinstance(song.compared, SepkitError):
        yield song.finding("unusable", song.compared)
        return
    for fault in song.compared.faults:
        yield song.finding("warning", fault.text, next(file for stem, file, _ in song.sounds if stem == fault.name))
    difference = song.difference
    if difference is not None and song.track.complete and difference > LOUD_DIFFERENCE:
        yield song.finding("warning", f"the mixture minus its stems is loud: {difference:.1f} dB of the mixture")
    if difference is not None and difference > 0:
        yield song.finding("warning", "the mixture minus its stems is louder than the mixture: are they of one song?")


def _about_file(sound: Sound, length: float) -> Iterator[tuple[Severity, str]]:
    """Yield the oddities of a file of a song of `length` seconds."""
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


def _duplicates(songs: list[CheckedSong]) -> Iterator[Finding]:
    """Yield the same audio in two places: a leak if they are in different splits. Silence does not count."""
    places = defaultdict(list)
    for song in songs:
        for _, file, sound in song.sounds:
            if sound.sounding:
                places[sound.digest].append((song, file))
    for (first, file), *others in places.values():
        for song, other in others:
            if song.split != first.split:
                yield song.finding("warning", f"the same audio as {file} in the {first.split} split", other)
            else:
                yield song.finding("note", f"the same audio as {file}", other)
