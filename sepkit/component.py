"""The contract between sepkit and its components, built in or third-party.

A component *is* its pydantic config class, and `build()` is its only factory. This module imports nothing but the
standard library and pydantic; torch and numpy stand in annotations only, so a config costs no heavy import.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticCustomError

from sepkit.arrays import Samples, Scores
from sepkit.errors import did_you_mean
from sepkit.track import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, Track

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

SpectralFront: TypeAlias = Callable[[Samples, Callable[[Samples], Samples]], Samples]
Loss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
Metric: TypeAlias = "Callable[[Samples, Samples, Samples], Scores | Mapping[str, Scores]]"
Augmentation: TypeAlias = "Callable[[Samples, Samples, np.random.Generator], tuple[Samples, Samples]]"


class Section(BaseModel):
    """A part of a config: frozen, finite numbers only, unknown keys rejected where they stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        reject_unknown_keys(data, cls.model_fields)
        return data


def reject_unknown_keys(data: Any, known: dict[str, Any]) -> None:
    """Raise an error that names each key of `data` that is not `known`, and what was probably meant."""
    unknown = [key for key in data if key not in known] if isinstance(data, dict) else []
    if unknown:
        hints = "".join(f'unknown key "{key}".{did_you_mean(key, known)} ' for key in unknown)
        raise PydanticCustomError("unknown_key", "{text}", {"text": f"{hints}Known keys: {', '.join(known)}"})


@pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class AudioSpec:
    """The input and output of a network: rate in Hz, channel count, and the names of its sources in output order."""

    sample_rate: int = Field(default=22050, ge=LOWEST_RATE, le=HIGHEST_RATE, description="Hz")
    channels: int = Field(default=1, ge=1, le=MOST_CHANNELS, description="1: mono, 2: stereo")
    sources: tuple[str, ...] = Field(default=("vocals",), min_length=1, description="stems that the network estimates")

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        reject_unknown_keys(data, AudioSpec.__dataclass_fields__)
        return data

    @field_validator("sources")
    @classmethod
    def _usable_as_file_names(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        sources = tuple(check_stem_name(normalize("NFC", source)) for source in sources)
        if len(set(sources)) != len(sources):
            raise ValueError("each source may be named once")
        return sources


def check_stem_name(name: str) -> str:
    """Return `name` if it can be the name of a stem and of its file; raise ValueError otherwise."""
    if not name or name != name.strip() or name.startswith((".", "-")) or any(c in '/\\:*?"<>|' for c in name):
        raise ValueError(f'"{name}" cannot be the name of a stem: it becomes a file name')
    if not name.isprintable():
        raise ValueError(f"{name!r} cannot be the name of a stem: it holds an unprintable character")
    if name in ("mixture", "rest"):
        raise ValueError(f'"{name}" is reserved and cannot be the name of a stem')
    return name


class Component(Section):
    """Base of the five kinds. Subclasses set `name: Literal["..."] = "..."`; their fields are their settings."""

    kind: ClassVar[str]
    name: str

    @classmethod
    def registered_name(cls) -> str:
        """Return the name under which this class is asked for in a config."""
        return str(cls.model_fields["name"].default)


class DatasetConfig(Component):
    """A corpus on disk."""

    kind: ClassVar[str] = "dataset"
    weight: float = Field(default=1.0, gt=0, description="share of the training chunks, relative to other datasets")

    @abstractmethod
    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of "train", "validation" or "test", or of "all" of them.

        Raises:
            CorpusError: the folder is not this corpus; the message holds the path that was tried.
        """


class ModelConfig(Component):
    """A network and its settings."""

    kind: ClassVar[str] = "model"

    @abstractmethod
    def build(self, audio: AudioSpec) -> nn.Module:
        """Return a network with random weights: [batch, channel, time] -> [batch, source, channel, time].

        If it has a submodule called `mask_network`, from one tensor of spectra to one of masks, both with the batch
        first and the frames last and any number of both, that part can be exported and run without PyTorch.
        """

    def full_band(self, trained: AudioSpec, wanted: AudioSpec) -> nn.Module | None:
        """Return a network that uses the weights of `build(trained)` at another rate and channel count.

        Its state dict has the same names and shapes. None, the default, lets the separator resample to `trained`.
        """
        return None

    def spectral_front(self, trained: AudioSpec, wanted: AudioSpec) -> SpectralFront | None:
        """Return all of the network but its `mask_network`, without PyTorch: songs are then separated without it.

        It is called with a mixture [batch, channel, time] and the mask network (spectra -> masks, see `build`), and
        returns estimates [batch, source, channel, time], all of them float32 arrays. Several threads may call it at
        once. It computes what `build(trained)` does, or `full_band(trained, wanted)` where `wanted` is something else,
        and is None where that is None. None everywhere, the default, runs the model in PyTorch.
        """
        return None

    def adds_up(self, audio: AudioSpec) -> bool:
        """Return True if the estimates of all sources are together the mixture, so that no residual is missed."""
        return False


class LossConfig(Component):
    """A training loss."""

    kind: ClassVar[str] = "loss"
    weight: float = Field(default=1.0, ge=0, description="factor of this loss in the sum of all losses")

    @abstractmethod
    def build(self, audio: AudioSpec) -> Loss:
        """Return (estimate, target) -> scalar, both [batch, source, channel, time].

        If sources of a batch are absent, the present ones come as chunks of one source, [n, 1, channel, time].
        """


class MetricConfig(Component):
    """A score of a separated track, or several that share a unit.

    Attributes:
        unit: Of its scores.
        better: Which scores are the better ones.
        undefined_where: Why a track may have no score, where silence is not the reason.
    """

    kind: ClassVar[str] = "metric"
    unit: ClassVar[str] = "dB"
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    undefined_where: ClassVar[str] = ""

    @property
    def frame(self) -> float:
        """Seconds of a frame, and from one to the next. 0, the default: the track is scored as a whole."""
        return 0.0

    @abstractmethod
    def build(self, audio: AudioSpec) -> Metric:
        """Return (estimates, references, mixture) -> scores.

        Estimates are [source, channel, time]; references hold the same sources first, and every other known one after
        them, and add up to the mixture [channel, time] as far as the corpus allows. `audio.sources` names the
        references. Scores are [source] or [source, frame], NaN where undefined, or a mapping from the name of each
        score to such an array. A track's score is the median of its frames.
        """


class AugmentationConfig(Component):
    """A random change of a training chunk."""

    kind: ClassVar[str] = "augmentation"
    probability: float = Field(default=1.0, ge=0, le=1, description="share of the chunks that it changes")

    @property
    def stretch(self) -> float:
        """The largest ratio of input to output length; 1 unless it changes the tempo."""
        return 1.0

    @abstractmethod
    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture).

        Stems are [source, channel, time], the sum of all that is no source last; the mixture is [channel, time]. Inputs
        stay as they are. All randomness comes from `rng`, a `numpy.random.Generator`. If `stretch` is above 1, the
        output may be shorter than the input by that factor; a chunk is cut to its length after the last augmentation.
        """
