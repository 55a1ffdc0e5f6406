"""A part of a song as pictures: spectrogram and waveform of every source, on one time axis and one scale.

A picture is shades of grey; the page colours them to suit its theme.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sepkit.arrays import Doubles
from sepkit.report.sources import Sources
from sepkit.report.spectrogram import Spectrogram
from sepkit.report.waveform import Waveform

RANGE = 80
"""dB between the darkest and the brightest shade of a spectrogram; the brightest is the mixture's loudest point."""
DIFFERENCE = 24
"""dB of too much or too little, at the ends of the scale of a difference."""
# Levels this many dB below the mixture's loudest point count as equal.
_INAUDIBLE = 60
# Samples of every source in memory at once.
_BLOCK = 2**17
_QUALITY = 40


@dataclass(frozen=True, slots=True)
class View:
    """`content` goes into the page; `levels` is the level over time of each source, in equal parts."""

    content: dict[str, Any]
    levels: dict[str, Doubles]


def draw_view(sources: Sources, start: int, frames: int, columns: int) -> View:
    """Draw samples [start, start + frames) of all sources, up to `columns` pixels wide.

    Raises:
        AudioError: a file turns out to be damaged.
    """
    spectrograms = {name: Spectrogram(sources.sample_rate, frames, columns) for name in sources.names}
    waveforms = {name: Waveform(frames, columns) for name in sources.names}
    for at in range(start, start + frames, _BLOCK):
        for name, samples in sources.read(sources.names, at, min(_BLOCK, start + frames - at)).items():
            spectrograms[name].add(samples)
            waveforms[name].add(samples)
    powers = {name: spectrogram.power() for name, spectrogram in spectrograms.items()}
    loudest = max(float(powers["mixture"].max()), 1e-12)
    pictures = {name: _picture(_shades(power, loudest)) for name, power in powers.items()}
    for name in [name for name in powers if name.startswith("reference")]:
        estimate, difference = name.replace("reference", "estimate"), name.replace("reference", "difference")
        pictures[difference] = _picture(_difference(powers[estimate], powers[name], loudest))
    scale = max(1e-6, *(float(waveform.peaks.max()) for waveform in waveforms.values()))
    outlines = {
        name: {"peaks": _heights(waveform.peaks / scale), "levels": _heights(waveform.levels / scale)}
        for name, waveform in waveforms.items()
    }
    content = {
        "start": start / sources.sample_rate, "seconds": frames / sources.sample_rate,
        "pictures": pictures, "outlines": outlines,
    }  # fmt: skip
    return View(content, {name: waveform.levels for name, waveform in waveforms.items()})


def _shades(power: Doubles, loudest: float) -> Doubles:
    decibels = 10 * np.log10(np.maximum(power / loudest, 1e-30))
    return 1 + decibels / RANGE


def _difference(estimate: Doubles, reference: Doubles, loudest: float) -> Doubles:
    floor = loudest * 10 ** (-_INAUDIBLE / 10)
    decibels: Doubles = 10 * np.log10((estimate + floor) / (reference + floor))
    return 0.5 + 0.5 * decibels / DIFFERENCE


def _picture(shades: Doubles) -> str:
    """[band, column], 0 to 1 -> WebP in base64, the lowest band at the bottom."""
    file = BytesIO()
    Image.fromarray(_quantised(shades[::-1])).save(file, "WEBP", quality=_QUALITY)
    return b64encode(file.getvalue()).decode()


def _heights(row: Doubles) -> str:
    """Return square roots as bytes, which make faint leaks visible."""
    return b64encode(_quantised(np.sqrt(row)).tobytes()).decode()


def _quantised(values: Doubles) -> NDArray[np.uint8]:
    steps: NDArray[np.uint8] = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return steps
