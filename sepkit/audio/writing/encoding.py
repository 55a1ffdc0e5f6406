"""Formats of audio files to write: their bit depths, and their limits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sepkit.audio.writing import mp3, stem_mp4
from sepkit.errors import AudioError, ConfigError
from sepkit.track import HIGHEST_RATE, MOST_CHANNELS

Format = Literal["wav", "flac", "mp3", "ogg", "aiff", "stem.mp4"]
"""The ending of a file is a dot and its format."""
BitDepth = Literal["16", "24", "float"]

# Bytes of samples that a wav or aiff can count in 32 bits, with room for the rest of the file.
FOUR_GB = 2**32 - 2**20


@dataclass(frozen=True, slots=True)
class _Kind:
    """A format: libsndfile's name of it, and of its samples at each bit depth (the first is the default); its limits.

    `rates` puts `takes` into words.
    """

    container: str
    subtypes: dict[BitDepth | None, str]
    channels: int = MOST_CHANNELS
    rates: str = f"up to {HIGHEST_RATE} Hz"
    takes: Callable[[int], bool] = lambda rate: rate <= HIGHEST_RATE

    def holds(self, sample_rate: int, channels: int) -> bool:
        return 1 <= channels <= self.channels and self.takes(sample_rate)


def _one_of(rates: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, rates[:-1]))} or {rates[-1]} Hz"


_INTEGERS: dict[BitDepth | None, str] = {"16": "PCM_16", "24": "PCM_24"}
_KINDS: dict[str, _Kind] = {
    "wav": _Kind("WAV", {**_INTEGERS, "float": "FLOAT"}),
    "flac": _Kind(
        "FLAC", _INTEGERS, 8, "up to 65535 Hz, or more if divisible by 10",
        lambda rate: rate <= 65535 or rate % 10 == 0,
    ),
    "mp3": _Kind("MP3", {None: "MPEG_LAYER_III"}, mp3.MOST_CHANNELS, _one_of(mp3.SAMPLE_RATES),
                 mp3.SAMPLE_RATES.__contains__),
    # Above 200 kHz libsndfile crashes. Of more channels Vorbis knows which loudspeaker each is for, in an order that
    # libsndfile does not keep to: the sixth of six would lose its treble.
    "ogg": _Kind("OGG", {None: "VORBIS"}, 2, "up to 200000 Hz", lambda rate: rate <= 200_000),
    "aiff": _Kind("AIFF", {**_INTEGERS, "float": "FLOAT"}),
    "stem.mp4": _Kind("RAW", {None: "FLOAT"}, stem_mp4.MOST_CHANNELS, _one_of(stem_mp4.SAMPLE_RATES),
                      stem_mp4.SAMPLE_RATES.__contains__),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoding:
    """A format, and a bit depth if it has one (None: 16).

    Raises:
        ConfigError: there is no such format, or not with that bit depth.
    """

    format: Format = "wav"
    bit_depth: BitDepth | None = None

    def __post_init__(self) -> None:
        if self.format not in _KINDS:
            raise ConfigError(f"format {self.format}: not written here; give one of {', '.join(get_args(Format))}")
        depths = [depth for depth in _KINDS[self.format].subtypes if depth is not None]
        if self.bit_depth is not None and self.bit_depth not in depths:
            has = f"holds {', '.join(depths)}" if depths else "has no bit depth"
            raise ConfigError(f"{self.format} with bit depth {self.bit_depth}: {self.format} {has}; give another")

    @property
    def depth(self) -> BitDepth | None:
        """The bit depth; None if the format has none."""
        return self.bit_depth or next(iter(_KINDS[self.format].subtypes))

    @property
    def subtype(self) -> str:
        """Libsndfile's name of the samples."""
        return _KINDS[self.format].subtypes[self.depth]

    @property
    def scales(self) -> bool:
        """Samples beyond full scale would clip."""
        return self.bit_depth != "float"

    def container(self, channels: int, frames: int) -> str:
        """Return libsndfile's name of the format. RF64 is the wav that counts its bytes in 64 bits, not in 32."""
        if self.format == "wav" and self.size(channels, frames) > FOUR_GB:
            return "RF64"
        return _KINDS[self.format].container

    def size(self, channels: int, frames: int) -> int:
        """Return the bytes that the samples take uncompressed."""
        return frames * channels * (4 if self.depth in {"float", None} else int(self.depth) // 8)

    def check(self, path: Path, sample_rate: int, channels: int, frames: int = 0) -> None:
        """Raise an error if `path` cannot be written like this, before there is anything to write.

        Raises:
            AudioError: the format has no such rate or channel count, or the file would be too large for it.
        """
        kind = _KINDS[self.format]
        if not kind.holds(sample_rate, channels):
            counts = "1 or 2" if kind.channels == 2 else f"1 to {kind.channels}"
            others = " or ".join(name for name in ("flac", "wav") if _KINDS[name].holds(sample_rate, channels))
            raise AudioError(
                f"{path}: {self.format} holds {counts} channels at {kind.rates}, "
                f"not {channels} at {sample_rate} Hz" + (f"; write {others}" if others else "")
            )
        size = self.size(channels, frames)
        if self.format == "aiff" and size > FOUR_GB:
            raise AudioError(f"{path}: aiff holds 4 GB, and this is {size / 2**30:.1f} GB; write wav or flac")
