"""Random bandwidth of all stems together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation, log_uniform

if TYPE_CHECKING:
    import numpy as np

REACH_SECONDS = 0.005
"""The reach of the filter to each side: it falls from 0 to -70 dB within 550 Hz around the cutoff."""


class LowPass(StemAugmentation):
    """One low-pass filter for all stems, its cutoff log-uniform; the mixture becomes their sum.

    The filter, a sinc under a Blackman window, has zero phase, so nothing moves in time, and is linear, so the mixture
    loses the same frequencies as the stems. Limits above half the sample rate count as half the sample rate, which
    removes nothing.
    """

    limits = ("low_hz", "high_hz")
    name: Literal["low_pass"] = "low_pass"
    low_hz: float = Field(default=4000.0, gt=0, description="lowest cutoff, at which 6 dB are lost")
    high_hz: float = Field(default=16000.0, gt=0, description="highest cutoff")

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Filter all stems. Their edges are mirrored outwards."""
        import numpy as np
        from scipy.signal import firwin, oaconvolve

        low, high = (min(limit, sample_rate / 2) for limit in (self.low_hz, self.high_hz))
        cutoff = log_uniform(low, high, rng)
        if cutoff >= sample_rate / 2:
            return stems.copy()
        reach = round(REACH_SECONDS * sample_rate)
        kernel = firwin(2 * reach + 1, cutoff, window="blackman", fs=sample_rate).astype(np.float32)
        padded = np.pad(stems, ((0, 0), (0, 0), (reach, reach)), mode="symmetric")
        filtered: Samples = oaconvolve(padded, kernel[None, None], mode="valid", axes=-1)
        return filtered
