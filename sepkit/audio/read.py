"""Audio files -> float32 arrays [channel, time], at the file's own rate or at a wanted one."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from sepkit.audio.channels import to_channels
from sepkit.audio.probe import AudioInfo, cause, probe
from sepkit.audio.resample import Grid, resample
from sepkit.errors import AudioError

if TYPE_CHECKING:
    from sepkit.component import Samples


log = logging.getLogger(__name__)


def read(path: Path, start: int = 0, frames: int = -1) -> "tuple[Samples, int]":
    """Decode `frames` frames (-1: all) from frame `start`, and return them [channel, time] with the rate.

    Raises:
        AudioError: see `probe`; also a file that breaks off before its header says.
    """
    info = probe(path)
    wanted = max(0, info.frames - start if frames < 0 else min(frames, info.frames - start))
    return _decode(path, info, start, wanted), info.sample_rate


def read_at(path: Path, sample_rate: int, channels: int, start: int, frames: int) -> "Samples":
    """Return frames [start, start + frames), counted at `sample_rate`, as [channels, frames].

    Only the needed part of the file is decoded. Beyond the end of the file there are zeros. The result equals that part
    of the whole file resampled at once: blocks start where the two sample grids meet.
    """
    info = probe(path)
    grid = Grid.between(info.sample_rate, sample_rate)
    first, last = grid.input_range(start, start + frames)
    block = _read_within(path, info, first, last)
    offset = start - grid.output_index(first)
    return resample(to_channels(block, channels), info.sample_rate, sample_rate)[:, offset : offset + frames]


def _decode(path: Path, info: AudioInfo, start: int, wanted: int) -> "Samples":
    try:
        samples, _ = soundfile.read(path, wanted, start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: decoding failed ({cause(error)}); fetch or export the file again") from None
    if len(samples) < wanted:
        at = (start + len(samples)) / info.sample_rate
        raise AudioError(
            f"{path}: truncated, decoded {at:.1f} s of {info.seconds:.1f} s; fetch or export the file again"
        )
    if not np.isfinite(samples).all():
        log.warning("%s: samples that are not finite (NaN or infinity) are taken as silence", path)
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.ascontiguousarray(samples.T)


def _read_within(path: Path, info: AudioInfo, first: int, last: int) -> "Samples":
    """Frames [first, last) of the file, zeros where it has none."""
    begin, end = max(first, 0), min(last, info.frames)
    block = _decode(path, info, begin, end - begin) if end > begin else np.zeros((info.channels, 0), np.float32)
    return np.pad(block, ((0, 0), (max(0, min(begin, last) - first), max(0, last - max(end, first, begin)))))
