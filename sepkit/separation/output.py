"""The stems of a song on disk: all of them, or none."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import numpy as np

from sepkit.audio.write import BitDepth, write_wav
from sepkit.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from sepkit.component import Samples

# The largest sample that 16-bit PCM holds.
_FULL_SCALE = 1.0 - 2.0**-15


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a song's stems, and the one gain that all of them got so that none clips (1: none)."""

    files: dict[str, Path]
    gain: float = 1.0


def write_stems(
    stems: "Mapping[str, Samples]", sample_rate: int, output: Path, track: str, bit_depth: BitDepth, *, overwrite: bool
) -> Written:
    """Write {stem: [channel, time]} to `output/<track>/<stem>.wav`, or the first stem to `output` if it ends in .wav.

    Raises:
        ConfigError: the target exists and `overwrite` is not set.
        AudioError: it cannot be written; nothing is left behind.

    """
    single = is_file_name(output)
    target = output if single else output / track
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists; give another -o, or --overwrite to replace it")
    chosen = dict(list(stems.items())[:1]) if single else dict(stems)
    gain = 1.0 if bit_depth == "float" else _safe_gain(chosen)
    if single:
        (stem, samples), *_ = chosen.items()
        write_wav(target, samples * np.float32(gain), sample_rate, bit_depth)
        return Written({stem: target}, gain)
    _write_folder(target, {stem: s * np.float32(gain) for stem, s in chosen.items()}, sample_rate, bit_depth)
    return Written({stem: target / f"{stem}.wav" for stem in chosen}, gain)


def is_file_name(output: Path) -> bool:
    """Return whether `-o` names one file rather than a folder."""
    return output.suffix.lower() == ".wav"


def _write_folder(target: Path, stems: "dict[str, Samples]", sample_rate: int, bit_depth: BitDepth) -> None:
    """Fill a hidden folder beside the target, then rename it: a song's stems appear together."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(mkdtemp(dir=target.parent, prefix=".sepkit-"))
    except OSError as error:
        raise AudioError(f"{target}: cannot be written ({error})") from None
    try:
        for stem, samples in stems.items():
            write_wav(hidden / f"{stem}.wav", samples, sample_rate, bit_depth)
        hidden.chmod(0o755)
        if target.is_symlink() or target.is_file():
            raise ConfigError(f"{target} is not a folder; remove it, or give another -o")
        if target.exists():
            shutil.rmtree(target)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _safe_gain(stems: "Mapping[str, Samples]") -> float:
    peak = max((float(np.abs(samples).max()) for samples in stems.values() if samples.size), default=0.0)
    return _FULL_SCALE / peak if peak > 1.0 else 1.0
