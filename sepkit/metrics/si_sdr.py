"""Scale-invariant signal-to-distortion ratio, by torchmetrics.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.component import AudioSpec, MetricConfig

if TYPE_CHECKING:
    from sepkit.component import Metric, Samples, Scores


class SISDR(MetricConfig):
    """SI-SDR of the whole track in dB, all channels as one signal, means not removed: a wrong level costs nothing.

    Undefined (NaN) where the reference or the estimate is silent.
    """

    name: Literal["si_sdr"] = "si_sdr"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in dB.

        The library adds the precision of the type to each energy. So signals get energy 1, where it shows above 150 dB
        only; a silent one gets NaN.
        """
        import numpy as np
        import torch
        from torch.nn.functional import normalize
        from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

        def si_sdr(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            found, wanted = (
                normalize(torch.from_numpy(signal.reshape(len(signal), -1).astype(np.float64)), eps=0)
                for signal in (estimates, references[: len(estimates)])
            )
            ratios: Scores = scale_invariant_signal_distortion_ratio(found, wanted).numpy()
            return ratios

        return si_sdr
