"""`sepkit train`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb

_SAID = {
    "all epochs done": "All epochs done",
    "no improvement": "Stopped, nothing better came,",
    "finished before": "Nothing to do (more --epochs go on): the run was done",
}


@click.command(cls=Verb)
@click.argument("config", type=options.FILE)
@options.overrides
@options.data_dir
@click.option("--target", metavar="NAME", help="Train for this one stem.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Chunks in a step.")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Epochs at most.")
@click.option("--output-dir", type=options.FILE, metavar="DIR", default="checkpoints", show_default=True)
@click.option("--resume", is_flag=True, help="Continue the run in the output folder, if there is one.")
@click.option("--resume-from", type=options.FILE, metavar="FILE", help="Continue from a state, or fine-tune weights.")
@click.option("--overwrite", is_flag=True, help="Replace the run in the output folder.")
@options.device
def train(
    config: Path,
    overrides: tuple[str, ...],
    data_dir: Path | None,
    target: str | None,
    batch_size: int | None,
    epochs: int | None,
    output_dir: Path,
    resume: bool,
    resume_from: Path | None,
    overwrite: bool,
    device: str,
) -> Report:
    """Train a separator as CONFIG (a TOML file) says.

    Writes config.toml, best_model.safetensors, last_state.safetensors and history.jsonl to the output folder.
    """
    from sepkit import config as configs
    from sepkit import device as devices
    from sepkit.training.start import Start, begin

    run_config = configs.load(
        config, overrides, configs.Shortcuts(data_dir=data_dir, target=target, batch_size=batch_size, epochs=epochs)
    )
    start = Start(resume=resume, resume_from=resume_from, overwrite=overwrite)
    outcome = begin(run_config, output_dir, devices.choose(device), start)
    data = {
        "best_model": str(outcome.best_model),
        "best_validation_loss": outcome.best_loss,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "reason": outcome.reason,
    }
    human = [
        f"{_SAID[outcome.reason]} after epoch {outcome.epochs}; "
        f"best validation loss {outcome.best_loss:.5f} in epoch {outcome.best_epoch}.",
        f"Model: {outcome.best_model}",
        f"Next: sepkit separate song.mp3 -m {outcome.best_model}",
    ]
    return Report(data, human)
