"""One song on its way: planned, separated block by block, finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sepkit.audio.decoder import Decoder, Header
from sepkit.errors import AudioError, ConfigError
from sepkit.separation.songs import output as outputs
from sepkit.separation.songs import provenance
from sepkit.separation.songs.growing import GrowingStems, publish
from sepkit.separation.songs.inputs import Song
from sepkit.separation.songs.output import Output

if TYPE_CHECKING:
    from torch import Tensor

    from sepkit.separation.separator import Separator

MIXTURE = "mixture"
Progress = Callable[[float, float], None]
"""Told how many seconds of how many are done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of each song: where it goes, which stems (all if none is named), which part of it in seconds.

    `duration` of 0 is up to the end. With `skip_existing`, what is there already and was made of the same song, by the
    same model, with the same settings, is not made again; other stems of sepkit's are replaced.
    """

    output: Output
    stems: tuple[str, ...] = ()
    start: float = 0.0
    duration: float = 0.0
    overwrite: bool = False
    skip_existing: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A song that can be read, and its files, which may be written. `frames` of None are all that come."""

    song: Song
    header: Header
    files: dict[str, Path]
    start: int
    frames: int | None
    key: str

    @property
    def seconds(self) -> float:
        """Length of what is to be separated, as far as it is known beforehand."""
        info = self.header.info
        return (info.frames - self.start if self.frames is None else self.frames) / info.sample_rate


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a song's stems, and the one gain that all of them got so that none clips (1: none)."""

    files: dict[str, Path]
    gain: float = 1.0
    skipped: bool = False


@dataclass(slots=True)
class Planner:
    """Plans the songs of one run: which files each one gets, and that no two get the same.

    `songs` are the resolved paths of all songs, none of which may be written over.
    """

    separator: Separator
    decoder: Decoder
    wish: Wish
    songs: frozenset[Path]
    _taken: dict[Path, Path] = field(default_factory=dict)

    def plan(self, song: Song) -> Plan | Written:
        """Return the plan of a song, or what is there already and need not be made again.

        Raises:
            AudioError: the song cannot be read, or the format cannot hold it.
            ConfigError: its files exist, or are another song's; or it ends before it shall start.
        """
        wish, header = self.wish, self.decoder.header(song.path)
        rate = header.info.sample_rate
        files = wish.output.targets(song.track, header.tags, wish.stems or self.separator.stems)
        self._take(song, files)
        key = provenance.key_of(song.path, self.separator.model.checksum, self._settings(list(files)))
        if wish.skip_existing and provenance.all_made(files.values(), key, self.decoder):
            return Written(files, skipped=True)
        foreign = provenance.foreign(files.values(), self.decoder) if wish.skip_existing else []
        outputs.check(files, wish.output.root, overwrite=wish.overwrite or (wish.skip_existing and not foreign))
        start = round(wish.start * rate)
        if start >= header.info.frames:
            raise ConfigError(f"{song.path}: lasts {header.info.seconds:.1f} s, and --start is {wish.start:g}")
        rest = header.info.frames - start
        frames = min(rest, max(1, round(wish.duration * rate))) if wish.duration else None
        for file in files.values():
            wish.output.encoding.check(file, rate, header.info.channels, rest if frames is None else frames)
        return Plan(song, header, files, start, frames, key)

    def _take(self, song: Song, files: dict[str, Path]) -> None:
        for file in set(files.values()):
            if file.resolve() in self.songs:
                raise ConfigError(f"{file} is one of the songs, and would be replaced; give another -o")
            other = self._taken.setdefault(file.resolve(), song.path)
            if other != song.path:
                raise ConfigError(f"{file} is already what {other} becomes; put {{track}} into --template")

    def _settings(self, stems: list[str]) -> dict[str, object]:
        separator, wish = self.separator, self.wish
        encoding = wish.output.encoding
        return {
            **separator.settings.model_dump(),
            "residual": separator.residual,
            "band": separator.band,
            "stems": stems,
            "format": encoding.format,
            "bit_depth": encoding.depth,
            "start": wish.start,
            "duration": wish.duration,
        }


def grow(
    plan: Plan, separator: Separator, decoder: Decoder, folder: Path, wish: Wish, progress: Progress
) -> GrowingStems:
    """Separate a song into stems that grow in `folder`.

    Raises:
        AudioError: the song breaks off, memory does not suffice, or the disk is full.
    """
    rate, channels = plan.header.info.sample_rate, plan.header.info.channels
    together = [MIXTURE] if wish.output.all_in_one else []
    stems = GrowingStems(folder, [*together, *plan.files], channels)
    blocks = (torch.from_numpy(block) for block in decoder.blocks(plan.song.path, plan.start, plan.frames))
    try:
        with stems:
            heard = _noted(blocks, stems) if together else blocks
            for separated in separator.stream(heard, rate):
                stems.write({stem: separated[stem].numpy() for stem in plan.files})
                progress(stems.frames / rate, plan.seconds)
    except OSError as error:
        raise AudioError(f"{wish.output.path}: cannot be written ({error.strerror or error})") from None
    if not stems.frames:
        raise AudioError(f"{plan.song.path}: the file holds no samples")
    return stems


def _noted(blocks: Iterator[Tensor], stems: GrowingStems) -> Iterator[Tensor]:
    for block in blocks:
        stems.write_beside(MIXTURE, block.numpy())
        yield block


def finish(plan: Plan, stems: GrowingStems, output: Output) -> Written:
    """Make the stems what the user gets, all or none.

    Raises:
        AudioError: they cannot be written; earlier files stay as they were.
    """
    gain = stems.safe_gain if output.encoding.scales else 1.0
    tags = replace(plan.header.tags, comment=plan.key)
    try:
        publish(stems.convert(plan.files, output.encoding, plan.header.info.sample_rate, tags, gain))
    except OSError as error:
        raise AudioError(f"{output.path}: cannot be written ({error.strerror or error})") from None
    return Written(plan.files, gain)
