"""Model files: whole or refused, and only for the network they belong to."""

import json
import random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sepkit.checkpoints import model_file, tensor_file
from sepkit.checkpoints.stored_tensors import StoredTensor
from sepkit.errors import ModelFileError


@pytest.fixture
def model(trained):
    return trained / "best_model.safetensors"


def test_the_manifest_says_what_the_network_is(model):
    manifest = model_file.load(model).manifest
    assert manifest.audio.sample_rate == 8000
    assert manifest.model.model_dump()["hidden"] == 8
    assert manifest.provider.distribution == "sepkit"
    assert manifest.step > 0


def test_the_state_of_a_run_can_be_used_as_a_model(trained):
    network = model_file.load(trained / "last_state.safetensors").network()
    assert network(torch.zeros(1, 1, 100)).shape == (1, 1, 1, 100)


def test_every_flipped_bit_is_found(model, tmp_path):
    whole, rng = model.read_bytes(), random.Random(0)
    bad = tmp_path / "bad.safetensors"
    for _ in range(100):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        bad.write_bytes(content)
        with pytest.raises(ModelFileError, match="bad.safetensors"):
            model_file.load(bad)


def test_every_truncation_is_found(model, tmp_path):
    whole, rng = model.read_bytes(), random.Random(1)
    bad = tmp_path / "bad.safetensors"
    for _ in range(100):
        bad.write_bytes(whole[: rng.randrange(len(whole))])
        with pytest.raises(ModelFileError, match="bad.safetensors"):
            model_file.load(bad)


def rewritten(model, path, change):
    """Write the file again with a changed manifest and a checksum that fits."""
    manifest, tensors = tensor_file.read(model)
    change(manifest, tensors)
    version = manifest.pop("format")
    original, tensor_file.FORMAT = tensor_file.FORMAT, version
    try:
        tensor_file.write(path, tensors, manifest)
    finally:
        tensor_file.FORMAT = original
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, t: m.update(format=99), "format 99"),
        (lambda m, t: m.pop("audio"), "audio"),
        (lambda m, t: m["audio"].update(sources=["../../x"]), "file name"),
        (lambda m, t: m["model"].update(hidden=9), "do not fit the model"),
        (lambda m, t: m["model"].update(surprise=9), "surprise"),
        (lambda m, t: t.pop(next(iter(t))), "missing"),
        (lambda m, t: t.update(extra=torch.zeros(1)), "extra unknown"),
        (lambda m, t: t[next(k for k in t if "gru" in k)].view(-1)[:1].fill_(float("nan")), "not finite"),
        (lambda m, t: m["model"].update(name="unheard-of"), "unheard-of"),
    ],
)
def test_a_file_that_lies_is_refused(model, tmp_path, change, message):
    path = rewritten(model, tmp_path / "m.safetensors", change)
    with pytest.raises(ModelFileError, match=message):
        model_file.load(path).network()


def test_safetensors_of_others_are_told_apart(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="sepkit did not write"):
        model_file.load(tmp_path / "x.safetensors")


def test_the_manifest_is_plain_json(model):
    with safe_open(model, "pt") as file:
        manifest = json.loads(file.metadata()["sepkit"])
    assert set(manifest) >= {"format", "sepkit", "provider", "audio", "model", "separate", "licence", "step", "sha256"}


def test_a_failed_write_keeps_the_earlier_file(model, monkeypatch):
    before = model.read_bytes()
    manifest, tensors = tensor_file.read(model)

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensor_file, "save_file", full_disk)
    with pytest.raises(ModelFileError, match="No space left"):
        tensor_file.write(model, tensors, manifest)
    assert model.read_bytes() == before
    assert [p for p in model.parent.iterdir() if p.suffix == ".part"] == []


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:-9] + b"\x01" + b[-8:], lambda b: b""])
def test_what_the_disk_did_not_keep_replaces_nothing(model, monkeypatch, damage):
    before = model.read_bytes()
    manifest, tensors = tensor_file.read(model)

    def bad_disk(tensors, path, metadata):
        save_file(tensors, path, metadata)
        path.write_bytes(damage(path.read_bytes()))

    monkeypatch.setattr(tensor_file, "save_file", bad_disk)
    with pytest.raises(ModelFileError, match="corrupt"):
        tensor_file.write(model, tensors, manifest)
    assert model.read_bytes() == before
    assert [p for p in model.parent.iterdir() if p.suffix == ".part"] == []


def test_a_model_file_knows_its_checksum(model):
    values, tensors = tensor_file.read(model)
    found = tensor_file.checksum(tensors, lambda name: StoredTensor.of(tensors[name]), values)
    assert model_file.load(model).checksum == found


def test_a_file_that_replaces_a_model_in_use_does_not_lend_it_its_weights(model):
    loaded, in_use = model_file.load(model), model_file.load(model)
    assert in_use.weights
    rewritten(model, model, lambda m, t: m.update(step=8))
    assert in_use.network()
    with pytest.raises(ModelFileError, match="has been replaced while it was in use"):
        loaded.network()


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float16", "float32", "float64", "int64", "uint8", "bool", "float8_e5m2"]
)
def test_tensors_of_every_dtype_and_shape_come_back_as_they_were(tmp_path, dtype):
    """Without PyTorch they are bytes, which hash as its tensors do."""
    kind = getattr(torch, dtype)
    tensors = {"none": torch.zeros(0, 3).to(kind), "one": torch.ones(()).to(kind), "some": torch.rand(2, 3).to(kind)}
    path = tmp_path / "t.safetensors"
    tensor_file.write(path, tensors, {"sepkit": "1"})
    _, found = tensor_file.read(path)
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {
        n: (t.dtype, t.shape) for n, t in tensors.items()
    }
    assert all(
        torch.equal(found[name].view(torch.uint8), t.view(torch.uint8)) for name, t in tensors.items() if t.dim()
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_told_from_large_ones(dtype, value):
    tensor = torch.full((7,), torch.finfo(dtype).max, dtype=dtype)
    tensor[1] = -tensor[0]
    assert StoredTensor.of(tensor).is_finite()
    tensor[5] = value
    assert not StoredTensor.of(tensor).is_finite()
