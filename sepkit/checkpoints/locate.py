"""Find the model file of a command."""

import os
from pathlib import Path

from sepkit.checkpoints import packaged
from sepkit.errors import ModelFileError, did_you_mean, did_you_mean_path
from sepkit.plugins import how_to_get, install
from sepkit.pretrained import is_name
from sepkit.terminal import command, say

VARIABLE = "SEPKIT_MODEL"
DEFAULT = Path("checkpoints/best_model.safetensors")


def locate(asked: str = "") -> Path:
    """Return the file that `-m` names, else $SEPKIT_MODEL, else the best model of the default run folder, else the one
    that comes with sepkit, and say so.

    A file or run folder comes first; otherwise a name is that of the model that comes with sepkit, or of a pretrained
    one, which is fetched.

    Raises:
        ModelFileError: there is none, or it cannot be fetched; the message says the ways to get one.
        PluginError: two plugins offer a pretrained model of this name.
    """
    named = asked or os.environ.get(VARIABLE, "")
    path = _in_folder(Path(named) if named else DEFAULT)
    if path.is_file():
        return path
    if named in ("", packaged.NAME) and packaged.PATH.is_file():
        if not named:
            say(packaged.notice())
        return packaged.PATH
    if is_name(named):
        from sepkit.registry import PRETRAINED

        names = sorted({entry.name for entry in PRETRAINED.entries()})
        if named in names:
            from sepkit.checkpoints.pretrained import fetch

            return fetch(named)
        known = f" Pretrained: {', '.join(names)}." if names else ""
        hint = f"{did_you_mean(named, names)}{how_to_get(named)}{known}"
        raise ModelFileError(
            f"no model file {path}{_origin(asked, named)}, and no pretrained model of that name.{hint} {_ways()}"
        )
    raise ModelFileError(f"no model file {path}{_origin(asked, named)}.{did_you_mean_path(path)} {_ways()}")


def is_here(asked: str) -> bool:
    """Return True if `asked` is a file, or a run folder with a model."""
    return _in_folder(Path(asked)).is_file()


def _in_folder(path: Path) -> Path:
    return path / DEFAULT.name if path.is_dir() else path


def _origin(asked: str, named: str) -> str:
    return "" if asked else f" (from ${VARIABLE})" if named else " (the default)"


def _ways() -> str:
    return (
        f"Train one: {command('train', 'configs/vocals.toml')}; or name one: -m FILE.safetensors, or -m spleeter "
        f"({install('sepkit-spleeter')}); for a first look: {command('demo')}"
    )
