"""The command `sepkit-ray`: `sepkit separate`, its options and its reports, on a cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepkit.cli.separate import Display, options_of, report_of, residual_of
from sepkit.cli.separate import separate as local
from sepkit.cli.verb import Report, Verb, run

if TYPE_CHECKING:
    from sepkit.songs.batch import SongResult

_OWN = [
    click.Option(
        ["--address"], metavar="ADDR", default="",
        help="Of the Ray cluster. Default: $RAY_ADDRESS, else a cluster of this machine alone.",
    ),
    click.Option(
        ["--workers"], type=click.IntRange(min=1), metavar="N",
        help="Processes that hold the model. Default: as many as the cluster has room for.",
    ),
    click.Option(
        ["--cpus"], type=click.IntRange(min=1), metavar="N", default=1, show_default=True,
        help="CPUs, and threads, of each worker.",
    ),
]  # fmt: skip
_SHARED = [parameter for parameter in local.params if parameter.name not in ("as_json", "debug")]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sepkit-ray")
def sepkit_ray() -> None:
    """Music source separation on many machines, with Ray."""


@sepkit_ray.command(cls=Verb, params=[*_SHARED, *_OWN])
def separate(
    inputs: tuple[Path, ...],
    *,
    model: str,
    residual: str | None,
    no_residual: bool,
    band: str,
    backend: str,
    report: bool,
    device: str,
    address: str,
    workers: int | None,
    cpus: int,
    **wished: Any,
) -> Report:
    """Separate songs as `sepkit separate` does, with workers on all machines of a Ray cluster.

    Songs, model and output lie on a disk that all machines have in the same place. A song whose worker dies is begun
    again twice, and then reported.
    """
    engine = {"band": band, "backend": backend, "residual": residual_of(residual, no_residual=no_residual)}
    from sepkit.audio.untrusted.decoder import Decoder
    from sepkit.checkpoints.locate import VARIABLE, locate
    from sepkit.separation import Separator
    from sepkit.songs.report import report_file, write_report_of
    from sepkit_ray.batch import separate_files
    from sepkit_ray.cluster import Share, connected, workers_of
    from sepkit_ray.worker import Setup

    options = options_of(**wished)
    if report:
        report_file(options)
    model = model or os.environ.get(VARIABLE, "")
    path = locate(model)
    separator = Separator.load(path, "cpu", **engine)
    separator.prepare()  # or each worker would
    setup = Setup(Path.cwd(), model or str(path), separator.model.checksum, device, engine, options)
    with Decoder() as decoder, connected(address), _Display() as display:
        staff = workers_of(setup, Share.of(cpus, device), workers)
        results = separate_files(separator, decoder, inputs, options, display.events(), staff)
    return report_of(results, write_report_of(results.songs, options) if report else None)


class _Display(Display):
    """One bar for all songs, as many are worked on at a time."""

    def _found(self, songs: int) -> None:
        super()._found(songs)
        self._told = self._bars.begin(f"{songs} songs")

    def _tell(self, result: SongResult) -> None:
        super()._tell(result)
        self._told(self._done, self._songs)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sepkit_ray, args, "sepkit-ray"))
