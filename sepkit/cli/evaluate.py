"""`sepkit evaluate`"""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT, Signals
from typing import TYPE_CHECKING

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Terminated, Verb
from sepkit.terminal import one_line, say

if TYPE_CHECKING:
    from sepkit.evaluation.evaluate import Evaluation
    from sepkit.evaluation.song_scorer import SongScores


@click.command(cls=Verb)
@click.argument("config", required=False, type=options.FILE)
@click.option(
    "-m", "--model", "models", metavar="FILE|NAME", multiple=True,
    help="File or pretrained model, one or more. Default: $SEPKIT_MODEL, then checkpoints/best_model.safetensors.",
)  # fmt: skip
@click.option("--song-dir", type=options.FILE, metavar="DIR", help="Score the one song in this folder.")
@click.option("--data-dir", type=options.FILE, metavar="DIR", help="Score every song in this folder.")
@click.option(
    "--estimates", type=options.FILE, metavar="DIR", help="Score finished stems of any tool: DIR/<song>/<stem>.wav."
)
@click.option("--target", metavar="NAME", default="", help="Score this stem only.")
@click.option(
    "--metrics",
    metavar="A,B",
    default="",
    help="Metrics by name. Default: those of the config, else sdr, silence_level, silence_audible, bleed.",
)
@click.option("--output-dir", type=options.FILE, metavar="DIR", default="evaluation", show_default=True)
@click.option(
    "--report/--no-report", default=True, show_default=True, help="Write report.html, a page with pictures and sound."
)
@click.option("--cost/--no-cost", default=True, show_default=True, help="Measure time and memory of the models, too.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Songs scored at the same time. Default: one per core, at most 8.",
)
@options.device
def evaluate(
    config: Path | None,
    models: tuple[str, ...],
    song_dir: Path | None,
    data_dir: Path | None,
    estimates: Path | None,
    target: str,
    metrics: str,
    output_dir: Path,
    report: bool,
    cost: bool,
    processes: int | None,
    device: str,
) -> Report:
    """Score models, or finished stems, on songs with known stems: the test split of CONFIG, a folder, or one song."""
    from sepkit import config as configs
    from sepkit.evaluation.evaluate import evaluate as evaluate_all
    from sepkit.evaluation.folder import prepare, write
    from sepkit.evaluation.page import page_content
    from sepkit.evaluation.saved_scores import SUMMARY
    from sepkit.evaluation.selection import (
        choose_estimators,
        choose_metrics,
        choose_tracks,
        measure_costs,
        processes_for,
    )
    from sepkit.evaluation.song_scorer import SongScorer
    from sepkit.evaluation.tables import tables
    from sepkit.report import Limits
    from sepkit.report.page import page

    run_config = configs.load(config) if config else None
    tracks = choose_tracks(run_config, song_dir, data_dir)
    chosen = choose_metrics(run_config, metrics)
    estimators = choose_estimators(models, estimates, device, target, songs=len(tracks))
    prepare(output_dir, report=report)
    limits = Limits(songs=len(tracks)) if report else None
    scorer = SongScorer(tuple(estimators), chosen, (target,) if target else (), limits=limits)
    if cost and len(estimators) > bool(estimates):
        say("Measuring time and memory of the models")
    costs = measure_costs(estimators, device) if cost else {}
    evaluation = evaluate_all(
        scorer, tracks, costs, processes=processes or processes_for(estimators), done=_Progress(len(tracks)),
        stops=(KeyboardInterrupt, Terminated),
    )  # fmt: skip
    summary = write(output_dir, evaluation, page(page_content(evaluation), limits) if limits else "")
    written = [SUMMARY, *(name for name in summary["files"] if "/" not in name)]
    human = [*tables(evaluation), *(f"Written: {output_dir / name}" for name in written)]
    return Report(summary, human, _stopped(evaluation, len(tracks)) or (1 if evaluation.failed else 0))


def _stopped(evaluation: Evaluation, songs: int) -> int:
    """Print the signal that ended an evaluation early and return its exit code; 0 without one."""
    if not evaluation.stop:
        return 0
    number = evaluation.stop.number if isinstance(evaluation.stop, Terminated) else SIGINT
    scored = len({score.track for score in evaluation.scores})
    text = f"Stopped by {Signals(number).name}: {scored} of {songs} songs are scored; the others are listed as failed"
    say(text)
    return 128 + number


class _Progress:
    """Prints a line on stderr for each song."""

    def __init__(self, songs: int) -> None:
        self._songs = songs
        self._done = 0

    def __call__(self, result: SongScores) -> None:
        self._done += 1
        text = one_line(result.error) or ("scored" if result.scores else "none of the stems")
        say(f"{self._done} of {self._songs}  {one_line(result.track.name)}: {text}")
