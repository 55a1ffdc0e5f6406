"""Measure a file in one pass: the spans of time that sound, its peak, its faults, and a digest."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.info import AudioInfo
from sepkit.audio.probe import probe
from sepkit.audio.read import decode_raw
from sepkit.track import AudioFile

# Seconds of the windows that sound or do not.
WINDOW = 0.5
# A window sounds above this level, in dB of full scale (root mean square over all channels) ...
FLOOR_DB = -60.0
# ... and at most this many dB below the file's loudest window: lower levels are bleed or noise.
RANGE_DB = 45.0
# Samples of full scale in a row that count as clipped.
CLIPPED_RUN = 3
# Windows decoded at once: a minute.
BLOCK = 120


@dataclass(frozen=True, slots=True)
class Sound:
    """The measurements of a file.

    Attributes:
        info: The header.
        sounding: Spans of windows [first, stop) that sound; windows last 0.5 s.
        peak: Largest magnitude of a sample.
        rms: Root mean square over all samples of all channels.
        clipped: Runs of 3 or more samples of full scale.
        not_finite: Samples that are NaN or infinite.
        digest: Of the decoded samples: equal in two files of the same audio, in any format.
    """

    info: AudioInfo
    sounding: tuple[tuple[int, int], ...]
    peak: float
    rms: float
    clipped: int
    not_finite: int
    digest: str

    @property
    def silent_share(self) -> float:
        """Share of the file's time that does not sound."""
        windows = -(-self.info.frames // window_frames(self.info.sample_rate))
        return 1 - sum(stop - first for first, stop in self.sounding) / windows


def window_frames(sample_rate: int) -> int:
    """Return the length of a window in frames."""
    return round(WINDOW * sample_rate)


def listen(file: AudioFile) -> Sound:
    """Decode a whole file, block by block.

    Raises:
        AudioError: it cannot be read, or breaks off.
    """
    info = probe(file)
    window = window_frames(info.sample_rate)
    digest = blake2b(digest_size=16)
    energies: list[np.ndarray] = []
    peak, clipped, not_finite = 0.0, 0, 0
    for start in range(0, info.frames, BLOCK * window):
        samples = decode_raw(file, info, start, min(BLOCK * window, info.frames - start))
        digest.update(np.ascontiguousarray(samples, "<f4").data)
        finite = np.isfinite(samples)
        not_finite += samples.size - int(finite.sum())
        samples = np.where(finite, samples, 0)
        peak = max(peak, float(np.abs(samples).max()))
        clipped += _clipped_runs(samples)
        energies.append(_energies(samples, window))
    energy = np.concatenate(energies)
    rms = float(np.sqrt(energy.sum() / (info.frames * info.channels)))
    return Sound(
        info, _spans(_sounding(energy, window * info.channels)), peak, rms, clipped, not_finite, digest.hexdigest()
    )


def _energies(samples: "Samples", window: int) -> np.ndarray:
    """[time, channels] -> the sum of squares of each window."""
    squares = np.square(samples, dtype=np.float64).sum(1)
    return np.add.reduceat(squares, np.arange(0, len(squares), window))


def _sounding(energy: np.ndarray, samples: int) -> np.ndarray:
    loudest = float(energy.max(initial=0.0))
    return energy > max(samples * 10 ** (FLOOR_DB / 10), loudest * 10 ** (-RANGE_DB / 10))


def _spans(sounding: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Boolean windows -> [first, stop) of each run of true ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sounding.astype(np.int8), [0]])))
    return tuple((int(first), int(stop)) for first, stop in edges.reshape(-1, 2))


def _clipped_runs(samples: "Samples") -> int:
    full = np.abs(samples) >= 1 - 2**-15
    if not full.any():
        return 0
    edges = np.diff(np.concatenate([np.zeros_like(full[:1]), full, np.zeros_like(full[:1])]).astype(np.int8), axis=0)
    starts, stops = (np.nonzero((edges == sign).T)[1] for sign in (1, -1))
    return int((stops - starts >= CLIPPED_RUN).sum())
