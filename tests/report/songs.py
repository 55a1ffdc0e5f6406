"""Songs for reports: a hum as the vocals, clicks as the drums, and estimates that hold a little of the other."""

import numpy as np

from sepkit.report import ArraySignal, Curve, SeparatedSong, Stem

RATE = 8000


def sounds(seconds: float, rate: int = RATE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return vocals and drums, [2, time]: the vocals are silent in every fourth second."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    hum = 0.2 * np.sin(2 * np.pi * 300 * time) * (time % 4 < 3)
    drums = 0.3 * rng.standard_normal(len(time)) * np.exp(-8 * (time % 0.5))
    return np.stack([hum, hum]).astype(np.float32), np.stack([drums, 0.8 * drums]).astype(np.float32)


def song(name: str = "song", seconds: float = 6.0, *, references: bool = True, rate: int = RATE) -> SeparatedSong:
    """Return a song with vocals and drums; the worst second of the vocals is the third, of the drums the fifth."""
    vocals, drums = sounds(seconds, rate)
    frames = int(seconds)

    def stem(stem_name: str, own: np.ndarray, other: np.ndarray, worst: int) -> Stem:
        estimate = ArraySignal(0.9 * own + 0.1 * other, rate)
        if not references:
            return Stem(stem_name, estimate)
        sdr = tuple(None if i % 4 == 3 else -3.0 if i == worst else 6.0 + i / 10 for i in range(frames))
        bleed = tuple(-20.0 + (i == worst) for i in range(frames))
        curves = (Curve("SDR", "dB", 1.0, sdr), Curve("bleed", "dB", 1.0, bleed, "lower"))
        silences = tuple((float(i), i + 1.0) for i in range(3, frames, 4))
        return Stem(stem_name, estimate, ArraySignal(own, rate), curves, silences)

    stems = (stem("vocals", vocals, drums, 2), stem("drums", drums, vocals, 4))
    return SeparatedSong(name, ArraySignal(vocals + drums, rate), stems)
