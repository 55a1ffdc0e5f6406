"""`sepkit evaluate`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb


@click.command(cls=Verb)
@click.argument("config", required=False, type=options.FILE)
@options.model
@click.option("--song-dir", type=options.FILE, metavar="DIR", help="Score the one song in this folder.")
@click.option("--data-dir", type=options.FILE, metavar="DIR", help="Score every song in this folder.")
@click.option("--target", metavar="NAME", default="", help="Score this stem only.")
@click.option("--metrics", metavar="A,B", default="", help="Metrics by name. Default: those of the config, or sdr.")
@click.option("--output-dir", type=options.FILE, metavar="DIR", default="evaluation", show_default=True)
@options.device
def evaluate(
    config: Path | None,
    model: str,
    song_dir: Path | None,
    data_dir: Path | None,
    target: str,
    metrics: str,
    output_dir: Path,
    device: str,
) -> Report:
    """Score a model on songs with known stems: on the test split of CONFIG, a folder of songs, or one song."""
    from sepkit import config as configs
    from sepkit.checkpoints.locate import locate
    from sepkit.evaluation.evaluate import evaluate as score
    from sepkit.evaluation.selection import choose_metrics, choose_tracks
    from sepkit.evaluation.summary import summarise, tables, write
    from sepkit.separation import Separator

    run_config = configs.load(config) if config else None
    tracks = choose_tracks(run_config, song_dir, data_dir)
    chosen = choose_metrics(run_config, metrics)
    separator = Separator.load(locate(model), device)
    evaluation = score(
        separator, tracks, chosen, (target,) if target else (), lambda name: click.echo(f"scored {name}", err=True)
    )
    summary = summarise(evaluation)
    written = write(output_dir, summary)
    return Report(summary, [*tables(evaluation), f"Written: {written}"], exit_code=1 if evaluation.failed else 0)
