"""`sepkit data check|prepare`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb
from sepkit.terminal import one_line, say

target = click.option("--target", metavar="NAME", help="The one stem to train for.")
workers = click.option(
    "--workers", type=click.IntRange(min=0), metavar="N", default=None,
    help="Number of processes; 0: this one alone. Default: one per core.",
)  # fmt: skip


@click.group()
def data() -> None:
    """Check a corpus, or prepare it for fast reading."""


@data.command(cls=Verb)
@click.argument("config", type=options.FILE)
@options.overrides
@options.data_dir
@target
@workers
def check(
    config: Path, overrides: tuple[str, ...], data_dir: Path | None, target: str | None, workers: int | None
) -> Report:
    """Decode every file of the datasets of CONFIG and report problems that would harm training.

    Rates, channels, lengths, silence, clipping, samples that are not finite; mixtures against the sum of their stems;
    the same audio in two splits; publicly known faults. Nothing is changed.
    """
    from sepkit import config as configs
    from sepkit.data.check import check as run
    from sepkit.data.check_report import as_data, tables
    from sepkit.device import cores

    run_config = configs.load(config, overrides, configs.Shortcuts(data_dir=data_dir, target=target))
    found = run(run_config, cores() if workers is None else workers)
    return Report(as_data(found), tables(found), exit_code=0 if found.usable else 1)


@data.command(cls=Verb)
@click.argument("config", type=options.FILE)
@options.overrides
@options.data_dir
@target
@workers
def prepare(
    config: Path, overrides: tuple[str, ...], data_dir: Path | None, target: str | None, workers: int | None
) -> Report:
    """Decode the songs of CONFIG once, into $SEPKIT_CACHE or the platform's cache folder.

    Training then reads them as they are, without decoding. After an interruption it resumes.
    """
    from sepkit import config as configs
    from sepkit.data.preparation import prepare as run
    from sepkit.data.prepared import gigabytes
    from sepkit.device import cores

    run_config = configs.load(config, overrides, configs.Shortcuts(data_dir=data_dir, target=target))
    done = run(run_config, cores() if workers is None else workers, say)
    for _, error in done.failed:
        say(f"Error: {one_line(error)}")
    human = [f"{done.songs - len(done.failed)} of {done.songs} songs are prepared, {done.made} of them now"]
    human += [f"{gigabytes(done.size)} in {done.folder}"]
    human += [f"Removed outdated files: {gigabytes(done.freed)}"] if done.freed else []
    figures = {
        "folder": str(done.folder),
        "songs": done.songs,
        "made": done.made,
        "bytes": done.size,
        "bytes_freed": done.freed,
        "failed": [{"song": song, "error": error} for song, error in done.failed],
    }
    return Report(figures, human, exit_code=1 if done.failed else 0)
