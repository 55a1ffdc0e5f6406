"""BSSEval version 4: the error of an estimate in three parts, separated by filtered references.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation", IEEE TASLP
14(4), 2006.
F.-R. Stoeter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig


class BSSEval(MetricConfig):
    """SDR, ISR, SIR and SAR in dB in frames: those of museval in a tenth of its time.

    With s the reference, p the projection of the estimate e on its own filtered reference, and q that on all filtered
    references: SDR = |s|^2 / |e - s|^2, ISR = |s|^2 / |p - s|^2, SIR = |p|^2 / |q - p|^2, SAR = |q|^2 / |e - q|^2.
    Filters have 512 taps, and are those of the whole track.

    Undefined (NaN) where the reference or the estimate is silent in the frame; SIR, too, where no other reference
    sounds in the track.
    """

    name: Literal["bsseval"] = "bsseval"
    frame_seconds: float = Field(default=1.0, gt=0, le=10, description="length of a frame, and its hop")

    @property
    def frame(self) -> float:
        """Seconds of a frame."""
        return self.frame_seconds

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> {"SDR": [source, frame], "ISR": ..., "SIR": ..., "SAR": ...}."""
        import numpy as np

        from sepkit.metrics.decomposition import decompose
        from sepkit.metrics.energies import sounding

        length = max(1, round(self.frame_seconds * audio.sample_rate))

        def bsseval(estimates: Samples, references: Samples, mixture: Samples) -> dict[str, Scores]:
            ratios = decompose(estimates, references, length)
            own = references[: len(estimates)]
            known = sounding(own, length) & sounding(estimates, length)
            others = references.any((1, 2)).sum() - own.any((1, 2)) > 0
            ratios["SIR"][~others] = np.nan
            return {name: np.where(known, scores, np.nan) for name, scores in ratios.items()}

        return bsseval
