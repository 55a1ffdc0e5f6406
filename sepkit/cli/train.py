"""`sepkit train`"""

from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

import click

from sepkit.cli import options
from sepkit.cli.command_line import rerun_command
from sepkit.cli.verb import Report, Verb
from sepkit.processes import is_first
from sepkit.terminal import command, say

if TYPE_CHECKING:
    from sepkit.training.loop import Outcome

_SAID = {
    "all epochs done": "All epochs done",
    "no improvement": "Stopped, nothing better came,",
    "all epochs done before": "Nothing to do, more --epochs go on: all epochs were done",
    "no improvement before": "Nothing to do, a larger train.patience goes on: nothing better came until the run ended",
}
_UNITS = {"loss": "validation loss {:.5f}", "sdr": "SDR {:.2f} dB"}


@click.command(cls=Verb)
@click.argument("config", type=options.FILE)
@options.overrides
@options.data_dir
@click.option("--target", metavar="NAME", help="Train for this one stem.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Chunks in a step.")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Epochs at most.")
@click.option(
    "--output-dir", type=options.FILE, metavar="DIR", default="checkpoints", show_default=True,
    help="Where the run's files go.",
)  # fmt: skip
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

    Writes config.toml, best_model.safetensors, last_state.safetensors, history.jsonl, curves.png and, with
    TensorBoard installed, events.* to the output folder. Ctrl-C or SIGTERM saves the state first, and the command
    that goes on is printed.

    All keys for --set: sepkit config show CONFIG. On several GPUs: torchrun --nproc-per-node N -m sepkit train CONFIG
    """
    import torch

    from sepkit import config as configs
    from sepkit import device as devices
    from sepkit.export.kept import prepare_export
    from sepkit.training.start import Start, begin

    run_config = configs.load(
        config, overrides, configs.Shortcuts(data_dir=data_dir, target=target, batch_size=batch_size, epochs=epochs)
    )
    if any(dataset.name == "synthetic" for dataset in run_config.datasets) and is_first():
        say("The songs are synthetic: to learn from your own, add --data-dir data/train")
    start = Start(resume=resume, resume_from=resume_from, overwrite=overwrite)
    outcome = begin(run_config, output_dir, torch.device(devices.choose(device)), start)
    data = {
        "best_model": str(outcome.run.best_model) if outcome.best_score is not None else None,
        "monitor": outcome.monitor,
        "best_score": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "history": str(outcome.run.history),
        "reason": outcome.reason,
    }
    if outcome.signal:
        return _interrupted(outcome, data)
    prepare_export(outcome.run.best_model)
    best = _UNITS[outcome.monitor].format(outcome.best_score)
    where = f"in epoch {outcome.best_epoch}" if outcome.best_epoch else "before training: no epoch was better"
    human = [
        f"{_SAID[outcome.reason]} after epoch {outcome.epochs}; best {best} {where}.",
        f"Model: {outcome.run.best_model}",
        f"Next: {command('separate', 'song.mp3', '-m', outcome.run.best_model)}",
    ]
    return Report(data, human)


def _interrupted(outcome: "Outcome", data: dict[str, Any]) -> Report:
    """Say what goes on from here: the saved state, or the same command where there is none yet."""
    context = click.get_current_context()
    if outcome.saved_step is not None:
        command = rerun_command(context, without=("resume", "resume_from", "overwrite"), adding=("--resume",))
        which = (
            "the state"
            if outcome.saved_step == outcome.steps
            else f"the last good state, of step {outcome.saved_step},"
        )
        kept = f"{which} is saved in {outcome.run.last_state}. Go on with:"
    else:
        command = rerun_command(context)
        kept = "there is nothing to save yet. Start again with:"
    name = Signals(outcome.signal).name
    human = [f"Stopped by {name} at step {outcome.steps}, {outcome.epochs} epochs done; {kept}", f"  {command}"]
    return Report({**data, "signal": name, "go_on": command}, human, exit_code=128 + outcome.signal)
