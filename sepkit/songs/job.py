"""What is wanted of songs, and how one becomes its stems: planned, separated block by block, finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from sepkit.arrays import Samples
from sepkit.audio.info import AudioInfo
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError, ConfigError
from sepkit.songs.growing import GrowingStems
from sepkit.songs.inputs import Song, key_of_name
from sepkit.songs.output import Output
from sepkit.songs.provenance import Provenance, is_stem, provenance_in_head, read_stem
from sepkit.songs.publishing import publish
from sepkit.songs.signal_separator import SignalSeparator

MIXTURE = "mixture"
COMPLETE = "complete, of this song, model and settings"
Progress = Callable[[float, float], None]
"""Told how many seconds of how many are done."""
_NO_INFO, _NO_PROVENANCE = AudioInfo(0, 0, 0), Provenance("", "", "")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of each song: where it goes, which stems, which part of it in seconds.

    `stems` are of the separator's `available`; its `stems` if empty. `two_stems` names a source, which is written with
    its complement.

    `duration` of 0 is up to the end. With `skip_existing`, what is there already and was made of the same song, by the
    same model, with the same settings, is not made again; what was made of the same song otherwise is replaced.

    Raises:
        ConfigError: `start` or `duration` is no number of seconds.
    """

    output: Output
    stems: tuple[str, ...] = ()
    start: float = 0.0
    duration: float = 0.0
    overwrite: bool = False
    skip_existing: bool = False
    two_stems: str = ""

    def __post_init__(self) -> None:
        for name, seconds in (("start", self.start), ("duration", self.duration)):
            if not isfinite(seconds) or seconds < 0:
                raise ConfigError(f"{name} {seconds:g}: give a number of seconds, 0 or more")

    def wanted(self, separator: SignalSeparator) -> tuple[str, ...]:
        """Return the stems to write, in the order in which they were asked for.

        Raises:
            ConfigError: the model makes no such stem.
        """
        if self.two_stems:
            return self.two_stems, separator.complement(self.two_stems)
        separator.check_stems(self.stems)
        return self.stems or separator.stems


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a song: separate a part of it into files, which may be written; skip it; or leave it out.

    `frames` of None are all that come. `reason` tells how the stems that are there differ from those to come. What is
    left out is a stem of sepkit's that a search has found, and has no more than its name here.
    """

    song: Song
    action: Literal["separate", "skip", "leave out"]
    info: AudioInfo = _NO_INFO
    files: dict[str, Path] = field(default_factory=dict)
    start: int = 0
    frames: int | None = None
    provenance: Provenance = _NO_PROVENANCE
    replaces: bool = False
    reason: str = ""

    @property
    def seconds(self) -> float:
        """Length of what is to be separated, as far as it is known beforehand."""
        return (self.info.frames - self.start if self.frames is None else self.frames) / self.info.sample_rate

    @property
    def skipped(self) -> Written:
        """The stems that are there."""
        return Written(self.files, None, skipped=True, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a song's stems, and the one gain that all of them got so that none clips (1: none).

    Of skipped ones, which were there already, the gain is not known. `reason` tells why they were skipped, or why those
    that were there were not.
    """

    files: dict[str, Path]
    gain: float | None = 1.0
    skipped: bool = False
    reason: str = ""


