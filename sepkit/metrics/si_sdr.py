"""Scale-invariant signal-to-distortion ratio.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SISDR(MetricConfig):
    """SI-SDR of the whole track in dB, all channels as one signal, means not removed: a wrong level costs nothing.

    Undefined (NaN) where the reference or the estimate is silent.
    """

    name: Literal["si_sdr"] = "si_sdr"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in dB.

        Energies have the precision of their type added, which shows above 150 dB only: a perfect estimate has a score.
        """
        import numpy as np

        def si_sdr(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            found, wanted = (_unit(signal) for signal in (estimates, references[: len(estimates)]))
            target = (found * wanted).sum(1, keepdims=True) * wanted
            least = np.finfo(np.float64).eps
            ratio = (np.square(target).sum(1) + least) / (np.square(found - target).sum(1) + least)
            scores: Scores = 10 * np.log10(ratio)
            return scores

        return si_sdr


def _unit(signals: Samples) -> NDArray[np.float64]:
    """[source, channel, time] -> [source, sample] of energy 1; NaN for a silent one"""
    import numpy as np

    flat = signals.reshape(len(signals), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        unit: NDArray[np.float64] = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return unit
