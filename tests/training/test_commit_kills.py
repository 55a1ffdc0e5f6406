"""Row 2 of the faults: a kill at each step of writing a run's files; benchmarks/faults_training.py uses strace."""

import os
import signal

import pytest
import torch

from sepkit import atomic, config
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file, tensor_file
from sepkit.errors import ModelFileError
from sepkit.training import state as states

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Killer:
    """Kills the process at the n-th call of what touches the disk, before it or in the middle of a write."""

    def __init__(self, number):
        self._left = number

    def __call__(self, function, half=None):
        def called(*args, **kwargs):
            self._left -= 1
            if not self._left:
                if half:
                    half(*args)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return called


def commit(folder, value):
    """Write a best model and a state whose weights are all `value`."""
    run = config.load(None)
    network = torch.nn.Conv1d(1, 1, 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    manifest = model_file.manifest_of(run)
    with Commit() as files:
        files.text(folder / "history.jsonl", f"{value}\n")
        model_file.stage(files, folder / "best_model.safetensors", network, manifest)
        states.stage(files, folder / "last_state.safetensors", {"model": network.state_dict()}, manifest)


def killed_at(number, folder):
    """Commit new files in a child that is killed at its n-th call; return whether it was."""
    child = os.fork()
    if child == 0:
        kill = Killer(number)
        atomic.mkstemp = kill(atomic.mkstemp)
        os.fsync = kill(os.fsync)
        atomic.Path.replace = kill(atomic.Path.replace)
        atomic.Path.chmod = kill(atomic.Path.chmod)
        save = tensor_file.save_file
        tensor_file.save_file = kill(save, half=lambda tensors, path, _: path.write_bytes(b"\x08\0\0\0\0\0\0\0{"))
        commit(folder, 2.0)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_row_2_files_are_old_or_new_and_never_torn_or_gone(tmp_path):
    seen = set()
    for number in range(1, 100):
        folder = tmp_path / str(number)
        folder.mkdir()
        commit(folder, 1.0)
        if not killed_at(number, folder):
            break
        found = []
        for name in ("best_model.safetensors", "last_state.safetensors"):
            weights = tensor_file.read(folder / name)[1]
            values = {float(value) for tensor in weights.values() for value in tensor.flatten()}
            assert len(values) == 1
            found.append(values.pop())
        assert found != [1.0, 2.0], "a state never appears before the best model that belongs to it"
        seen.add(tuple(found))
        atomic.remove_leftovers(
            folder / n for n in ("history.jsonl", "best_model.safetensors", "last_state.safetensors")
        )
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert number > 15
    assert seen == {(1.0, 1.0), (2.0, 1.0), (2.0, 2.0)}


def test_row_2_the_check_of_this_test_finds_a_writer_that_writes_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "mkstemp", lambda dir, prefix, suffix: in_place(dir, prefix))  # noqa: A006
    with pytest.raises((AssertionError, ModelFileError)):
        test_row_2_files_are_old_or_new_and_never_torn_or_gone(tmp_path)


def in_place(folder, prefix):
    path = folder / prefix.strip(".")
    return os.open(path, os.O_RDWR | os.O_CREAT), str(path)
