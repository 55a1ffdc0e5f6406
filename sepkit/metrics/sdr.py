"""Signal-to-distortion ratio in one-second frames, as museval (BSSEval v4) defines it.

BSSEval splits estimate - reference into spatial error, interference and artefacts by projections; SDR is the energy of
the reference over that of their sum, which is estimate - reference itself. So SDR needs no projection.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation", IEEE TASLP
14(4), 2006.
F.-R. Stoeter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig


class SDR(MetricConfig):
    """Framewise SDR in dB: 10 log10(sum ref^2 / sum (ref - est)^2) over the channels and samples of each frame.

    Undefined (NaN) where the reference or the estimate is silent in the frame. Frames that the track does not fill are
    left out; a track shorter than one frame is one frame.
    """

    name: Literal["sdr"] = "sdr"
    frame_seconds: float = Field(default=1.0, gt=0, description="length of a frame, and its hop")

    @property
    def frame(self) -> float:
        """Seconds of a frame."""
        return self.frame_seconds

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source, frame] in dB."""
        import numpy as np

        from sepkit.metrics.energies import decibels, difference_energies, energies, sounding

        length = max(1, round(self.frame_seconds * audio.sample_rate))

        def sdr(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            references = references[: len(estimates)]
            wanted, unwanted = energies(references, length), difference_energies(estimates, references, length)
            return np.where((wanted > 0) & sounding(estimates, length), decibels(wanted, unwanted), np.nan)

        return sdr
