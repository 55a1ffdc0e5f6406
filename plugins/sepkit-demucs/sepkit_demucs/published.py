"""The weights that an author of Demucs has published on Hugging Face, as safetensors.

Each URL names a revision, so what is there cannot change. The checksums are those that several who use these files
state; the package `demucs` knows none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit import AudioSpec, Pretrained, SeparateSettings, WeightFile
from sepkit_demucs.htdemucs import HTDemucs

if TYPE_CHECKING:
    from torch import Tensor

_LICENCE = "not stated (code: MIT)"
_FOUR = ("drums", "bass", "other", "vocals")
_SEPARATE = SeparateSettings(chunk_seconds=7.8, overlap=0.25, residual="residual")


def _weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    from sepkit_demucs.weights import read

    return read(paths)


def _files(repository: str, revision: str, size: int, checksums: dict[str, str]) -> tuple[WeightFile, ...]:
    url = f"https://huggingface.co/adefossez/{repository}/resolve/{revision}"
    return tuple(WeightFile(f"{url}/{name}.safetensors", sha256, size) for name, sha256 in checksums.items())


HTDEMUCS = Pretrained(
    name="htdemucs",
    summary="Hybrid Transformer Demucs for four stems of music, trained on MUSDB18-HQ and private songs",
    licence=_LICENCE,
    model=HTDemucs(),
    audio=AudioSpec(44100, 2, _FOUR),
    files=_files(
        "HTDemucs",
        "bf35a81b663819a8255c8fefee17f9d812b786b5",
        84_025_440,
        {"955717e8": "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd"},
    ),
    weights=_weights,
    separate=_SEPARATE,
    score="8.8 dB SDR, mean of four stems, test songs of MUSDB18-HQ, published",
)
HTDEMUCS_FT = Pretrained(
    name="htdemucs_ft",
    summary="Hybrid Transformer Demucs for four stems of music, a network tuned for each: four times the time",
    licence=_LICENCE,
    model=HTDemucs(specialists=True),
    audio=AudioSpec(44100, 2, _FOUR),
    files=_files(
        "HTDemucs-ft",
        "478be8a68f85418addd6f7baefd4be76522a4034",
        84_025_440,
        {
            "f7e0c4bc": "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f",
            "d12395a8": "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56",
            "92cfc3b6": "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59",
            "04573f0d": "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c",
        },
    ),
    weights=_weights,
    separate=_SEPARATE,
    score="9.0 dB SDR, mean of four stems, test songs of MUSDB18-HQ, published",
)
HTDEMUCS_6S = Pretrained(
    name="htdemucs_6s",
    summary="Hybrid Transformer Demucs for six stems of music, with guitar and piano",
    licence=_LICENCE,
    model=HTDemucs(bottleneck=0),
    audio=AudioSpec(44100, 2, (*_FOUR, "guitar", "piano")),
    files=_files(
        "HTDemucs-6s",
        "053e1404489b3dc58bf718224fac4b7316de8c93",
        54_885_744,
        {"5c90dfd2": "d2a1745f0744721f6b8ca5bf469b67c651ea5ed1b52998cab033b2158609d411"},
    ),
    weights=_weights,
    separate=_SEPARATE,
)
PUBLISHED = (HTDEMUCS, HTDEMUCS_FT, HTDEMUCS_6S)
