"""Thousands of seeded mutations: a changed file is refused, or means what it meant, and runs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.checkpoints.torch_zip import model, network

ROOT = Path(__file__).parents[2]
counts = pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.fuzz)])

# What reading and writing files takes, and a text encoding that a changed flag or opcode asks for.
HARMLESS = {
    "open r", "open None", "os.mkdir", "os.listdir", "tempfile.mkstemp", "os.chmod", "os.rename", "os.remove",
    "builtins.id", "object.__setattr__", "import encodings.cp437", "import encodings.raw_unicode_escape",
}  # fmt: skip


def became(kind, path, config_file, count):
    """Return how often mutations of a file ended how; each import runs one module, and nothing else runs."""
    call = [sys.executable, "-m", "tests.checkpoints.mutations", kind, path, config_file, str(count)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    heard, outcomes = found["heard"], found["outcomes"]
    imports = sum(event.startswith("import ") for event in heard)
    assert heard.pop("exec", 0) == heard.pop("marshal.loads", 0) == imports
    assert heard.keys() <= HARMLESS
    assert sum(outcomes.values()) == count
    return outcomes


@counts
def test_a_changed_model_file_never_loads_other_weights_and_never_runs_anything(small_config, tmp_path, count):
    outcomes = became("model", model(small_config, tmp_path / "m.safetensors"), small_config, count)
    assert outcomes.keys() == {"refused", "same"}
    assert outcomes["same"] < count / 10


@pytest.fixture
def weights(small_config, tmp_path):
    path = tmp_path / "w.pth"
    tree = {"state_dict": network(small_config).state_dict(), "epoch": 3, "lr": 0.1, "names": ["a", (1, None)]}
    torch.save(tree, path)
    return path


@counts
def test_a_changed_file_of_pytorch_never_loads_other_weights_and_never_runs_anything(weights, small_config, count):
    outcomes = became("torch", weights, small_config, count)
    assert outcomes.keys() == {"refused", "same"}
    assert outcomes["same"] < count / 10


@counts
def test_a_changed_pickle_in_a_whole_zip_never_runs_anything(weights, small_config, count):
    """It may hold other names and numbers: somebody may have written it so."""
    outcomes = became("pickle", weights, small_config, count)
    assert outcomes.keys() == {"refused", "same", "other"}
    assert outcomes["refused"] > count / 2
