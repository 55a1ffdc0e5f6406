"""All that resuming a run needs, as tensors and plain JSON values: no pickle.

State dicts are trees of dicts, lists, tensors and scalars. Their tensors are stored as tensors under the path to them,
and the JSON tree holds a reference in their place.
"""

from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from sepkit.atomic import Commit
from sepkit.checkpoints import tensor_file
from sepkit.errors import ModelFileError

_REFERENCE = "tensor:"


def stage(commit: Commit, path: Path, tree: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Stage a file of a tree of state dicts, to become `path` with the commit. The entry `model` must be a network's
    state dict.
    """
    tensors: dict[str, Tensor] = {}
    state = _pack(tree, "", tensors)
    tensor_file.stage(commit, path, tensors, {**manifest, "state": state})


def load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest and the tree.

    Raises:
        ModelFileError: the file is missing or corrupt, or holds no state.
    """
    manifest, tensors = tensor_file.read(path)
    if "state" not in manifest:
        raise ModelFileError(f"{path}: holds weights only, no state to continue from")
    return manifest, _unpack(manifest.pop("state"), tensors)


def launch_of(path: Path) -> str:
    """Return which launch of torchrun has written a state; "" if none has."""
    return str(load(path)[1].get("launch", ""))


def holds_state(path: Path) -> bool:
    """Return whether `path` is the state of a run rather than weights alone."""
    return "state" in tensor_file.read(path)[0]


def _pack(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        tensors[path] = tree
        return _REFERENCE + path
    if isinstance(tree, dict):  # as pairs: JSON has no integer keys, and optimisers number their parameters
        return {"pairs": [[key, _pack(value, f"{path}.{key}".lstrip("."), tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_pack(value, f"{path}.{i}".lstrip("."), tensors) for i, value in enumerate(tree)]
    if isinstance(tree, float) and not isfinite(tree):  # nor has it infinity
        return {"float": str(tree)}
    return tree


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, str) and tree.startswith(_REFERENCE):
        return tensors[tree.removeprefix(_REFERENCE)]
    if isinstance(tree, dict):
        return (
            float(tree["float"]) if "float" in tree else {key: _unpack(value, tensors) for key, value in tree["pairs"]}
        )
    if isinstance(tree, list):
        return [_unpack(value, tensors) for value in tree]
    return tree
