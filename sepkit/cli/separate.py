"""`sepkit separate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb, one_line
from sepkit.errors import ConfigError

if TYPE_CHECKING:
    from sepkit.separation.batch import Result


@click.command(cls=Verb)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=options.FILE)
@options.model
@click.option(
    "-o", "--output", type=options.FILE, metavar="PATH", default="separated", show_default=True,
    help="A folder that gets <track>/<stem>.<format>; a name with an audio ending gets the target alone.",
)  # fmt: skip
@click.option("--stems", metavar="A,B", default="", help="Write these stems only.")
@click.option("--residual", metavar="NAME", help="Name of mixture - targets. Default: what the model file says.")
@click.option("--no-residual", is_flag=True, help="Leave the residual out.")
@click.option(
    "--format", "format_", type=click.Choice(["wav", "flac", "mp3", "ogg", "aiff", "stem.mp4"]),
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
    help="What runs the network; auto: ONNX Runtime on a CPU where it is installed.",
)  # fmt: skip
@click.option(
    "--skip-existing", is_flag=True, help="Skip songs whose stems are there, of the same song, model and settings."
)
@click.option("--overwrite", is_flag=True, help="Replace stems that exist.")
@options.device
def separate(
    inputs: tuple[Path, ...],
    model: str,
    output: Path,
    stems: str,
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
    device: str,
) -> Report:
    """Separate songs into stems that add up to them, at their own rate, channels and length.

    INPUT is an audio file, or a folder that is searched for them to the bottom. A bad file is reported, and the next
    one is done.
    """
    from sepkit.checkpoints.locate import locate
    from sepkit.progress import Songs
    from sepkit.separation import Separator
    from sepkit.separation.batch import separate_files
    from sepkit.separation.songs.output import Output
    from sepkit.separation.songs.separation import Wish

    if residual and no_residual:
        raise ConfigError("--residual and --no-residual contradict each other; give one")
    if skip_existing and overwrite:
        raise ConfigError("--skip-existing and --overwrite contradict each other; give one")
    wanted = tuple(stem.strip() for stem in stems.split(",") if stem.strip())
    to = Output.of(output, format_, bit_depth, template)
    wish = Wish(to, wanted, start, duration or 0.0, overwrite, skip_existing)
    separator = Separator.load(
        locate(model), device, band=band, backend=backend, residual="" if no_residual else residual
    )
    with Songs() as songs:
        results = separate_files(separator, inputs, wish, _say, lambda song: songs.watched(song.track))
    return _report(results)


def _say(result: Result) -> None:
    """Report on stderr what went wrong with a song, or is to be known."""
    if result.error:
        click.echo(f"Error: {one_line(result.error)}", err=True)
    elif result.gain < 1:
        text = f"{result.input}: all stems turned down by the factor {result.gain:.3f}, or they would clip"
        click.echo(one_line(text), err=True)


def _report(results: list[Result]) -> Report:
    failed = [result for result in results if result.error]
    skipped = [result for result in results if result.skipped]
    data: dict[str, Any] = {
        "tracks": [
            {
                "input": str(r.input),
                "files": {stem: str(file) for stem, file in r.files.items()},
                "gain": r.gain,
                "skipped": r.skipped,
                "error": r.error or None,
            }
            for r in results
        ],
        "ok": len(results) - len(failed),
        "skipped": len(skipped),
        "failed": len(failed),
    }
    code = failed[0].exit_code if len(results) == len(failed) == 1 else int(bool(failed))
    human = [str(file) for result in results if not result.skipped for file in dict.fromkeys(result.files.values())]
    if len(results) > 1 or skipped:
        there = f" ({len(skipped)} of them were there already)" if skipped else ""
        human.append(f"{data['ok']} ok{there}, {data['failed']} failed")
    return Report(data, human, exit_code=code)