@dataclass(slots=True)
class Job:
    """Separates the songs of one run as wished. `songs` are the resolved paths of all; none of them is written over."""

    separator: SignalSeparator
    decoder: Decoder
    wish: Wish
    songs: frozenset[Path]
    _taken: dict[str, Path] = field(default_factory=dict)

    def plan(self, song: Song) -> Plan:
        """Return what to do with a song.

        Raises:
            AudioError: the song cannot be read, or the format cannot hold it.
            ConfigError: its files exist, or are another song's; or it ends before it shall start.
        """
        if song.path.is_dir():
            raise AudioError(f"{song.path}: no song in this folder")
        try:
            info = self.decoder.header(song.path)
        except AudioError:
            if song.searched and provenance_in_head(song.path):
                return Plan(song, "leave out")
            raise
        if song.searched and is_stem(info.tags):
            return Plan(song, "leave out")
        files = self._files(song, info)
        provenance = Provenance.of(song.path, self.separator.model.checksum, self._settings(list(files)))
        replaces, reason = self.wish.overwrite or self.wish.skip_existing, ""
        self.wish.output.check(files.values(), overwrite=replaces)
        if self.wish.skip_existing:
            reason = self._difference(files, provenance, info.sample_rate)
            if reason == COMPLETE:
                return Plan(song, "skip", info, files, reason=reason)
        start, frames = self._part(song, info, files)
        return Plan(song, "separate", info, files, start, frames, provenance, replaces, reason)

    def grow(self, plan: Plan, folder: Path, progress: Progress) -> GrowingStems:
        """Separate a song into stems that grow in `folder`.

        Raises:
            AudioError: the song breaks off, memory does not suffice, or the disk is full.
        """
        rate, channels = plan.info.sample_rate, plan.info.channels
        together = [MIXTURE] if self.wish.output.all_in_one else []
        stems = GrowingStems(folder, [*together, *plan.files], channels)
        blocks = self.decoder.blocks(plan.song.path, plan.start, plan.frames)
        try:
            with stems:
                heard = _noted(blocks, stems) if together else blocks
                for separated in self.separator.stream(heard, rate, list(plan.files)):
                    stems.write(separated)
                    progress(stems.frames / rate, plan.seconds)
        except OSError as error:
            raise self._unwritable(plan, error) from None
        if not stems.frames:
            raise AudioError(f"{plan.song.path}: the file holds no samples")
        progress(plan.seconds, plan.seconds)  # be it that its length was guessed
        return stems

    def finish(self, plan: Plan, stems: GrowingStems, folder: Path) -> Written:
        """Make the stems in `folder` what the user gets, all or none.

        Raises:
            AudioError: they cannot be written; earlier files stay as they were.
            ConfigError: others have appeared in their place meanwhile.
        """
        encoding = self.wish.output.encoding
        gain = stems.safe_gain if encoding.scales else 1.0
        tags = replace(plan.info.tags, comment=plan.provenance.comment(stems.frames))
        try:
            finished = stems.convert(plan.files, encoding, plan.info.sample_rate, tags, gain)
            publish(finished, folder / "before", overwrite=plan.replaces)
        except OSError as error:
            raise self._unwritable(plan, error) from None
        return Written(plan.files, gain, reason=plan.reason)

    def _difference(self, files: dict[str, Path], wanted: Provenance, sample_rate: int) -> str:
        """Return how stems that are there differ from the wanted ones: `COMPLETE` if not at all, "" if none is there.

        Raises:
            ConfigError: a file is not of this song.
        """
        differences, missing = [], []
        for file in dict.fromkeys(files.values()):
            if not file.exists():
                missing.append(f"{file.name} is missing")
                continue
            stem = read_stem(file, sample_rate, self.decoder)
            difference = stem.difference(wanted) if stem else "was not made by sepkit"
            if not stem or stem.provenance.song != wanted.song:
                raise ConfigError(f"{file} exists, and {difference}; give another -o, or --overwrite to replace it")
            differences.append(difference and f"{file.name} {difference}")
        if not differences:
            return ""
        return next(filter(None, [*differences, *missing]), COMPLETE)

    def _files(self, song: Song, info: AudioInfo) -> dict[str, Path]:
        """Return the files of a song, if no other song of this run gets them, and none of them is a song."""
        wanted = self.wish.wanted(self.separator)
        if not self.wish.output.one_file:
            wanted = tuple(stem for stem in self.separator.available if stem in wanted)
        files = self.wish.output.targets(song.track, info.tags, wanted)
        for file in set(files.values()):
            if file.resolve() in self.songs and not read_stem(file, info.sample_rate, self.decoder):
                raise ConfigError(f"{file} is one of the songs, and would be replaced; give another -o")
            other = self._taken.setdefault(key_of_name(str(file.resolve())), song.path)
            if other != song.path:
                raise ConfigError(f"{file} is already what {other} becomes; put {{track}} into --template")
        return files

    def _part(self, song: Song, info: AudioInfo, files: dict[str, Path]) -> tuple[int, int | None]:
        """Return the first frame and the number of frames that are wanted, if the format can hold them."""
        rate, wish = info.sample_rate, self.wish
        start = round(wish.start * rate)
        if start >= info.frames:
            raise ConfigError(f"{song.path}: lasts {info.seconds:.1f} s, and --start is {wish.start:g}")
        rest = info.frames - start
        frames = min(rest, max(1, round(wish.duration * rate))) if wish.duration else None
        for file in files.values():
            wish.output.encoding.check(file, rate, info.channels, rest if frames is None else frames)
        return start, frames

    def _settings(self, stems: list[str]) -> dict[str, object]:
        separator, wish = self.separator, self.wish
        return {
            **separator.settings.model_dump(),
            "residual": separator.residual,
            "band": separator.band,
            "stems": stems,
            "format": wish.output.encoding.format,
            "bit_depth": wish.output.encoding.depth,
            "start": wish.start,
            "duration": wish.duration,
        }

    def _unwritable(self, plan: Plan, error: OSError) -> AudioError:
        why = error.strerror or error
        return AudioError(f"{plan.song.path}: its stems cannot be written to {self.wish.output.path} ({why})")


def _noted(blocks: Iterator[Samples], stems: GrowingStems) -> Iterator[Samples]:
    for block in blocks:
        stems.write_beside(MIXTURE, block)
        yield block
