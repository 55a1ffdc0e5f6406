"""`sepkit separate`"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import click

from sepkit.cli import options
from sepkit.cli.command_line import rerun_command
from sepkit.cli.verb import Report, Verb
from sepkit.errors import ConfigError
from sepkit.terminal import one_line, say

if TYPE_CHECKING:
    from sepkit.audio.writing.encoding import BitDepth, Format
    from sepkit.songs.batch import Result, Results, Watcher
    from sepkit.songs.inputs import Song
    from sepkit.songs.job import Progress, Wish

PRESETS = {"karaoke": ("instrumental",), "acapella": ("vocals",), "drumless": ("no_drums",)}


@click.command(cls=Verb)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=options.FILE)
@options.model
@click.option(
    "-o", "--output", type=options.FILE, metavar="PATH", default="separated", show_default=True,
    help="A folder that gets <track>/<stem>.<format>; a name with an audio ending gets the target alone.",
)  # fmt: skip
@click.option(
    "--stems", metavar="A,B", default="",
    help="Write these stems only. Beside the stems of the model: instrumental (all but vocals), no_drums (all but "
    "drums), no_NAME.",
)  # fmt: skip
@click.option("--two-stems", metavar="NAME", default="", help="Write this stem, and one stem of everything else.")
@click.option(
    "--preset", type=click.Choice([*PRESETS]), help="karaoke: the song without vocals; acapella: vocals; drumless: the "
    "song without drums.",
)  # fmt: skip
@click.option(
    "--residual", metavar="NAME",
    help="Name of the stem that holds everything the model does not extract. Default: the name in the model file.",
)  # fmt: skip
@click.option("--no-residual", is_flag=True, help="Leave the residual out.")
@click.option(
    "--format", "format_", type=click.Choice(["wav", "flac", "mp3", "ogg", "aiff", "stem.mp4"], case_sensitive=False),
    help="Of the stems; stem.mp4 holds all of them. Default: the ending of -o, or wav.",
)  # fmt: skip
@click.option("--bit-depth", type=click.Choice(["16", "24", "float"]), help="Of wav, aiff and flac.  [default: 16]")
@click.option(
    "--template", metavar="T", default="",
    help="Names of the files below -o, with {track}, {stem}, {artist}, {title}. Default: {track}/{stem}.",
)  # fmt: skip
@click.option("--start", type=click.FloatRange(min=0), metavar="S", default=0.0, help="Begin S seconds into the song.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Separate S seconds. Default: all."
)
@click.option(
    "--band", type=click.Choice(["full", "model"]), default="full", show_default=True,
    help="full: at the rate of the song; model: resampled to the rate that the model was trained at.",
)  # fmt: skip
@click.option(
    "--backend", type=click.Choice(["auto", "torch", "onnx"]), default="auto", show_default=True,
    help="What runs the network; auto: ONNX Runtime on a CPU for models that can do without PyTorch.",
)  # fmt: skip
@click.option(
    "--skip-existing", is_flag=True,
    help="Skip songs whose stems are there, of the same song, model and settings; replace other stems of the song.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace stems that exist.")
@click.option("--report", is_flag=True, help="Also write report.html beside the stems, to see and to hear them.")
@options.device
def separate(
    inputs: tuple[Path, ...],
    model: str,
    output: Path,
    stems: str,
    two_stems: str,
    preset: str | None,
    residual: str | None,
    no_residual: bool,
    format_: Literal["wav", "flac", "mp3", "ogg", "aiff", "stem.mp4"] | None,
    bit_depth: Literal["16", "24", "float"] | None,
    template: str,
    start: float,
    duration: float | None,
    band: Literal["full", "model"],
    backend: Literal["auto", "torch", "onnx"],
    skip_existing: bool,
    overwrite: bool,
    report: bool,
    device: str,
) -> Report:
    """Separate songs into stems that add up to them, at their own rate, channels and length.

    INPUT is an audio file, or a folder that is searched for them to the bottom. A bad file is reported, and the next
    one is done.
    """
    from sepkit.audio.untrusted.decoder import Decoder

    residual = residual_of(residual, no_residual=no_residual)
    with Decoder() as decoder:
        decoder.begin()  # while the other modules are imported
        from sepkit.checkpoints.locate import locate
        from sepkit.separation.engine.memory import share_one_heap
        from sepkit.songs.batch import separate_files
        from sepkit.songs.separator import Separator

        wish = wish_of(
            output, stems, two_stems, preset, format_, bit_depth, template, start, duration, skip_existing, overwrite
        )
        if report:
            _report_file(wish)
        share_one_heap()
        separator = Separator.load(locate(model), device, band=band, backend=backend, residual=residual)
        if residual is None and not separator.residual and not (wish.stems or wish.two_stems):
            say("The stems of this model need not add up to the song. --residual NAME writes what they leave")
        with Display() as display:
            results = separate_files(separator, decoder, inputs, wish, display.watcher())
    return report_of(results, _write_report(results, wish) if report else None)


def residual_of(name: str | None, *, no_residual: bool) -> str | None:
    """Return the residual's name that --residual and --no-residual mean: none is empty, that of the model is None."""
    if name and no_residual:
        raise ConfigError("--residual and --no-residual contradict each other; give one")
    return "" if no_residual else name


