"""Where the model is that a command means."""

import os
from pathlib import Path

from sepkit.errors import ModelFileError

VARIABLE = "SEPKIT_MODEL"
DEFAULT = Path("checkpoints/best_model.safetensors")


def locate(asked: str = "") -> Path:
    """Return the file that `-m` names, else $SEPKIT_MODEL, else the best model of the default run folder.

    Raises:
        ModelFileError: there is none; the message says how to get one.
    """
    named = asked or os.environ.get(VARIABLE, "")
    path = Path(named) if named else DEFAULT
    if path.is_dir():
        path = path / DEFAULT.name
    if path.is_file():
        return path
    origin = "" if asked else f" (from ${VARIABLE})" if named else " (the default)"
    raise ModelFileError(
        f"no model file {path}{origin}. Train one: sepkit train configs/vocals.toml; "
        "or name one: -m FILE.safetensors; for a first look: sepkit demo"
    )
