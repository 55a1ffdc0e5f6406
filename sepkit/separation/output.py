"""The stems of a song on disk: where they go, and all of them or none."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import numpy as np

from sepkit.audio.formats import EXTENSIONS
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


def names_a_file(output: Path) -> bool:
    """Return whether `-o` names one file rather than a folder."""
    if output.suffix.lower() in EXTENSIONS and output.suffix.lower() != ".wav":
        raise ConfigError(f"-o {output}: stems are written as .wav; name a .wav file, or a folder")
    return output.suffix.lower() == ".wav"


def targets(output: Path, track: str, stems: Sequence[str]) -> dict[str, Path]:
    """Return {stem: file}: `output/<track>/<stem>.wav`, or `output` itself for the first stem if it ends in .wav."""
    if names_a_file(output):
        return {stems[0]: output}
    folder = track if track.strip(". ") else f"_{track}"  # "..wav" must not lead out of the output folder
    return {stem: output / folder / f"{stem}.wav" for stem in stems}


def plan(source: Path, output: Path, track: str, stems: Sequence[str], *, overwrite: bool) -> dict[str, Path]:
    """Return the `targets` of a song, if they may be written.

    Raises:
        ConfigError: a file exists and `overwrite` is not set, is the song itself, or stands behind a symbolic link.
    """
    files = targets(output, track, stems)
    for file in files.values():
        if file.is_symlink() or file.parent.is_symlink():
            raise ConfigError(f"{file} is or lies behind a symbolic link; give another -o")
        if file.is_dir():
            raise ConfigError(f"{file} is a folder; give another -o")
        if file.resolve() == source.resolve():
            raise ConfigError(f"{file} is the song itself; give another -o")
        if file.exists() and not overwrite:
            raise ConfigError(f"{file} exists; give another -o, or --overwrite to replace it")
    return files


def write_stems(
    files: Mapping[str, Path], stems: "Mapping[str, Samples]", sample_rate: int, bit_depth: BitDepth
) -> Written:
    """Write {stem: [channel, time]} to the files of a plan, which share one folder.

    They are finished in a hidden folder first. A new folder appears with all of them; into an existing one they are
    moved one after the other, and what else is there stays.

    Raises:
        AudioError: they cannot be written; earlier files stay as they were.
    """
    gain = 1.0 if bit_depth == "float" else _safe_gain(stems)
    folder = next(iter(files.values())).parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(mkdtemp(dir=folder if folder.exists() else folder.parent, prefix=".sepkit-"))
        try:
            for stem, file in files.items():
                write_wav(hidden / file.name, stems[stem] * np.float32(gain), sample_rate, bit_depth)
            _publish(hidden, folder)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be written ({error})") from None
    return Written(dict(files), gain)


def _publish(hidden: Path, folder: Path) -> None:
    if folder.exists():
        for file in hidden.iterdir():
            file.replace(folder / file.name)
    else:
        hidden.chmod(0o755)
        hidden.rename(folder)


def _safe_gain(stems: "Mapping[str, Samples]") -> float:
    peak = max((float(np.abs(samples).max()) for samples in stems.values() if samples.size), default=0.0)
    return _FULL_SCALE / peak if peak > 1.0 else 1.0
