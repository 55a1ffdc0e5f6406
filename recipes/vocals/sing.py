"""Melodies on words, sung by flite's voices: singers whose pitch and formants no recording of the corpora has.

flite speaks a word on one pitch, as long as it is told to. A line of words on the notes of a scale, with vibrato, is a
plain song of one of its speakers.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 16000
SECONDS = 60.0
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
WORDS = (
    "love", "you", "me", "night", "day", "light", "sky", "rain", "again", "never", "always", "heart", "burn",
    "fire", "river", "road", "home", "gone", "away", "alone", "stay", "run", "fly", "high", "low", "down",
    "falling", "rising", "morning", "evening", "summer", "winter", "shadow", "dancing", "waiting", "calling",
    "dreaming", "remember", "tomorrow", "yesterday", "every", "little", "feel", "real", "time", "mind", "eyes",
    "hold", "hands", "world", "over", "under", "water", "moon", "sun", "stars", "oh", "ah", "la", "na", "hey",
    "yeah", "baby", "lonely", "only", "slowly", "believe", "leave", "breathe", "see", "free", "sea", "deep",
    "sleep", "keep", "far", "star", "are", "where", "there", "care", "air", "soul", "whole", "cold", "gold",
    "old", "mine", "shine", "line", "wine", "sing", "ring", "bring", "nothing", "something", "everything",
    "maybe", "lady", "ocean", "motion", "open", "broken",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Singer:
    """A voice of flite, the lowest and the highest note it sings, in Hz, and how many songs."""

    voice: str
    lowest: float
    highest: float
    songs: int


SINGERS = (Singer("slt", 190, 560, 16),)
"""A woman, as no other corpus has one. flite's other voices do not keep to the pitch that they are told."""


def sung(singer: Singer, seed: int) -> tuple[Samples, int]:
    """Return a minute of singing, [time, 1], and its rate."""
    rng = np.random.default_rng([seed, *singer.voice.encode()])
    scale, tonic = SCALES[rng.integers(2)], singer.lowest * 2 ** (rng.integers(12) / 12)
    degrees = [12 * octave + step for octave in range(3) for step in scale]
    notes = [hertz for hertz in (tonic * 2 ** (degree / 12) for degree in degrees) if hertz <= singer.highest]
    parts, place = [], len(notes) // 2
    while sum(map(len, parts)) < SECONDS * RATE:
        for _ in range(rng.integers(3, 9)):
            place = int(np.clip(place + rng.integers(-2, 3), 0, len(notes) - 1))
            word = _spoken(singer.voice, str(rng.choice(WORDS)), notes[place], float(rng.uniform(1.0, 3.0)))
            parts.append(_with_vibrato(word, rng))
        parts.append(np.zeros(int(rng.uniform(0.2, 1.5) * RATE), np.float32))
    return np.concatenate(parts)[:, None], RATE


def _spoken(voice: str, word: str, hertz: float, stretch: float) -> Samples:
    """Return a word on one pitch, without the silence around it."""
    pitch = ["--setf", f"int_f0_target_mean={hertz:.1f}", "--setf", "int_f0_target_stddev=1"]
    with TemporaryDirectory() as folder:
        file = Path(folder, "word.wav")
        command = ["flite", "-voice", voice, *pitch, "--setf", f"duration_stretch={stretch:.2f}", "-t", word]
        subprocess.run([*command, "-o", file], check=True, capture_output=True)
        samples, _ = soundfile.read(file, dtype="float32")
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def _with_vibrato(samples: Samples, rng: np.random.Generator) -> Samples:
    """Read the samples at a speed that swings by up to a semitone, more towards the end of a note."""
    times = np.arange(len(samples)) / RATE
    depth = rng.uniform(0, 0.03) * np.clip(times / 0.5, 0, 1)
    speed = 1 + depth * np.sin(2 * np.pi * (rng.uniform(4.5, 6.5) * times + rng.random()))
    return np.interp(np.cumsum(speed), np.arange(len(samples)), samples).astype(np.float32)
