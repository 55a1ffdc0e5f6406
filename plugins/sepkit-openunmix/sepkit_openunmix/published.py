"""The weights that the authors of Open-Unmix have published on Zenodo.

A sha256 of 8 digits is the one in the name of the file: the publishers give no more. Those of umxhq are whole, as
several who use these files state them, and begin with these digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit import AudioSpec, Pretrained, SeparateSettings, WeightFile
from sepkit_openunmix.openunmix import OpenUnmix

if TYPE_CHECKING:
    from torch import Tensor

_MUSIC = AudioSpec(44100, 2, ("vocals", "drums", "bass", "other"))
_SEPARATE = SeparateSettings(chunk_seconds=12.0, overlap=0.1, residual="residual")


def _weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    from sepkit_openunmix.weights import read

    return read(paths)


def _files(record: int, size: int, checksums: dict[str, str]) -> tuple[WeightFile, ...]:
    url = f"https://zenodo.org/records/{record}/files"
    return tuple(WeightFile(f"{url}/{name}.pth", sha256, size) for name, sha256 in checksums.items())


UMXHQ = Pretrained(
    name="umxhq",
    summary="Open-Unmix for four stems of music, trained on MUSDB18-HQ",
    licence="MIT",
    model=OpenUnmix(niter=1),
    audio=_MUSIC,
    files=_files(
        3370489,
        35_637_796,
        {
            "vocals-b62c91ce": "b62c91cedbc7a066f1778ead5b5cecb377aa3a46a31af1cce7c5c8769339d083",
            "drums-9619578f": "9619578f885c54737cb0234f9f9a4a679ee4f31438fd77fd1dbe02bb16c2da0a",
            "bass-8d85a5bd": "8d85a5bd3f996a8867fca0e8442e077e5a3f5ec747a6112742452a8f347b39c8",
            "other-b52fbbf7": "b52fbbf76479e752bd72e02304c602ac7802aa5bfbfb9cd12054b2695d5093ab",
        },
    ),
    weights=_weights,
    separate=_SEPARATE,
    score="vocals 6.3 dB SDR, test songs of MUSDB18-HQ, published",
)
UMXL = Pretrained(
    name="umxl",
    summary="Open-Unmix for four stems of music, wider, trained on more songs",
    licence="CC BY-NC-SA 4.0",
    model=OpenUnmix(hidden=1024, niter=1),
    audio=_MUSIC,
    files=_files(
        5069601,
        113_100_000,
        {
            "vocals-bccbd9aa": "bccbd9aa",
            "drums-69e0ebd4": "69e0ebd4",
            "bass-2ca1ce51": "2ca1ce51",
            "other-c8c5b3e6": "c8c5b3e6",
        },
    ),
    weights=_weights,
    separate=_SEPARATE,
    score="vocals 7.2 dB SDR, test songs of MUSDB18-HQ, published",
)
UMX = Pretrained(
    name="umx",
    summary="Open-Unmix for four stems of music, trained on MUSDB18, which ends at 16 kHz",
    licence="MIT",
    model=OpenUnmix(niter=1),
    audio=_MUSIC,
    files=_files(
        3370486,
        35_638_000,
        {
            "vocals-c8df74a5": "c8df74a5",
            "drums-5a48008b": "5a48008b",
            "bass-646024d3": "646024d3",
            "other-f8e132cc": "f8e132cc",
        },
    ),
    weights=_weights,
    separate=_SEPARATE,
    score="vocals 6.3 dB SDR, test songs of MUSDB18, published",
)
UMXSE = Pretrained(
    name="umxse",
    summary="Open-Unmix for speech and noise, mono at 16 kHz, trained on Voicebank+DEMAND",
    licence="MIT",
    model=OpenUnmix(n_fft=1024, hop_length=512, hidden=256, niter=1),
    audio=AudioSpec(16000, 1, ("speech", "noise")),
    files=_files(3786908, 6_350_000, {"speech_f5e0d9f9": "f5e0d9f9", "noise_04a6fc2d": "04a6fc2d"}),
    weights=_weights,
    separate=_SEPARATE,
)
PUBLISHED = (UMXHQ, UMXL, UMX, UMXSE)
