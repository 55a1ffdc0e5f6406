"""The export of a model, made once and kept beside the model file, or in the cache."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from contextlib import suppress
from glob import escape
from pathlib import Path

from sepkit.atomic import Commit, remove_leftovers
from sepkit.cache.folder import cache_folder
from sepkit.checkpoints import model_file, packaged
from sepkit.checkpoints.model_file import ModelFile
from sepkit.errors import CacheError, ModelFileError, SepkitError, reason
from sepkit.export import sealed
from sepkit.processes import child_environment, is_first
from sepkit.terminal import say

log = logging.getLogger(__name__)


def kept_export(model: ModelFile) -> bytes:
    """Return the sealed mask network of a model file; the first time it is made, in a process of its own.

    PyTorch is imported there alone. One that is imported here already makes it here.

    Raises:
        ConfigError, ModelFileError: it cannot be made, see `sealed.export`.
    """
    exported = _found(model)
    if exported is not None:
        return exported
    say(f"{model.path}: exporting its network, once, so that it runs without PyTorch")
    return make_export(model) if "torch" in sys.modules else _made_elsewhere(model)


def prepare_export(path: Path) -> None:
    """Export a model file that was just trained, where its model runs without PyTorch; log a failure.

    Of the processes that torchrun has started, the first does it.
    """
    if not is_first():
        return
    try:
        model = model_file.load(path)
        trained = model.manifest.audio
        if model.manifest.model.spectral_front(trained, trained) is not None and _found(model) is None:
            make_export(model)
    except Exception as error:  # noqa: BLE001  a plugin's front may raise anything, and the run is done
        log.warning("%s", error if isinstance(error, SepkitError) else f"{path}: not exported ({reason(error)})")


def make_export(model: ModelFile) -> bytes:
    """Export the mask network of a model file, keep it, and return it.

    Raises:
        ConfigError, ModelFileError: see `sealed.export`.
    """
    exported = sealed.export(model, model.network())
    beside, *elsewhere = places = _places(model)
    if not _kept(exported, beside, _earlier(model.path, beside)) and not any(_kept(exported, e, []) for e in elsewhere):
        log.warning(
            "%s cannot be written, so it is made anew each time; set SEPKIT_CACHE to a folder that can", places[-1]
        )
    return exported


def _found(model: ModelFile) -> bytes | None:
    for path in _places(model):
        with suppress(ModelFileError):
            exported = sealed.read(path)
            if sealed.model_of(exported) == model.checksum:
                return exported
    return None


def _made_elsewhere(model: ModelFile) -> bytes:
    command = [sys.executable, "-P", "-m", "sepkit.export.process", str(model.path)]
    env = child_environment()
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)  # noqa: S603
    if done.returncode == 0 and sealed.model_of(done.stdout) == model.checksum:
        return done.stdout
    if done.returncode == 0:
        raise ModelFileError(f"{model.path}: changed while it was exported; try again")
    if done.returncode == 1:
        raise ModelFileError(done.stdout.decode("utf-8", "replace").strip())
    raise ModelFileError(f"{model.path}: its export ended with exit code {done.returncode}; close other programs")


def _places(model: ModelFile) -> list[Path]:
    """Return where an export may be: beside the model, and in sepkit's cache if there is one.

    The model that comes with sepkit has it in the cache alone: a package's folder is not for files of users.
    """
    name = f"{model.path.stem}.{model.checksum[:12]}{sealed.SUFFIX}"
    beside = model.path.parent / name
    with suppress(CacheError):
        kept = cache_folder() / "onnx" / name
        return [kept] if model.path == packaged.PATH else [beside, kept]
    return [beside]


def _earlier(model: Path, current: Path) -> list[Path]:
    """Return the kept exports of earlier versions of the model file."""
    name = re.compile(rf"{re.escape(model.stem)}\.[0-9a-f]{{12}}{re.escape(sealed.SUFFIX)}")
    found = model.parent.glob(f"{escape(model.stem)}.{'?' * 12}{sealed.SUFFIX}")
    return [path for path in found if path != current and name.fullmatch(path.name)]


def _kept(exported: bytes, path: Path, earlier: list[Path]) -> bool:
    """Write a file in the place of earlier ones; return False where its folder cannot be written, which is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers([path])
        with Commit() as commit, commit.file(path) as temporary:
            temporary.write_bytes(exported)
            for old in earlier:
                commit.remove(old)
    except FileNotFoundError:  # another process has taken our unfinished file for a leftover: it writes the same now
        return True
    except OSError:
        return False
    return True
