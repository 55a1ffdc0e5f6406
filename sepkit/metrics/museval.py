"""BSSEval version 4 as the package museval computes it, for numbers to lay beside published ones.

F.-R. Stoeter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from pydantic import Field

from sepkit.arrays import Flags, Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig
from sepkit.errors import SepkitError

RATIOS = ("SDR", "ISR", "SIR", "SAR")


class MusEval(MetricConfig):
    """SDR, ISR, SIR and SAR in dB in frames, by museval: slow. `bsseval` has the same where nothing is silent.

    Undefined (NaN) in frames where any reference or estimate is silent, or the sum of its channels is, as museval has
    it; and in the whole track where museval cannot solve its equations, as for two equal sources. A source that is
    silent throughout, with which museval would refuse the track, has no scores, and the others keep theirs.
    """

    name: Literal["museval"] = "museval"
    frame_seconds: float = Field(default=1.0, gt=0, description="length of a frame, and its hop")

    @property
    def frame(self) -> float:
        """Seconds of a frame."""
        return self.frame_seconds

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> {"SDR": [source, frame], "ISR": ..., "SIR": ..., "SAR": ...}.

        Raises:
            SepkitError: ffmpeg is missing, without which museval cannot be imported.
        """
        import shutil

        import numpy as np

        from sepkit.metrics.energies import frames

        if not shutil.which("ffmpeg"):
            raise SepkitError(
                "metric museval: ffmpeg not found, which the package museval needs; install it "
                "(apt-get, brew or winget install ffmpeg), or use the metric bsseval, which needs none"
            )
        from museval import evaluate

        length = max(1, round(self.frame_seconds * audio.sample_rate))

        def museval(estimates: Samples, references: Samples, mixture: Samples) -> dict[str, Scores]:
            count, sounds = len(estimates), _sounds(estimates)
            paired = references.copy()
            paired[:count][sounds] = estimates[sounds]
            used = np.flatnonzero(_sounds(references))
            found = np.full((len(RATIOS), len(references), len(list(frames(references, length)))), np.nan)
            # museval fails over its own LinAlgError, a name that NumPy has no more, where sources are exactly equal.
            with np.errstate(divide="ignore"), suppress(AttributeError, np.linalg.LinAlgError):
                if used.size:
                    found[:, used] = evaluate(*(x[used].swapaxes(1, 2) for x in (references, paired)), length, length)
            found[:, :count][:, ~sounds] = np.nan
            return dict(zip(RATIOS, found[:, :count], strict=True))

        return museval


def _sounds(signal: Samples) -> Flags:
    """[source, channel, time] -> [source]: True where the sum of its channels sounds, as museval tests it."""
    sounds: Flags = signal.sum(1).any(-1)
    return sounds
