"""One song becomes its stems: planned, separated block by block, finished."""

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
from sepkit.separation.stream import separated
from sepkit.songs.inputs import InputSong, key_of_name
from sepkit.songs.output import Output
from sepkit.songs.provenance import Provenance, is_stem, provenance_in_head, read_stem
from sepkit.songs.publishing import publish
from sepkit.songs.raw_stems import RawStems
from sepkit.songs.signal_separator import SignalSeparator

MIXTURE = "mixture"
COMPLETE = "complete, of this song, model and settings"
Progress = Callable[[float, float], None]
"""Called with the seconds that are done, and those of the whole song."""
_NO_INFO, _NO_PROVENANCE = AudioInfo(0, 0, 0), Provenance("", "", "")


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """Options of a run: its output, the stems to write, and the part of each song in seconds.

    `stems` are of the separator's `available`; its `stems` if empty. `two_stems` names a source, which is written with
    its complement.

    `duration` of 0 is up to the end. `skip_existing` keeps stems of the same song, model and settings, and replaces
    other stems of the song.

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
class StemFiles:
    """The files of a song's stems, and the one gain of all of them that keeps each from clipping (1: none).

    The gain of skipped stems, which existed already, is unknown. `reason` says why stems were skipped, or why those
    that existed were not. `seconds` of audio were separated.
    """

    files: dict[str, Path]
    gain: float | None = 1.0
    skipped: bool = False
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision about a song: separate a part of it into files, skip it, or leave out a stem that a search found.

    `frames` of None are all that come. `reason` says how existing stems differ from those to come. A stem that is left
    out has no more than its path here.
    """

    song: InputSong
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
        """Length of the part to be separated, as far as it is known beforehand."""
        return (self.info.frames - self.start if self.frames is None else self.frames) / self.info.sample_rate

    @property
    def skipped(self) -> StemFiles:
        """The existing stems."""
        return StemFiles(self.files, None, skipped=True, reason=self.reason)


@dataclass(slots=True)
class Pipeline:
    """Separates the songs of one run. `songs` are the resolved paths of all of them; none is written over."""

    separator: SignalSeparator
    decoder: Decoder
    options: SeparationOptions
    songs: frozenset[Path]
    _taken: dict[str, Path] = field(default_factory=dict)

    def plan(self, song: InputSong) -> Plan:
        """Decide about a song.

        Raises:
            AudioError: the song cannot be read, or the format cannot hold it.
            ConfigError: its files exist, or are another song's; or it ends before --start.
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
        replaces, reason = self.options.overwrite or self.options.skip_existing, ""
        self.options.output.check(files.values(), overwrite=replaces)
        if self.options.skip_existing:
            reason = self._difference(files, provenance, info.sample_rate)
            if reason == COMPLETE:
                return Plan(song, "skip", info, files, reason=reason)
        start, frames = self._part(song, info, files)
        return Plan(song, "separate", info, files, start, frames, provenance, replaces, reason)

    def grow(self, plan: Plan, folder: Path, progress: Progress) -> RawStems:
        """Separate a song into raw stems that grow in `folder`.

        Raises:
            AudioError: the song is truncated, memory does not suffice, or the disk is full.
        """
        rate, separator = plan.info.sample_rate, self.separator
        mixture = [MIXTURE] if self.options.output.all_in_one else []
        raw = RawStems(folder, [*mixture, *plan.files], plan.info.channels)
        recipes = [separator.recipes[stem] for stem in plan.files]

        def blocks() -> Iterator[Samples]:
            for block in self.decoder.blocks(plan.song.path, plan.start, plan.frames):
                if mixture:
                    raw.append(MIXTURE, block)
                yield block

        try:
            with raw:
                engine = separator.engine(rate, plan.info.channels)
                for part in separated(engine, blocks(), rate, recipes):
                    for stem, samples in zip(plan.files, part, strict=True):
                        raw.append(stem, samples)
                    raw.frames += part.shape[-1]
                    progress(raw.frames / rate, plan.seconds)
        except OSError as error:
            raise self._unwritable(plan, error) from None
        progress(plan.seconds, plan.seconds)  # even if the length was estimated
        return raw

    def finish(self, plan: Plan, raw: RawStems, folder: Path) -> StemFiles:
        """Convert the raw stems in `folder` and give them their names, all or none.

        Raises:
            AudioError: they cannot be written; earlier files stay as they were.
            ConfigError: others have appeared in their place meanwhile.
        """
        encoding = self.options.output.encoding
        gain = raw.safe_gain if encoding.scales else 1.0
        tags = replace(plan.info.tags, comment=plan.provenance.comment(raw.frames))
        try:
            finished = raw.convert(plan.files, encoding, plan.info.sample_rate, tags, gain)
            publish(finished, folder / "before", overwrite=plan.replaces)
        except OSError as error:
            raise self._unwritable(plan, error) from None
        return StemFiles(plan.files, gain, reason=plan.reason, seconds=raw.frames / plan.info.sample_rate)

    def _difference(self, files: dict[str, Path], wanted: Provenance, sample_rate: int) -> str:
        """Return the difference between existing and wanted stems: `COMPLETE` if there is none, "" if none exists.

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

    def _files(self, song: InputSong, info: AudioInfo) -> dict[str, Path]:
        """Return the files of a song, if no other song of this run gets them, and none of them is a song."""
        wanted, output = self.options.wanted(self.separator), self.options.output
        if not output.one_file:
            wanted = tuple(stem for stem in self.separator.available if stem in wanted)
        files = output.targets(song.name, info.tags, wanted)
        for file in set(files.values()):
            if file.resolve() in self.songs and not read_stem(file, info.sample_rate, self.decoder):
                raise ConfigError(f"{file} is one of the songs, and would be replaced; give another -o")
            other = self._taken.setdefault(key_of_name(str(file.resolve())), song.path)
            if other != song.path:
                raise ConfigError(f"{file} is already a stem of {other}; put {{track}} into --template")
        return files

    def _part(self, song: InputSong, info: AudioInfo, files: dict[str, Path]) -> tuple[int, int | None]:
        """Return the first frame and the number of frames to separate, if the format can hold them."""
        rate, options = info.sample_rate, self.options
        start = round(options.start * rate)
        if start >= info.frames:
            raise ConfigError(f"{song.path}: lasts {info.seconds:.1f} s, and --start is {options.start:g}")
        remaining = info.frames - start
        frames = min(remaining, max(1, round(options.duration * rate))) if options.duration else None
        for file in files.values():
            options.output.encoding.check(file, rate, info.channels, remaining if frames is None else frames)
        return start, frames

    def _settings(self, stems: list[str]) -> dict[str, object]:
        separator, options = self.separator, self.options
        return {
            **separator.settings.model_dump(),
            "residual": separator.residual,
            "band": separator.band,
            "stems": stems,
            "format": options.output.encoding.format,
            "bit_depth": options.output.encoding.depth,
            "start": options.start,
            "duration": options.duration,
        }

    def _unwritable(self, plan: Plan, error: OSError) -> AudioError:
        why = error.strerror or error
        return AudioError(f"{plan.song.path}: its stems cannot be written to {self.options.output.path} ({why})")
