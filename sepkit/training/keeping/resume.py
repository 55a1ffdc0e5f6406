"""The state of a learner: taken from it, and given to another that goes on from there."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sepkit.checkpoints import model_file
from sepkit.errors import ModelFileError
from sepkit.training.learning.early_stopping import EarlyStopping
from sepkit.training.learning.learner import Learner
from sepkit.training.learning.position import Position
from sepkit.training.learning.randomness import random_states, restore_random_states
from sepkit.training.ranks import launch


def state_of(learner: Learner) -> dict[str, Any]:
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
        "fixed": learner.fixed,
        "launch": launch(),
        "random": random,
    }


def restore(learner: Learner, state: Path, tree: dict[str, Any], *, best_is_known: bool) -> bool:
    """Continue from the tree of a state. Settings come from the config, which may have changed; moments and counters
    from the file.

    Returns whether the best score is still that of the state. It is not without `best_is_known`, where the best model
    did not come along, and not where scores are measured differently now. Then the next finite score is the best.

    Raises:
        ModelFileError: the weights do not fit, or something is missing.
    """
    try:
        return _restore(learner, state, tree, best_is_known=best_is_known)
    except KeyError as error:
        raise ModelFileError(f"{state}: the state lacks {error}; it was written by another version of sepkit") from None


def _restore(learner: Learner, state: Path, tree: dict[str, Any], *, best_is_known: bool) -> bool:
    model_file.check_weights(state, learner.network.state_dict(), tree["model"])
    learner.network.load_state_dict(tree["model"])
    if learner.averaged is not None:  # an average that begins now begins with what has been learned
        learner.averaged.module.load_state_dict(tree["model"])
        if tree["averaged"]:
            learner.averaged.load_state_dict(tree["averaged"])
    learner.optimizer.load_state_dict({**learner.optimizer.state_dict(), "state": tree["optimizer"]["state"]})
    if tree["scaler"] and learner.scaler.is_enabled():  # a run may go on where there is nothing to scale, or begin to
        learner.scaler.load_state_dict(tree["scaler"])
    learner.position = Position(**tree["position"])
    same_scores = tree["stopping"]["measure"] == learner.stopping.measure
    learner.schedule.load_state_dict(tree["schedule"], scores_are_known=same_scores)
    known = best_is_known and same_scores
    epoch = learner.position.epoch
    then = EarlyStopping(**tree["stopping"])
    own = replace(learner.stopping, epoch=epoch, best_epoch=epoch)
    learner.stopping = replace(then, patience=own.patience) if known else own
    if learner.ranks.number < len(tree["random"]["torch"]):
        mine = {name: rows[learner.ranks.number].clone() for name, rows in tree["random"].items()}
        restore_random_states(mine, learner.ranks.device)
    return known