def wish_of(
    output: Path,
    stems: str,
    two_stems: str,
    preset: str | None,
    format_: Format | None,
    bit_depth: BitDepth | None,
    template: str,
    start: float,
    duration: float | None,
    skip_existing: bool,
    overwrite: bool,
) -> Wish:
    """Return what the options of these names mean."""
    from sepkit.songs.job import Wish
    from sepkit.songs.output import Output

    if skip_existing and overwrite:
        raise ConfigError("--skip-existing and --overwrite contradict each other; give one")
    if bool(stems) + bool(two_stems) + bool(preset) > 1:
        raise ConfigError("--stems, --two-stems and --preset contradict each other; give one")
    wanted = tuple(stem.strip() for stem in stems.split(",") if stem.strip()) or PRESETS.get(preset or "", ())
    to = Output.of(output, format_, bit_depth, template)
    return Wish(to, wanted, start, duration or 0.0, overwrite, skip_existing, two_stems)


def _report_file(wish: Wish) -> None:
    """Refuse a report that cannot be written, before anything is separated."""
    from sepkit.songs.report import report_file

    report_file(wish)


def _write_report(results: Results, wish: Wish) -> Path:
    from sepkit.songs.report import write_report_of

    return write_report_of(results.songs, wish)


class Display:
    """Says on stderr how far the songs have come, and what is to be known of each as soon as it is.

    In a terminal a bar shows the song that is worked on; elsewhere, each of several songs has a line when it is done.
    """

    def __init__(self) -> None:
        from sepkit.progress import Songs

        self._bars = Songs()
        self._songs = self._begun = self._done = 0

    def watcher(self) -> Watcher:
        from sepkit.songs.batch import Watcher

        return Watcher(self._found, self._begin, self._tell)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.__exit__(kind, error, at)
        if kind is not None and not issubclass(kind, Exception) and self._songs > 1:
            command = rerun_command(click.get_current_context(), without=("overwrite",), adding=("--skip-existing",))
            say(f"{self._done} of {self._songs} songs are done. Go on with:\n  {command}")

    def _found(self, songs: int) -> None:
        self._songs = songs

    def _begin(self, song: Song) -> Progress:
        self._begun += 1
        number = f"{self._begun}/{self._songs} " if self._songs > 1 else ""
        return self._bars.watched(f"{number}{one_line(song.track)}")

    def _tell(self, result: Result) -> None:
        self._done += 1
        if result.error:
            self._bars.say(f"Error: {one_line(result.error)}")
            return
        if result.written and result.written.gain is not None and result.written.gain < 1:
            factor = f"{result.written.gain:.3f}"
            self._bars.say(
                one_line(f"{result.input}: all stems turned down by the factor {factor}, or they would clip")
            )
        counted = f"{self._done}/{self._songs} " if self._songs > 1 and not self._bars.shown else ""
        note = _note(result)
        if counted or note:
            self._bars.say(one_line(f"{counted}{result.input}{note}"))


def _note(result: Result) -> str:
    """Return why stems that were there already count as these ones, or why they were replaced, to follow a path."""
    if not result.written or not result.written.reason:
        return ""
    return f": {'skipped, its stems are' if result.written.skipped else 'separated again;'} {result.written.reason}"


def report_of(results: Results, page: Path | None) -> Report:
    """Return what became of all songs, for --json and for a person, and the exit code."""
    failed = [result for result in results.songs if result.error]
    skipped = [result for result in results.songs if result.written and result.written.skipped]
    done = len(results.songs) - len(failed)
    data: dict[str, Any] = {
        "tracks": [
            {
                "input": str(result.input),
                "files": {stem: str(file) for stem, file in (result.written.files if result.written else {}).items()},
                "gain": result.written.gain if result.written else None,
                "skipped": bool(result.written and result.written.skipped),
                "reason": (result.written and result.written.reason) or None,
                "error": result.error or None,
            }
            for result in results.songs
        ],
        "ok": done,
        "skipped": len(skipped),
        "failed": len(failed),
        "left_out": [str(path) for path in results.left_out],
        "report": str(page) if page else None,
    }
    human = [
        str(file)
        for result in results.songs if result.written and not result.written.skipped
        for file in dict.fromkeys(result.written.files.values())
    ]  # fmt: skip
    human += [str(page)] if page else []
    if results.left_out:
        human.append(f"{len(results.left_out)} files left out: stems that sepkit has made")
    if len(results.songs) > 1 or skipped:
        there = f" ({len(skipped)} there already)" if skipped else ""
        human.append(f"{done} ok{there}, {len(failed)} failed")
    code = failed[0].exit_code if len(results.songs) == len(failed) == 1 else int(bool(failed))
    return Report(data, human, exit_code=code)
