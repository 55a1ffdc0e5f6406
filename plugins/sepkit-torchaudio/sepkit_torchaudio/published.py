"""The pretrained bundles of torchaudio.

torchaudio verifies none of them and publishes no checksum. The one here is stated by several projects that use the
file; for the others the user states it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit import AudioSpec, Pretrained, SeparateSettings, WeightFile
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs

if TYPE_CHECKING:
    from torch import Tensor

_LICENCE = "not stated (code: BSD-2-Clause)"
_URL = "https://download.pytorch.org/torchaudio/models"
_MUSIC = AudioSpec(44100, 2, ("drums", "bass", "other", "vocals"))
_SEPARATE = SeparateSettings(chunk_seconds=10.0, overlap=0.25, residual="residual")


def _weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    from sepkit_torchaudio.weights import read

    return read(*paths)


HDEMUCS_HIGH_MUSDB_PLUS = Pretrained(
    name="hdemucs_high_musdb_plus",
    summary="Hybrid Demucs for four stems of music, trained on all of MUSDB18-HQ and 150 songs more",
    licence=_LICENCE,
    model=HDemucs(),
    audio=_MUSIC,
    files=(
        WeightFile(
            f"{_URL}/hdemucs_high_trained.pt",
            "a004b2790d73ffeaa535db458a1a79b539dfdbafbccc31f275d07e632ebd7816",
            334_697_255,
        ),
    ),
    weights=_weights,
    separate=_SEPARATE,
)
HDEMUCS_HIGH_MUSDB = Pretrained(
    name="hdemucs_high_musdb",
    summary="Hybrid Demucs for four stems of music, trained on the training songs of MUSDB18-HQ alone",
    licence=_LICENCE,
    model=HDemucs(),
    audio=_MUSIC,
    files=(WeightFile(f"{_URL}/hdemucs_high_musdbhq_only.pt", "", 334_700_000),),
    weights=_weights,
    separate=_SEPARATE,
)
CONVTASNET_BASE_LIBRI2MIX = Pretrained(
    name="convtasnet_base_libri2mix",
    summary="Conv-TasNet for two people who speak at once, mono at 8 kHz, trained on Libri2Mix",
    licence=_LICENCE,
    model=ConvTasNet(),
    audio=AudioSpec(8000, 1, ("speaker_1", "speaker_2")),
    files=(WeightFile(f"{_URL}/conv_tasnet_base_libri2mix.pt", "", 20_049_107),),
    weights=_weights,
    separate=SeparateSettings(chunk_seconds=30.0, overlap=0.25, residual="residual"),
)
PUBLISHED = (HDEMUCS_HIGH_MUSDB_PLUS, HDEMUCS_HIGH_MUSDB, CONVTASNET_BASE_LIBRI2MIX)
