"""Render, prepare, train, score and pack the built-in `vocals` model: python recipes/vocals/make.py FOLDER

Whatever is there already is not made again, so the same command goes on after a stop. It needs fluidsynth, flite, and
the Debian packages that docs/builtin-model.md names; $SEPKIT_AUDIO is the folder of the voices and of the MIDI files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pack import pack
from render import Sources, render, validation_songs

HERE = Path(__file__).parent
SEED = 0
KEY = ("vocals", "sdr", "run")


def main() -> None:
    """Run all stages in a folder."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="for audio, checkpoints and scores: 4 GB")
    arguments.add_argument("--audio", type=Path, default=os.environ.get("SEPKIT_AUDIO"), help="voices/, midi/, mir1k/")
    given = arguments.parse_args()
    if given.audio is None:
        arguments.error("--audio or $SEPKIT_AUDIO must name the folder of voices/, midi/, mir1k/ and songs/")
    folder, audio = given.folder.resolve(), Path(given.audio).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    render(Sources(audio), folder / "audio", SEED)
    validation_songs(audio / "mir1k", folder / "audio" / "mir1k" / "validation")
    shutil.copy(HERE / "vocals.toml", folder / "vocals.toml")
    sepkit(folder, "data", "prepare", "vocals.toml")
    sepkit(folder, "train", "vocals.toml", "--output-dir", "run", "--resume")
    pack(folder / "run" / "best_model.safetensors", folder / "vocals.safetensors", score(folder, audio))


def score(folder: Path, audio: Path) -> str:
    """Return the medians on the test song and on the validation songs, for a person to read."""
    medians = {}
    for name, songs in (("Francium", audio / "songs" / "test"), ("MIR-1K", folder / "audio" / "mir1k" / "validation")):
        scores = f"scores-{name}"
        command = ("evaluate", "-m", "run/best_model.safetensors", "--data-dir", songs, "--output-dir", scores)
        sepkit(folder, *command)
        medians[name] = _median(json.loads((folder / scores / "summary.json").read_text()))
    return (
        f"SDR of vocals: {medians['Francium']:.1f} dB on Francium, {medians['MIR-1K']:.1f} dB on 14 singers of MIR-1K"
    )


def _median(summary: dict[str, Any]) -> float:
    """Return the median SDR of vocals that `sepkit evaluate` found."""
    rows = (row for row in summary["medians"] if (row["stem"], row["metric"], row["estimate"]) == KEY)
    return float(next(rows)["median"])


def sepkit(folder: Path, *words: object) -> None:
    """Run a command of sepkit in the folder, with a cache of its own there."""
    environment = os.environ | {"SEPKIT_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "sepkit", *map(str, words)], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
