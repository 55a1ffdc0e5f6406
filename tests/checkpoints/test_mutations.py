"""Thousands of seeded mutations: a changed file is refused, or means what it meant, and runs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.checkpoints.torch_zip import model, network

ROOT = Path(__file__).parents[2]
# What reading and writing files takes, and a text encoding that a changed flag or opcode asks for.
HARMLESS = {
    "open r", "open None", "os.mkdir", "os.listdir", "tempfile.mkstemp", "os.chmod", "os.rename", "os.remove",
    "builtins.id", "object.__setattr__", "import encodings.cp437", "import encodings.raw_unicode_escape",
}  # fmt: skip


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.fuzz)])
def test_a_changed_file_never_loads_other_weights_and_never_runs_anything(small_config, tmp_path, count):
    """A pickle in a whole zip may hold other names and numbers: it may have been written so."""
    weights = tmp_path / "w.pth"
    tree = {"state_dict": network(small_config).state_dict(), "epoch": 3, "lr": 0.1, "names": ["a", (1, None)]}
    torch.save(tree, weights)
    files = {"model": model(small_config, tmp_path / "m.safetensors"), "torch": weights, "pickle": weights}
    call = [sys.executable, "-m", "tests.checkpoints.mutations", small_config, str(count)]
    call += [f"{kind}={path}" for kind, path in files.items()]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    for kind in files:
        heard, outcomes = found[kind]["heard"], found[kind]["outcomes"]
        imports = sum(event.startswith("import ") for event in heard)
        assert heard.pop("exec", 0) == heard.pop("marshal.loads", 0) == imports
        assert heard.keys() <= HARMLESS
        assert sum(outcomes.values()) == count
        assert outcomes.keys() == ({"refused", "same", "other"} if kind == "pickle" else {"refused", "same"})
        assert outcomes["refused"] > count / 2 if kind == "pickle" else outcomes["same"] < count / 10
