"""`sepkit models info|import` as users type them, on good files and on all that may be wrong with one."""

import json
import os
import random
import struct

import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sepkit.checkpoints import model_file, tensor_file
from sepkit.checkpoints.stored_tensors import StoredTensor
from tests.checkpoints.test_model_file import rewritten
from tests.checkpoints.torch_zip import model, network
from tests.cli.test_bad_input import one_line


@pytest.fixture
def path(small_config, tmp_path):
    return model(small_config, tmp_path / "m.safetensors")


@pytest.fixture
def weights(small_config, tmp_path):
    """Weights as another program's training left them."""
    path = tmp_path / "best_model.pth"
    tree = {f"module.{name}": tensor.half() for name, tensor in network(small_config).state_dict().items()}
    tree = {n: t.long() if "num_batches" in n else t for n, t in tree.items()}
    torch.save({"epoch": 3, "state_dict": tree}, path)
    return path


# Info


def test_info_says_what_a_model_file_holds(sepkit, path):
    found = sepkit("models", "info", path, "--json").json
    with safe_open(path, "pt") as file:
        manifest = json.loads(file.metadata()["sepkit"])
    assert found["kind"] == "model"
    assert found["bytes"] == path.stat().st_size
    assert found["sha256"] == manifest["sha256"]
    assert (found["tensors"], found["dtypes"]) == (39, {"float32": 35, "int64": 4})
    assert (found["parameters"], found["step"], found["audio"]["sample_rate"]) == (6769, 7, 8000)
    human = sepkit("models", "info", path).out
    for text in ("kind ", manifest["sha256"], "float32=35, int64=4", "6769"):
        assert text in human


def test_info_tells_the_state_of_a_run_from_a_model(sepkit, trained):
    state = sepkit("models", "info", trained / "last_state.safetensors", "--json").json
    best = sepkit("models", "info", trained / "best_model.safetensors", "--json").json
    assert (state["kind"], best["kind"]) == ("state of a run", "model")
    assert state["tensors"] > best["tensors"]
    assert state["parameters"] == best["parameters"]
    assert sum(state["dtypes"].values()) == state["tensors"]


def test_info_is_strict_json_whatever_a_stranger_wrote(sepkit, path, tmp_path):
    manifest, tensors = tensor_file.read(path)
    manifest["metrics"] = {"sdr": float("inf")}
    manifest["sha256"] = tensor_file.checksum(tensors, lambda n: StoredTensor.of(tensors[n]), manifest)
    save_file(tensors, tmp_path / "inf.safetensors", {"sepkit": json.dumps(manifest)})
    assert sepkit("models", "info", tmp_path / "inf.safetensors", "--json").json["metrics"] == {"sdr": None}


# Row 11


def places(count, size, rng):
    """Half of them in the header, which is small."""
    return [rng.randrange(8) for _ in range(10)] + [rng.randrange(size if i % 2 else 2000) for i in range(count - 10)]


def test_row_11_a_model_file_cut_off_anywhere_is_corrupt(sepkit, path, tmp_path):
    whole, bad = path.read_bytes(), tmp_path / "cut.safetensors"
    for length in places(100, len(whole), random.Random(0)):
        bad.write_bytes(whole[:length])
        one_line(sepkit("models", "info", bad), 1, str(bad), "corrupt")


def test_row_11_a_model_file_with_one_flipped_bit_is_corrupt(sepkit, path, tmp_path):
    whole, bad, rng = path.read_bytes(), tmp_path / "flipped.safetensors", random.Random(1)
    for place in places(100, len(whole), rng):
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        bad.write_bytes(content)
        one_line(sepkit("models", "info", bad), 1, str(bad), "corrupt")


# Row 14


def nan(manifest, tensors):
    tensors["mask_network.expand.bias"][5] = float("nan")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda m, t: m.update(model={"name": "other"}, provider={"distribution": "sepkit-x", "version": "4.5.6"}),
            ('"other"', "sepkit-x 4.5.6", "pip install sepkit-x==4.5.6"),
        ),
        (lambda m, t: m.update(format=99, sepkit="9.8.7"), ("format 99", "sepkit 9.8.7", "pip install -U sepkit")),
        (lambda m, t: m.pop("audio"), ("audio",)),
        (lambda m, t: m.pop("separate"), ("separate",)),
        (lambda m, t: [t.pop(f"mask_network.{n}") for n in ("expand.bias", "scale.weight")], ("expand.bias", "scale")),
        (nan, ("not finite", "mask_network.expand.bias")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["info", "separate"])
def test_row_14_a_model_file_that_cannot_be_used_says_why(sepkit, path, songs, tmp_path, change, parts, verb):
    bad = rewritten(path, tmp_path / "bad.safetensors", change)
    out = tmp_path / "out"
    command = (
        ("models", "info", bad) if verb == "info" else ("separate", songs / "one/mixture.wav", "-m", bad, "-o", out)
    )
    one_line(sepkit(*command), 1, "bad.safetensors", *parts)
    assert not out.exists()


# Import


