"""The state of a run: all that resuming to the bit needs, as tensors and plain JSON values in one file, no pickle.

State dicts are trees of dicts, lists, tensors and scalars. Their tensors are stored as tensors under the path to them,
and the JSON tree holds a reference in their place.
"""

from dataclasses import asdict, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from sepkit.atomic import Commit
from sepkit.checkpoints import model_file, tensor_file
from sepkit.config import RunConfig
from sepkit.errors import ModelFileError
from sepkit.training.learner import Learner
from sepkit.training.progress import EarlyStopping, Position
from sepkit.training.randomness import random_states, restore_random_states
from sepkit.training.ranks import launch

_REFERENCE = "tensor:"


def fixed_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings of the training without which the moments in a state mean nothing."""
    return {"train.optimizer.name": config.train.optimizer.name, "train.freeze": list(config.train.freeze)}


def state_of(learner: Learner, config: RunConfig) -> dict[str, Any]:
    """Return all that `restore` needs. Every rank must call it."""
    random = {name: learner.ranks.gathered(values) for name, values in random_states(learner.ranks.device).items()}
    return {
        "model": learner.network.state_dict(),
        "averaged": {} if learner.averaged is None else learner.averaged.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "schedule": learner.schedule.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "stopping": asdict(learner.stopping),
        "position": asdict(learner.position),
        "fixed": fixed_settings(config),
        "launch": launch(),
        "random": random,
    }


def restore(learner: Learner, path: Path, state: dict[str, Any], *, best_is_known: bool) -> bool:
    """Give a learner the state of a file. Settings come from the config, which may have changed; moments and counters
    from the file.

    Returns True if the best score is still that of the state. It is not without `best_is_known`, if the best model did
    not come along, and not if scores are measured differently now. Then the next finite score is the best; until then a
    best model that is there stays.

    Raises:
        ModelFileError: the weights do not fit, or something is missing.
    """
    try:
        return _restore(learner, path, state, best_is_known=best_is_known)
    except (KeyError, TypeError, ValueError) as error:
        raise _other_version(path, error) from None


def _restore(learner: Learner, path: Path, state: dict[str, Any], *, best_is_known: bool) -> bool:
    model_file.check_weights(path, learner.network.state_dict(), state["model"])
    learner.network.load_state_dict(state["model"])
    if learner.averaged is not None:  # an average that begins now begins with the present weights
        learner.averaged.module.load_state_dict(state["model"])
        if state["averaged"]:
            learner.averaged.load_state_dict(state["averaged"])
    learner.optimizer.load_state_dict({**learner.optimizer.state_dict(), "state": state["optimizer"]["state"]})
    if state["scaler"] and learner.scaler.is_enabled():  # a resumed run may begin to scale, or cease to
        learner.scaler.load_state_dict(state["scaler"])
    learner.position = Position(**state["position"])
    same_measure = state["stopping"]["measure"] == learner.stopping.measure
    learner.schedule.load_state_dict(state["schedule"], scores_are_known=same_measure)
    known, own, epoch = best_is_known and same_measure, learner.stopping, learner.position.epoch
    worst = inf if best_is_known and state["stopping"]["best"] is not None else None  # every finite score is better
    learner.stopping = (
        EarlyStopping(**{**state["stopping"], "patience": own.patience})
        if known
        else replace(own, best=worst, epoch=epoch, best_epoch=epoch)
    )
    if learner.ranks.number < len(state["random"]["torch"]):
        mine = {name: rows[learner.ranks.number].clone() for name, rows in state["random"].items()}
        restore_random_states(mine, learner.ranks.device)
    return known


def stage(commit: Commit, path: Path, state: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Stage a file of a state, to become `path` with the commit. Its entry `model` must be a network's state dict."""
    tensors: dict[str, Tensor] = {}
    packed = _pack(state, "", tensors)
    tensor_file.stage(commit, path, tensors, {**manifest, "state": packed})


def load(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the manifest and the state of a file; None for a file of weights alone.

    Raises:
        ModelFileError: the file is missing or corrupt.
    """
    manifest, tensors = tensor_file.read(path)
    if "state" not in manifest:
        return manifest, None
    try:
        return manifest, _unpack(manifest.pop("state"), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise _other_version(path, error) from None


def _other_version(path: Path, error: Exception) -> ModelFileError:
    found = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be restored ({error})"
    return ModelFileError(
        f"{path}: the state {found}; it was written by another version of sepkit: resume it with that one, or start "
        "from the best model beside it (--resume-from)"
    )


def _pack(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        tensors[path] = tree
        return _REFERENCE + path
    if isinstance(tree, dict):  # as pairs: JSON has no integer keys, and optimisers number their parameters
        return {"pairs": [[key, _pack(value, f"{path}.{key}".lstrip("."), tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_pack(value, f"{path}.{i}".lstrip("."), tensors) for i, value in enumerate(tree)]
    if isinstance(tree, float) and not isfinite(tree):  # nor has JSON infinity
        return {"float": str(tree)}
    return tree


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, str) and tree.startswith(_REFERENCE):
        return tensors[tree.removeprefix(_REFERENCE)]
    if isinstance(tree, dict):
        pairs = tree.get("pairs", ())
        return float(tree["float"]) if "float" in tree else {key: _unpack(value, tensors) for key, value in pairs}
    if isinstance(tree, list):
        return [_unpack(value, tensors) for value in tree]
    return tree
