"""Pretrained models by name: downloaded once, verified, and kept in the cache as model files.

One that is kept is found without PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from safetensors import SafetensorError, safe_open

from sepkit.cache.folder import cache_folder
from sepkit.cache.speeds import speed_of
from sepkit.checkpoints import model_file, tensor_file
from sepkit.checkpoints.pretrained_download import NotFetchedError, fetch_file, sources
from sepkit.config import RunConfig
from sepkit.errors import ConfigError, ModelFileError, SepkitError, reason
from sepkit.pretrained import DIGITS, Pretrained, WeightFile
from sepkit.registry import PRETRAINED
from sepkit.terminal import command, say

if TYPE_CHECKING:
    from torch import Tensor


def fetch(name: str, sha256: str = "") -> Path:
    """Return the model file of a pretrained model, which is downloaded and made if it is not in the cache.

    Args:
        name: As a plugin offers it.
        sha256: Of a file without a published sha256, if there is one: stated once by the user, who trusts it.

    Raises:
        PluginError: no plugin offers it, or two do, or its network's plugin is missing.
        ConfigError: a sha256 is to be stated, or is none.
        ModelFileError: it cannot be downloaded or written, or differs from the published file.
    """
    known = PRETRAINED.get(name).component
    path = place(known)
    if is_made(known):
        return path
    files = [_stated(known, file, sha256) for file in known.files]
    say(f"{name}: {known.summary}. Licence of the weights: {known.licence}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):
            if not is_made(known):  # by another process
                _make(known, files, path)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be written ({error}); set SEPKIT_CACHE to a folder that can") from None
    return path


def place(known: Pretrained) -> Path:
    """Return the path of the model file of a pretrained model, once it is made."""
    return cache_folder() / "pretrained" / known.name / f"{known.name}.safetensors"


def is_made(known: Pretrained) -> bool:
    """Return True if the model file exists, made of the files and for the network of the installed plugin."""
    return bool(_checksum(known))


def _checksum(known: Pretrained) -> str:
    """Return the checksum in the manifest of the model file, or "" if the file is missing or of something else."""
    try:
        with safe_open(place(known), "np") as file:
            manifest = json.loads(file.metadata()["sepkit"])
        checksums = manifest["pretrained"]["files"]
        published = _published(known)
        fits = (
            list(checksums) == list(published)
            and all(checksums[name].startswith(sha256) for name, sha256 in published.items())
            and type(known.model).model_validate(manifest["model"]) == known.model
            and type(known.audio)(**manifest["audio"]) == known.audio
        )
        return manifest["sha256"] if fits else ""
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def summary(known: Pretrained) -> dict[str, Any]:
    """Return the facts of a pretrained model before its download, as JSON values."""
    checksum = _checksum(known)
    return {
        "name": known.name,
        "summary": known.summary,
        "licence": known.licence,
        "score": known.score,
        "model": known.model.name,
        "sample_rate": known.audio.sample_rate,
        "channels": known.audio.channels,
        "sources": list(known.audio.sources),
        "bytes": known.bytes,
        "files": [{"name": file.name, "places": sources(file), "sha256": file.sha256} for file in known.files],
        "on_disk": str(place(known)) if checksum else None,
        "speed": speed_of(checksum) if checksum else None,
    }


def describe(name: str) -> dict[str, Any]:
    """Return the description of the model file of a pretrained model; before its download, of the model.

    Raises:
        PluginError: no plugin offers it, or two do.
        ModelFileError: the file cannot be used.
    """
    from sepkit.checkpoints import info

    known = PRETRAINED.get(name).component
    if is_made(known):
        return info.describe(place(known))
    return (
        summary(known)
        | {"settings": known.model.model_dump(mode="json")}
        | info.cost(known.model.build(known.audio), known.audio)
    )


def _stated(known: Pretrained, file: WeightFile, sha256: str) -> WeightFile:
    """Return the file with its published checksum, or with the one that the user states."""
    if file.is_verified:
        return file
    fetching = command("models", "fetch", known.name, "--sha256", "HEX")
    if not sha256:
        raise ConfigError(
            f"no sha256 is published of {file.name}, so state the one that you trust, once: {fetching} "
            f"(with a copy of {' or '.join(sources(file))}: sha256sum {file.name})"
        )
    if len(sha256) != DIGITS or set(sha256.lower()) - set("0123456789abcdef"):
        raise ConfigError(f"{sha256} is no sha256, which has {DIGITS} hexadecimal digits: {fetching}")
    return replace(file, sha256=sha256.lower())


def _make(known: Pretrained, files: list[WeightFile], path: Path) -> None:
    """Fetch the files, and make a model file of them, which takes their place."""
    folder = path.parent
    checksums = _published(known)
    for file in files:
        try:
            checksums[file.name] = fetch_file(file, folder)
        except NotFetchedError as error:
            raise ModelFileError(_by_hand(known, file, folder, error)) from None
    tensor_file.write(path, _weights(known, [folder / file.name for file in files]), _manifest(known, checksums))
    for file in files:
        for used in (file, *file.archives):
            (folder / used.name).unlink(missing_ok=True)


def _published(known: Pretrained) -> dict[str, str]:
    """Return the published checksums by file: also of the archives, if the checksums of their content are unknown."""
    parts = [part for file in known.files for part in (file, *(() if file.sha256 else file.archives))]
    return {part.name: part.sha256 for part in parts}


def _by_hand(known: Pretrained, file: WeightFile, folder: Path, error: NotFetchedError) -> str:
    failed = ", nor from ".join(f"{place} ({cause})" for place, cause in error.attempts)
    missing = {" or ".join(sources(wanted)): None for wanted in known.files if not (folder / wanted.name).exists()}
    return (
        f"{known.name} is not on this machine, and {file.name} cannot be downloaded from {failed}. "
        f"Try again; or get {' '.join(missing)} elsewhere and put {'it' if len(missing) == 1 else 'them'} into {folder}"
    )


def _weights(known: Pretrained, paths: list[Path]) -> dict[str, Tensor]:
    """Return the state dict, which fits the network."""
    import torch

    with torch.device("meta"):
        expected = known.model.build(known.audio).state_dict()
    try:
        weights = known.weights(paths)
    except SepkitError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"{known.name}: its files hold other weights than its plugin knows ({reason(error)})"
        ) from error
    model_file.check_weights(paths[0], expected, weights)
    return weights


def _manifest(known: Pretrained, checksums: Mapping[str, str]) -> dict[str, Any]:
    config = RunConfig(audio=known.audio, model=known.model, separate=known.separate)
    manifest = model_file.manifest_of(config, licence=known.licence)
    return manifest | {"pretrained": {"name": known.name, "files": dict(checksums)}}
