"""Renders small songs with numpy: drums, bass, chords and a sung voice in one key and tempo, mixed to stereo.

The voice is additive: harmonics of a gliding, trembling pitch, each as loud as the formants of the current vowel make
it there (source-filter model, G. Fant, "Acoustic Theory of Speech Production", 1960).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sepkit.audio.writing.writer import write_wav

RECIPE = "synthetic songs, version 1"
RATE = 44100

Signal = np.ndarray[Any, np.dtype[np.float64]]

# Centre in Hz and bandwidth in Hz of three formants, for five sung vowels.
_VOWELS = {
    "a": ((800, 90), (1150, 110), (2900, 180)),
    "e": ((400, 70), (1700, 120), (2600, 180)),
    "i": ((300, 60), (2200, 130), (2950, 190)),
    "o": ((450, 80), (800, 100), (2830, 180)),
    "u": ((325, 60), (700, 90), (2700, 170)),
}
_PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 4), (5, 3, 0, 4), (0, 4, 5, 3))
_MAJOR = (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True, slots=True)
class Composition:
    """Tempo, key and chords of a song, and the random numbers of its players."""

    rng: np.random.Generator
    seconds: float
    beat: float
    key: int
    progression: tuple[int, ...]

    @property
    def time(self) -> int:
        """Samples in the song."""
        return round(self.seconds * RATE)

    @property
    def beats(self) -> int:
        """Whole beats in the song."""
        return int(self.seconds / self.beat)

    def degree(self, beat: int) -> int:
        """Return the scale degree of the chord at a beat: one chord a bar."""
        return self.progression[beat // 4 % len(self.progression)]

    def hertz(self, degree: int, octave: int) -> float:
        """Return the pitch of a scale degree; octave 4 starts at middle C plus the key."""
        note = 12 * (octave + 1) + self.key + 12 * (degree // 7) + _MAJOR[degree % 7]
        return float(440.0 * 2 ** ((note - 69) / 12))


def write_song(folder: Path, seed: tuple[int, int], seconds: float) -> None:
    """Render one song into `folder`: mixture.wav, vocals.wav, drums.wav, bass.wav, other.wav."""
    stems = render(seed, seconds)
    for name, samples in {**stems, "mixture": np.sum(list(stems.values()), axis=0)}.items():
        write_wav(folder / f"{name}.wav", samples, RATE)


def render(seed: tuple[int, int], seconds: float) -> "dict[str, np.ndarray[Any, np.dtype[np.float32]]]":
    """Return {stem: [2, time]} at 44 100 Hz, all samples on the 16-bit grid, so that written stems add up."""
    rng = np.random.default_rng(seed)
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    song = Composition(rng, seconds, 60 / rng.uniform(85, 130), int(rng.integers(-5, 6)), progression)
    players: dict[str, tuple[Callable[[Composition], Signal], float, float]] = {
        "vocals": (_voice, 0.13, 0.0),
        "drums": (_drums, 0.11, 0.1),
        "bass": (_bass, 0.09, 0.0),
        "other": (_chords, 0.08, -0.3),
    }
    stems = {}
    for name, (play, level, pan) in players.items():
        mono = play(song)
        mono *= level * rng.uniform(0.8, 1.25) / (np.sqrt(np.mean(mono**2)) + 1e-9)
        stereo = np.stack([mono * (1 - pan), mono * (1 + pan)])
        stems[name] = stereo
    peak = np.abs(sum(stems.values())).max()
    scale = min(1.0, 0.95 / peak)
    return {name: (np.rint(s * scale * 2**15) / 2**15).astype(np.float32) for name, s in stems.items()}


def _voice(song: Composition) -> Signal:
    """Phrases of sung notes with breaths between them."""
    rng, time = song.rng, song.time
    pitch, loudness = np.zeros(time), np.zeros(time)
    formants = np.tile(np.array(_VOWELS["a"], float)[None], (time, 1, 1)).transpose(1, 2, 0)
    octave = int(rng.integers(3, 5))
    beat, degree = int(rng.integers(0, 3)), 4
    while beat < song.beats:
        if rng.random() < 0.22:  # a breath
            beat += int(rng.integers(1, 4))
            continue
        length = int(rng.choice([1, 1, 2]))
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, 9))
        span = slice(round(beat * song.beat * RATE), min(time, round((beat + length * 0.95) * song.beat * RATE)))
        pitch[span] = song.hertz(degree, octave)
        loudness[span] = rng.uniform(0.6, 1.0)
        vowel = list(_VOWELS.values())[rng.integers(len(_VOWELS))]
        formants[:, :, span] = np.array(vowel, float)[:, :, None]
        beat += length
    pitch = _glide(np.where(pitch > 0, pitch, song.hertz(4, octave)), 0.03)
    vibrato = 2 ** (0.35 / 12 * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * np.arange(time) / RATE))
    formants = np.stack([[_glide(row, 0.04) for row in formant] for formant in formants])
    voiced = _harmonics(pitch * vibrato, formants)
    breath = _band(rng.standard_normal(time), 2000, 9000) * 0.02
    return (voiced + breath) * _glide(loudness, 0.02)


def _harmonics(pitch: Signal, formants: Signal) -> Signal:
    """Sum the harmonics of a pitch in Hz [time] below 8 kHz, shaped by formants [formant, (centre, bandwidth), time].

    Loudness changes slowly, so it is computed for every 64th sample and interpolated.
    """
    coarse = slice(None, None, 64)
    slow_pitch, slow_formants, samples = pitch[coarse], formants[:, :, coarse], np.arange(len(pitch))
    total = np.zeros_like(pitch)
    for number, sine in enumerate(_sines(2 * np.pi * np.cumsum(pitch) / RATE, int(8000 / pitch.min())), 1):
        hertz = number * slow_pitch
        gain = sum(1 / (1 + ((hertz - centre) / bandwidth) ** 2) for centre, bandwidth in slow_formants)
        loudness = (gain + 0.01) * np.clip((8000 - hertz) / 200, 0, 1) / number**0.8
        total += np.interp(samples, samples[coarse], loudness) * sine
    return total


def _sines(phase: Signal, count: int) -> Iterator[Signal]:
    """Yield sin(n * phase) for n = 1 to count, by sin((n + 1) x) = 2 cos(x) sin(n x) - sin((n - 1) x)."""
    before, sine, twice_cosine = np.zeros_like(phase), np.sin(phase), 2 * np.cos(phase)
    for _ in range(count):
        yield sine
        before, sine = sine, twice_cosine * sine - before


def _chords(song: Composition) -> Signal:
    """A struck chord on each half bar: three notes with falling harmonics."""
    total = np.zeros(song.time)
    brightness = song.rng.uniform(0.9, 1.5)
    for beat in range(0, song.beats, 2):
        length = round(2 * song.beat * RATE)
        seconds = np.arange(length) / RATE
        for third in range(3):
            hertz = song.hertz(song.degree(beat) + 2 * third, 3)
            decay, faster = np.exp(-1.15 * seconds), np.exp(-0.35 * seconds)
            for number, sine in enumerate(_sines(2 * np.pi * hertz * seconds, 12), 1):
                _add(total, beat * song.beat, decay * sine / number**brightness)
                decay = decay * faster
    return total


def _bass(song: Composition) -> Signal:
    """The root of the chord on each beat, sometimes its octave."""
    total = np.zeros(song.time)
    for beat in range(song.beats):
        seconds = np.arange(round(0.9 * song.beat * RATE)) / RATE
        hertz = song.hertz(song.degree(beat), int(song.rng.choice([1, 1, 2])))
        wave = sum(np.sin(2 * np.pi * n * hertz * seconds) / n**1.6 for n in range(1, 7))
        _add(total, beat * song.beat, wave * np.exp(-2.5 * seconds) * np.minimum(1, seconds / 0.005))
    return total


def _drums(song: Composition) -> Signal:
    """Kick on one and three, snare on two and four, hats on the eighths."""
    rng, total = song.rng, np.zeros(song.time)
    seconds = np.arange(round(0.25 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * seconds + 90 / 30 * (1 - np.exp(-30 * seconds)))) * np.exp(-14 * seconds) * 1.4
    for half in range(2 * song.beats):
        at = half / 2 * song.beat
        hat = _band(rng.standard_normal(len(seconds)), 7000, 16000) * np.exp(-60 * seconds)
        _add(total, at, hat * rng.uniform(0.3, 0.7))
        if half % 4 == 0 or (half % 8 == 5 and rng.random() < 0.5):
            _add(total, at, kick)
        if half % 4 == 2:
            noise = _band(rng.standard_normal(len(seconds)), 800, 9000) * np.exp(-22 * seconds)
            _add(total, at, noise * 1.2 + 0.5 * np.sin(2 * np.pi * 190 * seconds) * np.exp(-25 * seconds))
    return total


def _add(total: Signal, at: float, sound: Signal) -> None:
    """Mix a sound in at a time in seconds; its part beyond the end of the song is cut."""
    start = round(at * RATE)
    end = min(len(total), start + len(sound))
    total[start:end] += sound[: end - start]


def _band(noise: Signal, low: float, high: float) -> Signal:
    """Keep the frequencies from `low` to `high` Hz."""
    spectrum = np.fft.rfft(noise)
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    return np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(noise))


def _glide(steps: Signal, seconds: float) -> Signal:
    """Smooth sudden steps by a moving mean."""
    width = round(seconds * RATE)
    padded = np.pad(steps, (width // 2, width - width // 2), mode="edge")
    sums = np.cumsum(padded)
    return (sums[width:] - sums[:-width]) / width
