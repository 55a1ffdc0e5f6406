"""The share of the target's silence in which the estimate is audible."""

from __future__ import annotations

from typing import ClassVar, Literal

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig
from sepkit.metrics.silence_level import FRAME_SECONDS


class SilenceAudible(MetricConfig):
    """Share of the frames of 0.2 s with a silent reference in which the estimate is audible, in % of them.

    Audible is what is less than 40 dB below the level of the song, silent what is 50 dB or more below it. Frames in
    which the mixture is silent are left out. Undefined (NaN) where the reference is never silent. No settings, as for
    `silence_level`.
    """

    name: Literal["silence_audible"] = "silence_audible"
    unit: ClassVar[str] = "%"
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    undefined_where: ClassVar[str] = "reference never silent"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in %."""
        import numpy as np

        from sepkit.metrics.silence import Silence

        def silence_audible(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            silence = Silence.of(references[: len(estimates)], mixture, round(FRAME_SECONDS * audio.sample_rate))
            with np.errstate(invalid="ignore"):
                share: Scores = 100 * silence.audible(estimates).sum(1) / silence.silent.sum(1)
            return share

        return silence_audible
