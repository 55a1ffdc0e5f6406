"""`sepkit compare`"""

import click

from sepkit.cli.verb import Report, Verb
from sepkit.errors import ConfigError
from sepkit.terminal import command


@click.command(cls=Verb)
@click.argument("files", nargs=-1, required=True, metavar="FILE|FOLDER[:MODEL]...")
@click.option("--metrics", metavar="A,B", default="", help="Compare only these. Default: all; both must have the same.")
def compare(files: tuple[str, ...], metrics: str) -> Report:
    """Compare evaluations song by song: each summary.json, or the folder that it is in, with the first.

    Where one has the scores of several models, a colon and a label say which is meant:
    `sepkit compare evaluation:old evaluation:new`. Other metrics or other
    songs are refused.
    """
    from sepkit.evaluation.comparison import compare as paired
    from sepkit.evaluation.comparison_report import as_data, tables
    from sepkit.evaluation.saved_scores import read

    if len(files) < 2:
        raise ConfigError(f"one evaluation was given, {files[0]}, and it takes two: {command('compare', 'A', 'B')}")
    first, *others = (read(file) for file in files)
    asked = [name.strip() for name in metrics.split(",") if name.strip()]
    comparisons = [paired(first, other, asked) for other in others]
    return Report(as_data(comparisons), tables(comparisons))
