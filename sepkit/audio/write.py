"""float32 arrays [channel, time] -> WAV files, complete or not there at all."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile

from sepkit.atomic import replacing
from sepkit.errors import AudioError

if TYPE_CHECKING:
    from sepkit.component import Samples

BitDepth = Literal["16", "24", "float"]


def write_wav(path: Path, samples: "Samples", sample_rate: int, bit_depth: BitDepth = "16") -> None:
    """Write [channel, time] under a temporary name, then rename it to `path`.

    PCM is rounded to the nearest step of 2^-15 or 2^-23 of full scale; what exceeds full scale is clipped, so scale
    beforehand. "float" keeps every value.

    Raises:
        AudioError: the disk is full, or the folder cannot be written.
    """
    data, subtype = _encode(samples, bit_depth)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            soundfile.write(temporary, data.T, sample_rate, subtype=subtype, format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written ({error})") from None


def _encode(samples: "Samples", bit_depth: BitDepth) -> "tuple[np.ndarray, str]":
    """Quantise here: libsndfile scales floats by 2^15 - 1, which would make stems that do not add up."""
    if bit_depth == "float":
        return samples, "FLOAT"
    bits = int(bit_depth)
    steps = np.rint(samples.astype(np.float64) * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits == 16:
        return steps.astype(np.int16), "PCM_16"
    return steps.astype(np.int32) << 8, "PCM_24"
