"""Many songs, one after the other: a bad one is reported, and the next one is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit.audio.decoder import Decoder
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.separation.songs.inputs import Song, find_songs
from sepkit.separation.songs.separation import Planner, Progress, Wish, Written, finish, grow
from sepkit.separation.songs.work_folder import WorkFolder

if TYPE_CHECKING:
    from sepkit.separation.separator import Separator


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input."""

    input: Path
    files: dict[str, Path] = field(default_factory=dict)
    gain: float = 1.0
    skipped: bool = False
    error: str = ""
    exit_code: int = 0


def separate_one(separator: Separator, song: Song, wish: Wish) -> Written:
    """Separate one song as wished.

    Raises:
        AudioError: the song cannot be read, or the stems cannot be written.
        ConfigError: a stem that the model does not make, or output that exists.
    """
    separator.check_stems(wish.stems)
    _check([song], [song.path], wish)
    with Decoder() as decoder, WorkFolder(wish.output.root) as work, work.part() as folder:
        plan = Planner(separator, decoder, wish, frozenset([song.path.resolve()])).plan(song)
        if isinstance(plan, Written):
            return plan
        return finish(plan, grow(plan, separator, decoder, folder, wish, _nobody), wish.output)


def separate_files(
    separator: Separator,
    inputs: Sequence[Path],
    wish: Wish,
    done: Callable[[Result], None] = lambda _: None,
    progress: Callable[[Song], Progress] = lambda _: _nobody,
) -> list[Result]:
    """Separate songs, files and those in folders, as wished.

    Args:
        separator: The model.
        inputs: Files and folders.
        wish: What becomes of each song.
        done: Told of each result as soon as it is there.
        progress: Returns what is told how far a song has come.

    Raises:
        AudioError: a folder without songs, or an output folder that cannot be written.
        ConfigError: a stem that the model does not make, one output file for several songs or stems, or an output
            folder that is the songs' own.
    """
    separator.check_stems(wish.stems)
    songs = find_songs(inputs, wish.output.path)
    _check(songs, inputs, wish)
    with ExitStack() as stack:
        decoder = stack.enter_context(Decoder())
        work = stack.enter_context(WorkFolder(wish.output.root))
        planner = Planner(separator, decoder, wish, frozenset(song.path.resolve() for song in songs))
        run = _Run(planner, work, progress)
        return run.all(songs, done)


def _nobody(done: float, seconds: float) -> None:
    """Be told of progress, and tell nobody."""


@dataclass(slots=True)
class _Run:
    planner: Planner
    work: WorkFolder
    progress: Callable[[Song], Progress]

    def all(self, songs: Iterable[Song], done: Callable[[Result], None]) -> list[Result]:
        """Separate songs one after the other; while one is written as what the user gets, the next one is computed."""
        results: list[Result] = []

        def note(result: Result) -> None:
            results.append(result)
            done(result)

        with ThreadPoolExecutor(1) as finisher:
            before: Future[Result] | None = None
            for song in songs:
                now = self._begin(song, finisher)
                if before:
                    note(before.result())
                before = now
            if before:
                note(before.result())
        return results

    def _begin(self, song: Song, finisher: ThreadPoolExecutor) -> Future[Result]:
        """Return the result to come: what is left to be done is writing the files."""
        stack = ExitStack()
        try:
            plan = self.planner.plan(song)
            if isinstance(plan, Written):
                return _known(_result(song, plan))
            folder = stack.enter_context(self.work.part())
            stems = grow(
                plan, self.planner.separator, self.planner.decoder, folder, self.planner.wish, self.progress(song)
            )
        except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
            stack.close()
            return _known(_failed(song, error))
        except BaseException:
            stack.close()
            raise

        def end() -> Result:
            with stack:
                try:
                    return _result(song, finish(plan, stems, self.planner.wish.output))
                except Exception as error:  # noqa: BLE001
                    return _failed(song, error)

        return finisher.submit(end)


def _known(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _result(song: Song, written: Written) -> Result:
    return Result(song.path, written.files, written.gain, written.skipped)


def _failed(song: Song, error: Exception) -> Result:
    if isinstance(error, SepkitError):
        return Result(song.path, error=str(error), exit_code=error.exit_code)
    return Result(song.path, error=f"{song.path}: {reason(error)}", exit_code=1)


def _check(songs: Sequence[Song], inputs: Sequence[Path], wish: Wish) -> None:
    """Refuse what would be wrong for every song."""
    output = wish.output
    if output.one_file and len(songs) > 1:
        raise ConfigError(f"-o {output.path} names one file, for {len(songs)} songs; name a folder")
    if output.one_file and len(wish.stems) > 1 and not output.all_in_one:
        raise ConfigError(f"-o {output.path} names one file, for {len(wish.stems)} stems; name a folder")
    own = {(path if path.is_dir() else path.parent).resolve() for path in inputs}
    if not output.one_file and output.path.resolve() in own and not wish.overwrite:
        raise ConfigError(
            f"-o {output.path} is the folder of the songs; give another -o, or --overwrite to write there"
        )
