"""Many songs, one after the other: a bad one is reported, and the next one is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.songs.growing import GrowingStems
from sepkit.songs.inputs import Song, find_songs
from sepkit.songs.job import Job, Plan, Progress, Wish, Written
from sepkit.songs.signal_separator import SignalSeparator
from sepkit.songs.work_folder import WorkFolder


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input: its stems, or why it failed."""

    input: Path
    written: Written | None = None
    error: str = ""
    exit_code: int = 0


@dataclass(slots=True)
class Watcher:
    """Told what happens while it happens. The default tells nobody."""

    found: Callable[[int], None] = lambda _: None
    """How many songs there are."""
    begun: Callable[[Song], Progress] = lambda _: lambda *_: None
    """A song; returns what is told how far it has come."""
    done: Callable[[Result], None] = lambda _: None
    """What became of a song."""


@dataclass(slots=True)
class Results:
    """What became of all songs, and the stems of sepkit's that were found in folders and are no songs."""

    songs: list[Result] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def separate_one(separator: SignalSeparator, song: Song, wish: Wish) -> Written:
    """Separate one song as wished.

    Raises:
        AudioError: the song cannot be read, or the stems cannot be written.
        ConfigError: a stem that the model does not make, or output that exists.
    """
    _check(separator, [song], [song.path], wish)
    with Decoder() as decoder, WorkFolder(wish.output.root) as work, work.part() as folder:
        job = Job(separator, decoder, wish, frozenset([song.path.resolve()]))
        plan = job.plan(song)
        if plan.action == "skip":
            return plan.skipped
        return job.finish(plan, job.grow(plan, folder, lambda *_: None), folder)


def separate_files(
    separator: SignalSeparator, decoder: Decoder, inputs: Sequence[Path], wish: Wish, watcher: Watcher
) -> Results:
    """Separate songs, files and those in folders, as wished.

    Raises:
        AudioError: an output folder that cannot be written.
        ConfigError: a stem that the model does not make, one output file for several songs or stems, or an output
            folder that is the songs' own.
    """
    job, songs = job_of(separator, decoder, inputs, wish)
    watcher.found(len(songs))
    with WorkFolder(wish.output.root) as work:
        return _Run(job, work, watcher).all(songs)


def job_of(separator: SignalSeparator, decoder: Decoder, inputs: Sequence[Path], wish: Wish) -> tuple[Job, list[Song]]:
    """Return what separates the songs of a batch, and the songs.

    Raises:
        ConfigError: see `separate_files`.
    """
    songs = find_songs(inputs)
    _check(separator, songs, inputs, wish)
    return Job(separator, decoder, wish, frozenset(song.path.resolve() for song in songs)), songs


@dataclass(slots=True)
class _Run:
    job: Job
    work: WorkFolder
    watcher: Watcher
    results: Results = field(default_factory=Results)
    _converting: list[GrowingStems] = field(default_factory=list)

    def all(self, songs: Sequence[Song]) -> Results:
        """Separate songs one after the other; while one is written as what the user gets, the next one is computed."""
        before: Future[Result] | None = None
        with ThreadPoolExecutor(1) as finisher:
            try:
                for song in songs:
                    now = self._begin(song, finisher)
                    self._note(before)
                    before = now
                self._note(before)
            except BaseException:
                for stems in list(self._converting):  # the finisher takes them out meanwhile
                    stems.abandon()
                raise
        return self.results

    def _note(self, future: Future[Result] | None) -> None:
        if future is not None:
            result = future.result()
            self.results.songs.append(result)
            self.watcher.done(result)

    def _begin(self, song: Song, finisher: ThreadPoolExecutor) -> Future[Result] | None:
        """Return the result to come, for what is left to be done is writing the files; None if it is no song."""
        stack = ExitStack()
        try:
            plan = self.job.plan(song)
            if plan.action == "leave out":
                self.results.left_out.append(song.path)
                return None
            if plan.action == "skip":
                return _known(Result(song.path, plan.skipped))
            folder = stack.enter_context(self.work.part())
            stems = self.job.grow(plan, folder, self.watcher.begun(song))
        except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
            stack.close()
            return _known(failed(song, error))
        except BaseException:
            stack.close()
            raise
        self._converting.append(stems)
        return finisher.submit(self._end, plan, stems, folder, stack)

    def _end(self, plan: Plan, stems: GrowingStems, folder: Path, stack: ExitStack) -> Result:
        with stack:
            try:
                return Result(plan.song.path, self.job.finish(plan, stems, folder))
            except Exception as error:  # noqa: BLE001
                return failed(plan.song, error)
            finally:
                self._converting.remove(stems)


def _known(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def failed(song: Song, error: Exception) -> Result:
    """Return the result of a song that has failed."""
    if isinstance(error, SepkitError):
        return Result(song.path, None, str(error), error.exit_code)
    return Result(song.path, None, f"{song.path}: {reason(error)}", 1)


def _check(separator: SignalSeparator, songs: Sequence[Song], inputs: Sequence[Path], wish: Wish) -> None:
    """Refuse what would be wrong for every song."""
    output, wanted = wish.output, wish.wanted(separator)
    if output.one_file and len(songs) > 1:
        raise ConfigError(f"-o {output.path} names one file, for {len(songs)} songs; name a folder")
    if output.one_file and (wish.stems or wish.two_stems) and len(wanted) > 1 and not output.all_in_one:
        raise ConfigError(f"-o {output.path} names one file, for {len(wanted)} stems; name a folder")
    own = {(path if path.is_dir() else path.parent).resolve() for path in inputs}
    if not output.one_file and output.path.resolve() in own and not wish.overwrite:
        raise ConfigError(
            f"-o {output.path} is the folder of the songs; give another -o, or --overwrite to write there"
        )
