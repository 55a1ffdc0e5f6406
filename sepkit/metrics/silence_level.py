"""The level of the estimate where the target is silent."""

from __future__ import annotations

from typing import ClassVar, Literal

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig

FRAME_SECONDS = 0.2
"""A sound masks what follows it for about 0.2 s (E. Zwicker, H. Fastl, "Psychoacoustics", on postmasking)."""


class SilenceLevel(MetricConfig):
    """Energy of the estimate where the reference is silent, in dB relative to the mixture there; frames of 0.2 s.

    0 dB leaves the mixture as it is; digital silence is -100 dB. Undefined (NaN) where the reference sounds or the
    mixture is silent. Silent is what is 50 dB or more below the level of the song. There are no settings: thresholds
    of one's own would make scores that cannot be compared.
    """

    name: Literal["silence_level"] = "silence_level"
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    undefined_where: ClassVar[str] = "reference never silent"

    @property
    def frame(self) -> float:
        """Seconds of a frame."""
        return FRAME_SECONDS

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source, frame] in dB."""
        from sepkit.metrics.silence import Silence

        def silence_level(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            length = round(FRAME_SECONDS * audio.sample_rate)
            return Silence.of(references[: len(estimates)], mixture, length).level(estimates)

        return silence_level
