"""Bass, chords and a melody over a recorded drum performance, as tracks that are appended to its MIDI file.

A standard MIDI file is a header and a series of tracks that sound together, so the drums stay as they were played.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

SHORTEST_SECONDS = 20.0
"""Of a performance that is accompanied; fills of a bar or two are left out."""

PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (0, 6, 3, 0), (1, 4, 0, 0), (0, 0, 3, 4), (5, 4, 3, 4),
)  # fmt: skip
"""Degrees of the scale, a chord a bar."""
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
"""Major and natural minor."""
BASSES = (32, 33, 34, 35, 36, 38, 39)
CHORDS = (0, 1, 4, 5, 7, 16, 18, 19, 24, 25, 26, 27, 28, 29, 30, 48, 50, 61, 62, 80, 81, 88, 89, 90, 95)
MELODIES = (11, 12, 22, 26, 29, 30, 40, 41, 42, 56, 57, 60, 64, 65, 66, 68, 71, 73, 75, 79, 80, 81, 82, 84, 87)
"""General MIDI programs from 0, without those of `midi.CHOIRS`."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Drums of one take, in 4/4."""

    path: Path
    beats_per_minute: float
    seconds: float

    @property
    def name(self) -> str:
        """Return a name that no other performance has."""
        return f"{self.path.parts[-3]}_{self.path.stem}" if len(self.path.parts) > 2 else self.path.stem

    @property
    def bars(self) -> int:
        """Return how many bars it lasts, the last one included."""
        return int(self.seconds * self.beats_per_minute / 60 // 4) + 1


@dataclass(frozen=True, slots=True)
class Note:
    """A note in ticks of the file that it is written to."""

    start: int
    length: int
    key: int
    velocity: int


def performances(groove: Path) -> list[Performance]:
    """Return the performances of the Groove MIDI Dataset that are long enough."""
    with (groove / "info.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["time_signature"] == "4-4" and row["beat_type"] == "beat"]
    found = [Performance(groove / row["midi_filename"], float(row["bpm"]), float(row["duration"])) for row in rows]
    return [performance for performance in found if performance.seconds >= SHORTEST_SECONDS]


def accompanied(performance: Performance, seed: int) -> bytes:
    """Return the MIDI file of a performance with bass, chords and a melody over it."""
    drums = performance.path.read_bytes()
    if drums[:4] != b"MThd":
        raise ValueError(f"{performance.path}: no MIDI file; use the files of the Groove MIDI Dataset as they are")
    tracks, division = (int.from_bytes(drums[at : at + 2], "big") for at in (10, 12))
    rng = np.random.default_rng([seed, crc32(performance.name.encode())])
    tonic, scale = int(rng.integers(12)), SCALES[rng.integers(2)]
    bars = [chord for chord in PROGRESSIONS[rng.integers(len(PROGRESSIONS))] for _ in range(rng.integers(1, 3))]
    chords = [bars[bar % len(bars)] for bar in range(performance.bars)]
    own = [
        _track(0, int(rng.choice(BASSES)), _bass(chords, tonic, scale, division, rng)),
        _track(1, int(rng.choice(CHORDS)), _chords(chords, tonic, scale, division, rng)),
        _track(2, int(rng.choice(CHORDS)), _chords(chords, tonic, scale, division, rng)),
        _track(3, int(rng.choice(MELODIES)), _melody(chords, tonic, scale, division, rng)),
    ]
    header = drums[:8] + (1).to_bytes(2, "big") + (tracks + len(own)).to_bytes(2, "big") + division.to_bytes(2, "big")
    return b"".join([header, drums[14:], *own])


def _pitch(tonic: int, scale: tuple[int, ...], degree: int) -> int:
    return tonic + scale[degree % 7] + 12 * (degree // 7)


def _bass(chords: list[int], tonic: int, scale: tuple[int, ...], beat: int, rng: np.random.Generator) -> Iterator[Note]:
    """Roots and fifths in a rhythm that each bar repeats."""
    steps = rng.random(8) < rng.uniform(0.4, 1.0)
    steps[0] = True
    fifths = rng.random(8) < 0.2
    for bar, chord in enumerate(chords):
        for step in np.flatnonzero(steps):
            key = 28 + _pitch(tonic, scale, chord + 4 * bool(fifths[step])) % 24
            yield Note(bar * 4 * beat + int(step) * beat // 2, int(beat * 0.45), key, int(rng.integers(80, 115)))


def _chords(
    chords: list[int], tonic: int, scale: tuple[int, ...], beat: int, rng: np.random.Generator
) -> Iterator[Note]:
    """Triads or fifths, held, struck on some eighths of each bar, or broken into single notes."""
    degrees = ((0, 2, 4), (0, 4, 7), (0, 2, 4, 6))[rng.integers(3)]
    style = rng.integers(3)
    octave = int(rng.choice([48, 48, 60]))
    steps = rng.random(8) < 0.5
    steps[0] = True
    for bar, chord in enumerate(chords):
        keys = [octave + _pitch(tonic, scale, chord + degree) % 24 for degree in degrees]
        start, velocity = bar * 4 * beat, int(rng.integers(60, 100))
        if style == 0:
            yield from (Note(start, 4 * beat - 1, key, velocity) for key in keys)
        elif style == 1:
            for step in np.flatnonzero(steps):
                yield from (Note(start + int(step) * beat // 2, int(beat * 0.4), key, velocity) for key in keys)
        else:
            for step in range(8):
                yield Note(start + step * beat // 2, int(beat * 0.48), keys[step % len(keys)], velocity)


def _melody(
    chords: list[int], tonic: int, scale: tuple[int, ...], beat: int, rng: np.random.Generator
) -> Iterator[Note]:
    """A random walk on the scale, in phrases with rests between them."""
    degree = 7
    for bar, chord in enumerate(chords):
        if rng.random() < 0.35:
            degree = 7 + chord % 7
            continue
        at = 0.0
        while at < 4:
            length = float(rng.choice([0.5, 0.5, 1.0, 1.5, 2.0]))
            degree = int(np.clip(degree + rng.integers(-2, 3), 0, 16))
            if rng.random() < 0.85:
                sounding = int(min(length, 4 - at) * beat * 0.95)
                yield Note(
                    int((bar * 4 + at) * beat), sounding, 55 + _pitch(tonic, scale, degree), int(rng.integers(70, 115))
                )
            at += length


def _track(channel: int, program: int, notes: Iterator[Note]) -> bytes:
    """Return an MTrk of one instrument."""
    events = []
    for note in notes:
        events.append((note.start, bytes([0x90 | channel, min(note.key, 127), note.velocity])))
        events.append((note.start + note.length, bytes([0x80 | channel, min(note.key, 127), 0])))
    body, now = bytearray(b"\0" + bytes([0xC0 | channel, program])), 0
    for time, event in sorted(events):  # at one time 0x80 comes first: a note ends before the next begins
        body += _quantity(time - now) + event
        now = time
    body += b"\0\xff\x2f\0"
    return b"MTrk" + len(body).to_bytes(4, "big") + bytes(body)


def _quantity(value: int) -> bytes:
    """Return a variable-length quantity: seven bits a byte, the highest bit set on all but the last."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
