"""Scale-invariant signal-to-distortion ratio.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sepkit.component import AudioSpec, MetricConfig

if TYPE_CHECKING:
    import numpy as np

    from sepkit.component import Metric, Samples


class SISDR(MetricConfig):
    """SI-SDR of the whole track in dB, all channels as one signal: a wrong level costs nothing.

    Undefined (NaN) where the reference or the estimate is silent.
    """

    name: Literal["si_sdr"] = "si_sdr"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in dB."""
        import numpy as np

        def si_sdr(estimates: Samples, references: Samples, mixture: Samples) -> np.ndarray[Any, np.dtype[np.float64]]:
            estimate = estimates.reshape(len(estimates), -1).astype(np.float64)
            reference = references[: len(estimates)].reshape(len(estimates), -1).astype(np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = (estimate * reference).sum(1, keepdims=True) / np.square(reference).sum(1, keepdims=True)
                target = scale * reference
                ratio = np.square(target).sum(1) / np.square(estimate - target).sum(1)
                audible = np.square(estimate).any(1) & np.square(reference).any(1)
                return np.where(audible, 10 * np.log10(ratio), np.nan)

        return si_sdr
