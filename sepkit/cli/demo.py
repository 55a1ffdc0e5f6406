"""`sepkit demo`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb
from sepkit.terminal import say


@click.command(cls=Verb)
@click.option(
    "--output-dir", type=options.FILE, metavar="DIR", default="sepkit-demo", show_default=True,
    help="Where the songs, the model and the stems go.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Train shorter, or longer.")
@options.device
def demo(output_dir: Path, epochs: int | None, device: str) -> Report:
    """The whole way in about two minutes, nothing downloaded: make songs, train, separate, evaluate."""
    from sepkit import device as devices
    from sepkit.demo import run_demo
    from sepkit.evaluation.output.summary import summarise
    from sepkit.evaluation.output.tables import tables

    result = run_demo(output_dir, devices.choose(device), epochs, say)
    data = {
        "model": str(result.model),
        "mixture": str(result.mixture),
        "stems": {stem: str(file) for stem, file in result.stems.items()},
        "evaluation": summarise(result.evaluation),
    }
    human = [
        *tables(result.evaluation),
        "",
        "Listen:",
        f"  {result.mixture}  (the song, never heard in training)",
        *(f"  {file}" for file in result.stems.values()),
        "Next, your own songs in data/train/<song>/{mixture,vocals}.wav:",
        "  sepkit train configs/vocals.toml",
        "Or this little model on any song of yours (it knows synthetic voices only):",
        f"  sepkit separate song.mp3 -m {result.model}",
    ]
    return Report(data, human)
