"""logWMSE: how loud the error sounds beside the mixture, also where the reference is silent.

I. Jordal, log-wmse-audio-quality, 2023; in PyTorch by C. Landschoot, torch-log-wmse.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from sepkit import AudioSpec, MetricConfig
from sepkit.arrays import Samples, Scores
from sepkit.component import Metric


class LogWMSE(MetricConfig):
    """logWMSE of the whole track in points: -4 ln of the weighted energy of the error over that of the mixture.

    The mean over channels. Always defined: 73.7 points where there is no error, silent references included.
    """

    name: Literal["log_wmse"] = "log_wmse"
    unit: ClassVar[str] = "points"

    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> [source] in points."""
        import numpy as np
        import torch
        from torch_log_wmse import LogWMSE as Package

        package = Package(sample_rate=audio.sample_rate)

        def log_wmse(estimates: Samples, references: Samples, mixture: Samples) -> Scores:
            found, wanted = (
                torch.from_numpy(np.ascontiguousarray(signal.swapaxes(0, 1))[None])
                for signal in (estimates, references[: len(estimates)])
            )
            with torch.inference_mode():
                points = package.per_stem(torch.from_numpy(mixture[None].copy()), found, wanted)
            scores: Scores = points[0].mean(0).double().numpy()
            return scores

        return log_wmse
