"""`sepkit separate`"""

from pathlib import Path
from typing import Literal

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb, one_line
from sepkit.errors import ConfigError


@click.command(cls=Verb)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=options.FILE)
@options.model
@click.option(
    "-o", "--output", type=options.FILE, metavar="PATH", default="separated", show_default=True,
    help="A folder that gets <track>/<stem>.wav; a name ending in .wav gets the target alone.",
)  # fmt: skip
@click.option("--stems", metavar="A,B", default="", help="Write these stems only.")
@click.option("--residual", metavar="NAME", help="Name of mixture - targets. Default: what the model file says.")
@click.option("--no-residual", is_flag=True, help="Leave the residual out.")
@click.option("--bit-depth", type=click.Choice(["16", "24", "float"]), default="16", show_default=True)
@click.option(
    "--band", type=click.Choice(["full", "model"]), default="full", show_default=True,
    help="full: at the rate of the song; model: resampled to the rate that the model was trained at.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace stems that exist.")
@options.device
def separate(
    inputs: tuple[Path, ...],
    model: str,
    output: Path,
    stems: str,
    residual: str | None,
    no_residual: bool,
    bit_depth: Literal["16", "24", "float"],
    band: str,
    overwrite: bool,
    device: str,
) -> Report:
    """Separate songs into stems that add up to them, at their own rate, channels and length."""
    from sepkit.checkpoints.locate import locate
    from sepkit.separation import Separator
    from sepkit.separation.batch import separate_files

    if residual and no_residual:
        raise ConfigError("--residual and --no-residual contradict each other; give one")
    separator = Separator.load(locate(model), device, band=band, residual="" if no_residual else residual)
    wanted = tuple(stem.strip() for stem in stems.split(",") if stem.strip())
    results = separate_files(
        separator, inputs, output, stems=wanted, bit_depth=bit_depth, overwrite=overwrite,
        say=lambda line: click.echo(one_line(line), err=True),
    )  # fmt: skip
    failed = [result for result in results if result.error]
    data = {
        "tracks": [
            {
                "input": str(r.input),
                "files": {stem: str(file) for stem, file in r.files.items()},
                "gain": r.gain,
                "error": r.error or None,
            }
            for r in results
        ],
        "ok": len(results) - len(failed),
        "failed": len(failed),
    }
    code = failed[0].exit_code if len(results) == len(failed) == 1 else int(bool(failed))
    human = [str(file) for result in results for file in result.files.values()]
    if len(results) > 1:
        human.append(f"{data['ok']} ok, {data['failed']} failed")
    return Report(data, human, exit_code=code)
