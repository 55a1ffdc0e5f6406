"""`sepkit demo`"""

from pathlib import Path
from signal import Signals

import click

from sepkit.cli import options
from sepkit.cli.command_line import rerun_command
from sepkit.cli.verb import Report, Verb
from sepkit.terminal import command, say


@click.command(cls=Verb)
@click.option(
    "--output-dir", type=options.FILE, metavar="DIR", default="sepkit-demo", show_default=True,
    help="Folder of songs, model and stems.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Number of epochs of training.")
@options.device
def demo(output_dir: Path, epochs: int | None, device: str) -> Report:
    """Render songs, train, separate and evaluate in about two minutes, without any download.

    After Ctrl-C or SIGTERM, the same command resumes.
    """
    import torch

    from sepkit import device as devices
    from sepkit.demo import score_demo, train_demo
    from sepkit.evaluation.summary import summarise
    from sepkit.evaluation.tables import tables

    chosen = torch.device(devices.choose(device))
    outcome = train_demo(output_dir, chosen, epochs, say)
    if outcome.signal:
        name, following = Signals(outcome.signal).name, rerun_command(click.get_current_context())
        stopped = f"Stopped by {name} in the training, after step {outcome.steps}. Resume with:"
        return Report({"signal": name, "go_on": following}, [stopped, f"  {following}"], exit_code=128 + outcome.signal)
    result = score_demo(output_dir, chosen, say)
    data = {
        "model": str(result.model),
        "mixture": str(result.mixture),
        "stems": {stem: str(file) for stem, file in result.stems.items()},
        "evaluation": summarise(result.evaluation),
    }
    config = "vocals-cpu" if chosen.type == "cpu" else "vocals"
    human = [
        *tables(result.evaluation),
        "",
        "Listen:",
        f"  {result.mixture}  (a song that training did not use)",
        *(f"  {file}" for file in result.stems.values()),
        "Next, in the checkout of sepkit, the stems of any song with published weights (73 MB):",
        "  pip install ./plugins/sepkit-spleeter",
        f"  {command('separate', 'song.mp3', '-m', 'spleeter')}",
        "Or a model of your own, from songs in data/train/<song>/{mixture,vocals}.wav:",
        f"  {command('train', f'configs/{config}.toml')}",
        "Or this little model on any song of yours (it knows synthetic voices only):",
        f"  {command('separate', 'song.mp3', '-m', result.model)}",
    ]
    return Report(data, human, exit_code=int(bool(result.evaluation.failed)))