def test_imported_weights_are_a_model_like_any_other(sepkit, weights, small_config, songs, tmp_path):
    new = tmp_path / "new" / "m.safetensors"
    before = weights.read_bytes()
    done = sepkit("models", "import", weights, "--config", small_config, "-o", new, "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "file": str(weights),
        "model": str(new),
        "tensors": 39,
        "parameters": 6769,
        "notes": [
            'Found under "state_dict"',
            'Removed the prefix "module." from every name',
            "Converted 35 tensors from float16 to float32",
        ],
    }
    assert weights.read_bytes() == before
    loaded = model_file.load(new)
    assert (loaded.manifest.audio.sample_rate, loaded.manifest.provider.distribution) == (8000, "sepkit")
    expected = network(small_config).state_dict()
    assert all(torch.equal(t, expected[n].half().to(t.dtype)) for n, t in loaded.weights.items())
    done = sepkit("separate", songs / "one" / "mixture.wav", "-m", new, "-o", tmp_path / "voice.wav")
    assert done.code == 0, done.err
    assert soundfile.info(tmp_path / "voice.wav").frames == 12000


def test_import_says_what_it_did_and_what_comes_next(sepkit, weights, small_config, tmp_path):
    new = tmp_path / "m.safetensors"
    done = sepkit("models", "import", weights, "--config", small_config, "-o", new)
    assert done.err == ""
    for text in ("39 tensors", "6769 parameters", "float16 to float32", f"Next: sepkit separate song.mp3 -m {new}"):
        assert text in done.out


def test_import_takes_the_network_from_config_and_overrides(sepkit, weights, small_config, tmp_path):
    command = ("models", "import", weights, "--config", small_config, "-o", tmp_path / "m.safetensors")
    one_line(sepkit(*command, "--set", "model.hidden=9"), 1, str(weights), "do not fit the model", "(27,)")
    one_line(sepkit(*command, "--set", "model.name=crn"), 2, "crn", "crnn")
    one_line(sepkit("models", "import", weights, "--config", tmp_path / "no.toml", "-o", "m.safetensors"), 2, "no.toml")
    assert not (tmp_path / "m.safetensors").exists()
    assert sepkit(*command, "--set", "separate.residual=karaoke").code == 0
    assert model_file.load(tmp_path / "m.safetensors").manifest.separate.residual == "karaoke"


def test_import_never_replaces_what_it_should_not(sepkit, weights, small_config, tmp_path):
    command = ("models", "import", weights, "--config", small_config)
    one_line(sepkit(*command), 2, "--output")
    one_line(sepkit("models", "import", weights, "-o", "m.safetensors"), 2, "--config")
    one_line(sepkit(*command, "-o", tmp_path / "m.pth"), 2, "m.pth", ".safetensors")
    used = tmp_path / "used.safetensors"
    used.write_text("mine")
    one_line(sepkit(*command, "-o", used), 2, "used.safetensors exists", "--overwrite")
    assert used.read_text() == "mine"
    assert sepkit(*command, "-o", used, "--overwrite").code == 0
    assert model_file.load(used).weights
    (tmp_path / "folder.safetensors").mkdir()
    one_line(
        sepkit(*command, "-o", tmp_path / "folder.safetensors", "--overwrite"), 2, "folder.safetensors is a folder"
    )


@pytest.mark.parametrize("how", ["same", "hard link", "symbolic link"])
def test_import_never_replaces_its_input(sepkit, weights, small_config, tmp_path, how):
    source = weights.rename(tmp_path / "w.safetensors")
    output = source if how == "same" else tmp_path / "x.safetensors"
    if how == "hard link":
        os.link(source, output)
    elif how == "symbolic link":
        output.symlink_to(source)
    before = source.read_bytes()
    done = sepkit("models", "import", source, "--config", small_config, "-o", output, "--overwrite")
    one_line(done, 2, str(output), "file to import")
    assert source.read_bytes() == before


def test_import_leaves_a_link_target_alone(sepkit, weights, small_config, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link.safetensors"
    target.write_text("mine")
    link.symlink_to(target)
    assert sepkit("models", "import", weights, "--config", small_config, "-o", link, "--overwrite").code == 0
    assert target.read_text() == "mine"
    assert not link.is_symlink()


def test_import_into_a_folder_that_cannot_be(sepkit, weights, small_config, tmp_path):
    (tmp_path / "file").write_text("x")
    done = sepkit("models", "import", weights, "--config", small_config, "-o", tmp_path / "file" / "m.safetensors")
    one_line(done, 1, str(tmp_path / "file"))


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\3\4", b"PK\5\6" + bytes(18), struct.pack("<Q", 1 << 63) + b"{}"]
)
def test_import_of_no_file_of_pytorch(sepkit, small_config, tmp_path, content):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(content)
    done = sepkit("models", "import", bad, "--config", small_config, "-o", tmp_path / "m.safetensors", "--json")
    assert (done.code, done.json["exit_code"]) == (1, 1)
    assert str(bad) in done.json["error"]
    assert not (tmp_path / "m.safetensors").exists()
    missing = sepkit("models", "import", "no.pth", "--config", small_config, "-o", tmp_path / "m.safetensors")
    one_line(missing, 1, "no.pth")


def test_row_12_import_of_a_payload_is_one_line_and_leaves_nothing(sepkit, small_config, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "marker"),)

    torch.save({"state_dict": {"x": torch.zeros(2), "y": Payload()}}, tmp_path / "evil.pth")
    command = ("models", "import", tmp_path / "evil.pth", "--config", small_config, "-o", tmp_path / "m.safetensors")
    for args in (command, (*command, "--overwrite")):
        one_line(sepkit(*args), 1, "evil.pth", "posix.mkdir", "Nothing in it was run")
    assert not (tmp_path / "marker").exists()
    assert not (tmp_path / "m.safetensors").exists()
