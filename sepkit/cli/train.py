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

_REASONS = {
    "all epochs done": "All epochs done after epoch {}",
    "no improvement": "Stopped early after epoch {}: no improvement",
    "all epochs done before": "Nothing to do: all epochs are done (epoch {}). Raise --epochs to continue",
    "no improvement before": "Nothing to do: the run stopped early after epoch {}. Raise train.patience to continue",
}
_UNITS = {"loss": "validation loss {:.5f}", "sdr": "SDR {:.2f} dB"}


@click.command(cls=Verb)
@click.argument("config", type=options.FILE)
@options.overrides
@options.data_dir
@click.option("--target", metavar="NAME", help="Stem to train for, in place of [audio] sources.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Chunks in a step.")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Largest number of epochs.")
@click.option(
    "--output-dir", type=options.FILE, metavar="DIR", default="checkpoints", show_default=True,
    help="Folder of the run's files.",
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
    device: str,
    **start: Any,
) -> Report:
    """Train a separator as CONFIG (a TOML file) says.

    Writes config.toml, best_model.safetensors, last_state.safetensors, history.jsonl, curves.png and, with
    TensorBoard installed, events.* to the output folder. Ctrl-C or SIGTERM saves the state and prints the command to
    resume.

    All keys for --set: sepkit config show CONFIG. On several GPUs: torchrun --nproc-per-node N -m sepkit train CONFIG
    """
    import torch

    from sepkit import config as configs
    from sepkit import device as devices
    from sepkit.training.start import begin

    run_config = configs.load(
        config, overrides, configs.Shortcuts(data_dir=data_dir, target=target, batch_size=batch_size, epochs=epochs)
    )
    if any(dataset.name == "synthetic" for dataset in run_config.datasets) and is_first():
        say("The songs are synthetic: to learn from your own, add --data-dir data/train")
    outcome = begin(run_config, output_dir, torch.device(devices.choose(device)), **start)
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
    return _interrupted(outcome, data) if outcome.signal else _done(outcome, data)


def _done(outcome: "Outcome", data: dict[str, Any]) -> Report:
    from sepkit.export.kept import prepare_export

    prepare_export(outcome.run.best_model)
    best = _UNITS[outcome.monitor].format(outcome.best_score)
    epoch = f"in epoch {outcome.best_epoch}" if outcome.best_epoch else "before training: no epoch was better"
    human = [
        f"{_REASONS[outcome.reason].format(outcome.epochs)}. Best {best} {epoch}.",
        f"Model: {outcome.run.best_model}",
        f"Next: {command('separate', 'song.mp3', '-m', outcome.run.best_model)}",
    ]
    return Report(data, human)


def _interrupted(outcome: "Outcome", data: dict[str, Any]) -> Report:
    """Report the saved state and the command to resume, or the same command if there is no state yet."""
    context = click.get_current_context()
    if outcome.saved_step is None:
        command, kept = rerun_command(context), "there is nothing to save yet. Start again with:"
    else:
        command = rerun_command(context, without=("resume", "resume_from", "overwrite"), adding=("--resume",))
        step = f"the last good state, of step {outcome.saved_step},"
        saved = "the state" if outcome.saved_step == outcome.steps else step
        kept = f"{saved} is saved in {outcome.run.last_state}. Resume with:"
    name = Signals(outcome.signal).name
    human = [f"Stopped by {name} at step {outcome.steps}, {outcome.epochs} epochs done; {kept}", f"  {command}"]
    return Report({**data, "signal": name, "go_on": command}, human, exit_code=128 + outcome.signal)
