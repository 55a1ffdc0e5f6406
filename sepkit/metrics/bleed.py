"""The share of each other source that leaks into an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAME_SECONDS = 1.0


class Bleed(MetricConfig):
    """Share of each other source that is in an estimate, in dB, in frames of one second.

    0 dB is all of it, as in the mixture; -20 dB a tenth of its amplitude; at least -100 dB. In each band of half an
    octave the estimate is explained, with least squares, as a sum of all references times one gain each; the share is
    the energy of the other source after its gains over that before. Undefined (NaN) for the estimated source itself,
    where the other source is silent or 30 dB below the mixture, and where references cannot be separated. No
    settings, so that all scores can be compared.
    """

    name: Literal["bleed"] = "bleed"
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    undefined_where: ClassVar[str] = "other source silent or faint"

    @property
    def frame(self) -> float:
        """Seconds of a frame."""
        return FRAME_SECONDS

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> {other source: [source, frame] in dB}.

        A source that is no other one, as the only one that is estimated, has no entry.
        """
        import numpy as np

        from sepkit.metrics.leaks import leaks

        def bleed(estimates: Samples, references: Samples, mixture: Samples) -> Mapping[str, Scores]:
            found = leaks(estimates, references, mixture, audio.sample_rate, FRAME_SECONDS)
            for number in range(len(estimates)):
                found[number, number] = np.nan
            others = [number for number in range(len(references)) if number or len(estimates) > 1]
            return {audio.sources[number]: found[:, number] for number in others}

        return bleed
