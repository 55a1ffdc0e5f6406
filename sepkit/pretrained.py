"""The description of weights that others have trained: what a plugin knows of them before anything is downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from sepkit.component import AudioSpec, ModelConfig
from sepkit.settings import SeparateSettings

if TYPE_CHECKING:
    from torch import Tensor

DIGITS = 64
"""Hexadecimal digits of a sha256."""
SHORTEST_CHECKSUM = 8
"""Hexadecimal digits of a sha256, the first ones: as many as publishers put into the names of their files."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_CHECKSUM = re.compile(rf"[0-9a-f]{{{SHORTEST_CHECKSUM},{DIGITS}}}")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file to download.

    Attributes:
        url: Where it is, beginning with https://.
        sha256: Its sha256 or the first digits of it, at least `SHORTEST_CHECKSUM`. "" where nobody has published one:
            whoever wants the file must state it.
        bytes: About how large it is, for listings.
    """

    url: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme != "https" or not _safe(self.name):
            raise ValueError(f"{self.url} must begin with https:// and end in the name of a file")
        if self.sha256 and not _CHECKSUM.fullmatch(self.sha256):
            raise ValueError(
                f'"{self.sha256}" must be a sha256, or its first {SHORTEST_CHECKSUM} or more digits, in lower case'
            )

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Weights that are used by name: `-m NAME`.

    Attributes:
        name: What users ask for: lower-case letters, digits, hyphens, underscores, and dots between them.
        summary: One line for listings.
        licence: Of the weights, as their publisher states it.
        model: The network that they belong to.
        audio: What it hears and estimates.
        files: What is downloaded, with a name each.
        weights: The verified files, in the order of `files` -> the state dict of `model.build(audio)`. It imports torch
            itself, and reads files of PyTorch with `sepkit.checkpoints.torch_file.load`.
        separate: How songs are cut, and what the residual is called.
        score: The published score with its test set, or the measured one with its songs; empty if there is none.
    """

    kind: ClassVar[str] = "pretrained model"

    name: str
    summary: str
    licence: str
    model: ModelConfig
    audio: AudioSpec
    files: tuple[WeightFile, ...]
    weights: Callable[[Sequence[Path]], dict[str, Tensor]]
    separate: SeparateSettings = field(default_factory=SeparateSettings)
    score: str = ""

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError(f'"{self.name}" cannot name a pretrained model: it stands where a file may stand, too')
        if not self.files or len({file.name.casefold() for file in self.files}) != len(self.files):
            raise ValueError(f"{self.name} needs files, each with a name of its own")
        if sum(not file.sha256 for file in self.files) > 1:
            raise ValueError(f"{self.name}: only one of its files may lack a sha256")

    @property
    def bytes(self) -> int:
        """About how much is downloaded."""
        return sum(file.bytes for file in self.files)

    def registered_name(self) -> str:
        """Return the name under which users ask for it."""
        return self.name


def is_name(text: str) -> bool:
    """Return whether `text` can be the name of a pretrained model. Paths and the names of model files cannot."""
    return bool(_NAME.fullmatch(text)) and not text.endswith(".safetensors")


def _safe(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name))
