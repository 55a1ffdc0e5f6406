"""Many songs, one after the other: a song that fails is reported, and the next one is separated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.songs.inputs import InputSong, find_songs
from sepkit.songs.pipeline import Pipeline, Plan, Progress, SeparationOptions, StemFiles
from sepkit.songs.raw_stems import RawStems
from sepkit.songs.signal_separator import SignalSeparator
from sepkit.songs.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class SongResult:
    """The outcome of one song: its stems, or the reason of its failure."""

    input: Path
    stems: StemFiles | None = None
    error: str = ""
    exit_code: int = 0

    @classmethod
    def failed(cls, song: InputSong, error: Exception) -> SongResult:
        """Return the result of a song that ended with an error."""
        if isinstance(error, SepkitError):
            return cls(song.path, None, str(error), error.exit_code)
        return cls(song.path, None, f"{song.path}: {reason(error)}", 1)


@dataclass(slots=True)
class BatchEvents:
    """Callbacks for the events of a batch. The defaults do nothing."""

    found: Callable[[int], None] = lambda _: None
    """The number of songs is known."""
    begun: Callable[[InputSong], Progress] = lambda _: lambda *_: None
    """A song begins; returns its progress callback."""
    done: Callable[[SongResult], None] = lambda _: None


@dataclass(slots=True)
class BatchResult:
    """The results of all songs, and the files that were left out: stems of sepkit's in the folders of songs."""

    songs: list[SongResult] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def separate_one(separator: SignalSeparator, song: InputSong, options: SeparationOptions) -> StemFiles:
    """Separate one song.

    Raises:
        AudioError: the song cannot be read, or the stems cannot be written.
        ConfigError: a stem that the model does not make, or output that exists.
    """
    with Decoder() as decoder:
        pipeline = pipeline_of(separator, decoder, [song], [song.path], options)
        with WorkFolder(options.output.root) as work, work.part() as folder:
            plan = pipeline.plan(song)
            return pipeline.finish(plan, pipeline.grow(plan, folder, lambda *_: None), folder)


def separate_files(
    separator: SignalSeparator,
    decoder: Decoder,
    inputs: Sequence[Path],
    options: SeparationOptions,
    events: BatchEvents,
) -> BatchResult:
    """Separate songs: files, and those in folders.

    Raises:
        AudioError: an output folder that cannot be written.
        ConfigError: a stem that the model does not make, one output file for several songs or stems, or an output
            folder that is the songs' own.
    """
    songs = find_songs(inputs)
    pipeline = pipeline_of(separator, decoder, songs, inputs, options)
    events.found(len(songs))
    with WorkFolder(options.output.root) as work:
        return _Run(pipeline, work, events).all(songs)


def pipeline_of(
    separator: SignalSeparator,
    decoder: Decoder,
    songs: Sequence[InputSong],
    inputs: Sequence[Path],
    options: SeparationOptions,
) -> Pipeline:
    """Return the pipeline of songs that were found in `inputs`.

    Raises:
        ConfigError: options that are wrong for every song, see `separate_files`.
    """
    output, wanted = options.output, options.wanted(separator)
    if output.one_file and len(songs) > 1:
        raise ConfigError(f"-o {output.path} names one file, for {len(songs)} songs; name a folder")
    if output.one_file and (options.stems or options.two_stems) and len(wanted) > 1 and not output.all_in_one:
        raise ConfigError(f"-o {output.path} names one file, for {len(wanted)} stems; name a folder")
    own = {(path if path.is_dir() else path.parent).resolve() for path in inputs}
    if not output.one_file and output.path.resolve() in own and not options.overwrite:
        raise ConfigError(
            f"-o {output.path} is the folder of the songs; give another -o, or --overwrite to write there"
        )
    return Pipeline(separator, decoder, options, frozenset(song.path.resolve() for song in songs))


@dataclass(slots=True)
class _Run:
    pipeline: Pipeline
    work: WorkFolder
    events: BatchEvents
    result: BatchResult = field(default_factory=BatchResult)
    _converting: list[RawStems] = field(default_factory=list)

    def all(self, songs: Sequence[InputSong]) -> BatchResult:
        """Separate songs one after the other; while one is converted, the network runs on the next."""
        before: Future[SongResult] | None = None
        with ThreadPoolExecutor(1) as finisher:
            try:
                for song in songs:
                    finish = self._begin(song)
                    now = finish and finisher.submit(finish)
                    self._note(before)
                    before = now
                self._note(before)
            except BaseException:
                for raw in list(self._converting):  # the finisher takes them out meanwhile
                    raw.abandon()
                raise
        return self.result

    def _note(self, future: Future[SongResult] | None) -> None:
        if future is not None:
            result = future.result()
            self.result.songs.append(result)
            self.events.done(result)

    def _begin(self, song: InputSong) -> Callable[[], SongResult] | None:
        """Separate a song; return the function that converts its stems, or None if it is left out."""
        with ExitStack() as stack:
            try:
                plan = self.pipeline.plan(song)
                if plan.action == "leave out":
                    self.result.left_out.append(song.path)
                    return None
                if plan.action == "skip":
                    return partial(SongResult, song.path, plan.skipped)
                folder = stack.enter_context(self.work.part())
                raw = self.pipeline.grow(plan, folder, self.events.begun(song))
            except Exception as error:  # noqa: BLE001  the next song is separated, whatever fails here
                return partial(SongResult.failed, song, error)
            self._converting.append(raw)
            return partial(self._end, plan, raw, folder, stack.pop_all())

    def _end(self, plan: Plan, raw: RawStems, folder: Path, stack: ExitStack) -> SongResult:
        with stack:
            try:
                return SongResult(plan.song.path, self.pipeline.finish(plan, raw, folder))
            except Exception as error:  # noqa: BLE001
                return SongResult.failed(plan.song, error)
            finally:
                self._converting.remove(raw)
