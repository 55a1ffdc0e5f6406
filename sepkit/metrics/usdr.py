"""Signal-to-distortion ratio of a whole track, as the Music Demixing Challenges rank by it.

Y. Mitsufuji, G. Fabbro, S. Uhlich, F.-R. Stoeter, A. Defossez, M. Kim, W. Choi, C.-Y. Yu, K.-W. Cheuk, "Music Demixing
Challenge 2021", Frontiers in Signal Processing 1, 2022, equation 2.
"""

from __future__ import annotations

from typing import Literal

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig

EPSILON = 1e-7
"""Added to both energies, as in the evaluation of the challenges."""


class USDR(MetricConfig):
    """SDR of the whole track in dB: 10 log10((sum ref^2 + 1e-7) / (sum (ref - est)^2 + 1e-7)), over all channels.

    So a silent estimate has 0 dB. Undefined (NaN) where the reference is silent.
    """

    name: Literal["usdr"] = "usdr"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in dB."""
        import numpy as np

        from sepkit.metrics.energies import decibels, energy

        def usdr(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            references = references[: len(estimates)]
            ratios = decibels(energy(references) + EPSILON, energy(estimates - references) + EPSILON)
            return np.where(references.any((1, 2)), ratios, np.nan)

        return usdr
