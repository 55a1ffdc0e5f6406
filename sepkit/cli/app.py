"""The command `sepkit`: all verbs in one group."""

import os
import sys

import click

from sepkit.cli.compare import compare
from sepkit.cli.config import config
from sepkit.cli.data import data
from sepkit.cli.demo import demo
from sepkit.cli.doctor import doctor
from sepkit.cli.evaluate import evaluate
from sepkit.cli.export import export
from sepkit.cli.models import models
from sepkit.cli.plugins import plugins
from sepkit.cli.separate import separate
from sepkit.cli.train import train
from sepkit.cli.verb import run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sepkit")
def sepkit() -> None:
    """Music source separation: train your own separator and use it.

    \b
    First steps:
      sepkit demo                          the whole way in minutes, without any download
      sepkit train configs/vocals.toml     train on data/train/<song>/{mixture,vocals}.wav
      sepkit separate song.mp3             write separated/song/{vocals,accompaniment}.wav
    """  # noqa: D301  click reads the escape


for verb in (train, separate, evaluate, compare, export, data, config, plugins, models, demo, doctor):
    sepkit.add_command(verb)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit."""
    _let_threads_sleep()
    sys.exit(run(sepkit, args))


def _let_threads_sleep() -> None:
    """Let OpenMP's threads sleep while they wait for each other, unless the user has said how they shall wait.

    By default they spin, which beside another busy process costs most of the time (docs/results.md). PyTorch
    reads the environment when it is imported, and so do the processes that this one starts. OpenBLAS, which NumPy
    and SciPy bring, cannot wait otherwise: it gets one thread, as songs are scored in a process for each core.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
