"""`sepkit separate`"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
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
    from sepkit.songs.batch import BatchEvents, BatchResult, SongResult
    from sepkit.songs.inputs import InputSong
    from sepkit.songs.pipeline import Progress, SeparationOptions


# Seconds of audio from which on a speed is measured.
_TIMED = 30.0
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
    help="Of the stems; stem.mp4 holds all in one file. Default: the ending of -o, or wav.",
)  # fmt: skip
@click.option("--bit-depth", type=click.Choice(["16", "24", "float"]), help="Of wav, aiff and flac.  [default: 16]")
@click.option(
    "--template", metavar="T", default="",
    help="Names of the files below -o, with {track}, {stem}, {artist}, {title}. Default: {track}/{stem}.",
)  # fmt: skip
@click.option("--start", type=click.FloatRange(min=0), metavar="S", default=0.0, help="Skip S seconds of each song.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Separate S seconds. Default: all."
)
@click.option(
    "--band", type=click.Choice(["full", "model"]), default="full", show_default=True,
    help="full: at the rate of the song; model: resampled to the rate that the model was trained at.",
)  # fmt: skip
@click.option(
    "--backend", type=click.Choice(["auto", "torch", "onnx"]), default="auto", show_default=True,
    help="Runs the network; auto: ONNX Runtime on a CPU for models that need no PyTorch.",
)  # fmt: skip
@click.option(
    "--skip-existing", is_flag=True,
    help="Skip songs whose stems exist, of the same song, model and settings; replace other stems of the song.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace stems that exist.")
@click.option("--report", is_flag=True, help="Also write report.html beside the stems: a page with pictures and sound.")
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

    INPUT is an audio file, or a folder, searched recursively. Unreadable files are reported and skipped.
    """
    from sepkit.audio.untrusted.decoder import Decoder

    residual = residual_of(residual, no_residual=no_residual)
    with Decoder() as decoder:
        decoder.begin()  # while the other modules are imported
        from sepkit.cache.speeds import note_speed
        from sepkit.checkpoints.locate import locate
        from sepkit.separation.engine.memory import share_one_heap
        from sepkit.songs.batch import separate_files
        from sepkit.songs.separator import Separator

        options = options_of(
            output, stems, two_stems, preset, format_, bit_depth, template, start, duration, skip_existing, overwrite
        )
        if report:
            from sepkit.songs.report import report_file, write_report_of

            report_file(options)  # refused before anything is separated
        share_one_heap()
        separator = Separator.load(locate(model), device, band=band, backend=backend, residual=residual)
        if residual is None and not separator.adds_up and not (options.stems or options.two_stems):
            say("The stems of this model need not add up to the song. --residual NAME writes what they leave")
        with Display() as display:
            started = perf_counter()
            batch = separate_files(separator, decoder, inputs, options, display.events())
    seconds = sum(result.stems.seconds for result in batch.songs if result.stems)
    if seconds >= _TIMED:
        note_speed(separator.model.checksum, seconds / (perf_counter() - started))
    return report_of(batch, write_report_of(batch.songs, options) if report else None)


def residual_of(name: str | None, *, no_residual: bool) -> str | None:
    """Return the residual's name that two options mean together: "" is no residual, None the model file's."""
    if name and no_residual:
        raise ConfigError("--residual and --no-residual contradict each other; give one")
    return "" if no_residual else name


def options_of(
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
) -> SeparationOptions:
    """Return the options of a run that the command line's options of these names mean."""
    from sepkit.songs.output import Output
    from sepkit.songs.pipeline import SeparationOptions

    if skip_existing and overwrite:
        raise ConfigError("--skip-existing and --overwrite contradict each other; give one")
    if bool(stems) + bool(two_stems) + bool(preset) > 1:
        raise ConfigError("--stems, --two-stems and --preset contradict each other; give one")
    wanted = tuple(stem.strip() for stem in stems.split(",") if stem.strip()) or PRESETS.get(preset or "", ())
    to = Output.of(output, format_, bit_depth, template)
    return SeparationOptions(to, wanted, start, duration or 0.0, overwrite, skip_existing, two_stems)


class Display:
    """Context manager: the progress of a batch on stderr.

    In a terminal a bar shows the current song; elsewhere, each of several songs has a line when it is done.
    """

    def __init__(self) -> None:
        from sepkit.progress import SongBars

        self._bars = SongBars()
        self._songs = self._begun = self._done = 0

    def events(self) -> BatchEvents:
        """Return the callbacks that show the progress."""
        from sepkit.songs.batch import BatchEvents

        return BatchEvents(self._found, self._begin, self._tell)

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

    def _begin(self, song: InputSong) -> Progress:
        self._begun += 1
        number = f"{self._begun}/{self._songs} " if self._songs > 1 else ""
        return self._bars.begin(f"{number}{one_line(song.name)}")

    def _tell(self, result: SongResult) -> None:
        self._done += 1
        if result.error or not result.stems:
            self._bars.say(f"Error: {one_line(result.error)}")
            return
        stems = result.stems
        if stems.gain is not None and stems.gain < 1:
            text = f"{result.input}: all stems turned down by the factor {stems.gain:.3f}, or they would clip"
            self._bars.say(one_line(text))
        counted = f"{self._done}/{self._songs} " if self._songs > 1 and not self._bars.shown else ""
        note = ""
        if stems.reason:
            note = f": {'skipped, its stems are' if stems.skipped else 'separated again;'} {stems.reason}"
        if counted or note:
            self._bars.say(one_line(f"{counted}{result.input}{note}"))


def report_of(batch: BatchResult, page: Path | None) -> Report:
    """Return the results of a batch as JSON, as lines of text, and as an exit code."""
    failed = [result for result in batch.songs if result.error]
    skipped = [result for result in batch.songs if result.stems and result.stems.skipped]
    done = len(batch.songs) - len(failed)
    data: dict[str, Any] = {
        "tracks": [_as_json(result) for result in batch.songs],
        "ok": done,
        "skipped": len(skipped),
        "failed": len(failed),
        "left_out": [str(path) for path in batch.left_out],
        "report": str(page) if page else None,
    }
    new = [result.stems for result in batch.songs if result.stems and not result.stems.skipped]
    human = [str(file) for stems in new for file in dict.fromkeys(stems.files.values())]
    human += [str(page)] if page else []
    if batch.left_out:
        human.append(f"{len(batch.left_out)} files left out: stems that sepkit has made")
    if len(batch.songs) > 1 or skipped:
        there = f" ({len(skipped)} there already)" if skipped else ""
        human.append(f"{done} ok{there}, {len(failed)} failed")
    code = failed[0].exit_code if len(batch.songs) == len(failed) == 1 else int(bool(failed))
    return Report(data, human, exit_code=code)


def _as_json(result: SongResult) -> dict[str, Any]:
    stems = result.stems
    return {
        "input": str(result.input),
        "files": {stem: str(file) for stem, file in stems.files.items()} if stems else {},
        "gain": stems.gain if stems else None,
        "skipped": stems.skipped if stems else False,
        "reason": (stems.reason or None) if stems else None,
        "error": result.error or None,
    }
