"""Files of PyTorch from elsewhere: weights come over as they are, and nothing else does."""

import builtins
import operator
import os
import pickle
import random
import re
import subprocess
from collections import OrderedDict
from copy import copy
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch

from sepkit import config
from sepkit.checkpoints import import_weights, model_file, torch_file
from sepkit.errors import ModelFileError
from tests.checkpoints.torch_zip import Call, Storage, network, pickled, rewritten, tensor, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def weights(small_config):
    return network(small_config).state_dict()


@pytest.fixture
def convert(small_config, tmp_path):
    """Import a file, and return the weights that were written and the report."""

    def run(path, *overrides):
        done = import_weights.convert(path, tmp_path / "out" / "m.safetensors", config.load(small_config, overrides))
        loaded = model_file.load(done.path)
        loaded.network()
        return loaded.weights, done

    return run


@pytest.fixture
def refused(convert, tmp_path):
    """Check that a file is refused for a reason, that nothing is written, and that nothing is advised that harms."""

    def check(path, reason, *overrides):
        with pytest.raises(ModelFileError, match=reason) as caught:
            convert(path, *overrides)
        text = str(caught.value)
        assert text.startswith(str(path))
        assert "weights_only" not in text
        assert "unsafe" not in text.lower()
        assert not (tmp_path / "out").exists()
        return text

    return check


def saved(path, tree, **how):
    torch.save(tree, path, **how)
    return path


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


# Weights that come over


@pytest.mark.parametrize("key", ["", "state_dict", "model_state_dict", "model", "weights", "network"])
def test_weights_are_found_where_training_code_keeps_them(convert, weights, tmp_path, key):
    tree = {
        "epoch": 3,
        "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]},
        key: weights,
    }
    found, done = convert(saved(tmp_path / "w.pth", tree if key else weights))
    equal(found, weights)
    assert done.notes == ((f'Found under "{key}"',) if key else ())
    assert (done.tensors, done.parameters) == (39, 6769)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.network."])
def test_a_prefix_of_all_names_is_removed(convert, weights, tmp_path, prefix):
    path = saved(tmp_path / "w.pt", {"state_dict": OrderedDict((prefix + n, t) for n, t in weights.items())})
    found, done = convert(path)
    equal(found, weights)
    assert done.notes == ('Found under "state_dict"', f'Removed the prefix "{prefix}" from every name')


def test_a_checkpoint_of_lightning_comes_over(convert, weights, small_config, tmp_path):
    adam = torch.optim.Adam(network(small_config).parameters())
    path = saved(
        tmp_path / "w.ckpt",
        {
            "epoch": 9, "global_step": 90, "pytorch-lightning_version": "2.4.0", "loops": {"a": (1, 2.5)},
            "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "kth": None}},
            "hyper_parameters": {"size": torch.Size([2, 3]), "type": torch.float16, "file": "x", "on": True},
            "optimizer_states": [adam.state_dict()], "lr_schedulers": [],
            "state_dict": OrderedDict(("net." + name, value) for name, value in weights.items()),
        },
    )  # fmt: skip
    equal(convert(path)[0], weights)


def test_weights_may_share_memory_be_parameters_and_lie_in_any_order(convert, weights, small_config, tmp_path):
    rows, columns = "mask_network.project.0.weight", "mask_network.expand.weight"
    block = torch.randn(3, 128, 16)
    tree = dict(weights)
    tree[rows], tree[columns] = block[1].T, block[2]  # views with strides and an offset
    tree["mask_network.project.1.weight"] = tree["mask_network.project.1.bias"]  # the same tensor twice
    kernel = "mask_network.encoder.0.0.weight"
    tree[kernel] = weights[kernel].to(memory_format=torch.channels_last)
    expected = {name: value.clone().contiguous() for name, value in tree.items()}
    learnt = {name for name, _ in network(small_config).named_parameters()}
    tree = {n: torch.nn.Parameter(t) if n in learnt else t for n, t in tree.items()}
    equal(convert(saved(tmp_path / "w.pth", tree))[0], expected)


def test_an_empty_tensor_and_a_scalar_are_tensors(tmp_path):
    tree = {"none": torch.zeros(0, 3), "one": torch.tensor(2.5), "flags": torch.tensor([True, False])}
    equal(torch_file.load(saved(tmp_path / "w.pth", tree)), tree)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32_and_are_told(convert, weights, tmp_path, dtype):
    tree = {name: t.to(dtype) if t.is_floating_point() else t for name, t in weights.items()}
    found, done = convert(saved(tmp_path / "w.pth", tree))
    equal(found, {name: tree[name].to(t.dtype) for name, t in weights.items()})
    assert done.notes == (f"Converted 35 tensors from {str(dtype).removeprefix('torch.')} to float32",)


def test_a_file_of_pytorch_1_6_comes_over(convert, weights, tmp_path):
    """It called its folder "archive", and its storages by their addresses; .format_version and the like came later."""
    with ZipFile(saved(tmp_path / "new.pth", weights)) as archive:
        content = archive.read("new/data.pkl")
        names = [name for name in archive.namelist() if name.startswith("new/data/")]
        storages = {str(94503122334208 + int(name[9:])): archive.read(name) for name in names}
    content = re.sub(
        rb"X.\0\0\0([0-9]+)(?=[qr])", lambda key: b"X\x0e\0\0\0%d" % (94503122334208 + int(key[1])), content
    )
    equal(convert(write(tmp_path / "old.pth", content, storages))[0], weights)


# Weights that do not


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("mask_network.scale.num_batches_tracked"), "mask_network.scale.num_batches_tracked missing"),
        (lambda w: w.update(extra=torch.zeros(1)), "extra unknown"),
        (lambda w: w.update({"mask_network.expand.bias": torch.zeros(7)}), r"is \(7,\) float32, not \(128,\) float32"),
        (lambda w: w.update({"mask_network.expand.bias": torch.zeros(128).int()}), "expand.bias is .* int32, not"),
        (lambda w: w.update({"mask_network.scale.num_batches_tracked": torch.tensor(0.5)}), "float32, not .* int64"),
        (lambda w: w["mask_network.expand.bias"][3:4].fill_(float("nan")), r"not finite \(mask_network.expand.bias\)"),
        (lambda w: w["mask_network.expand.bias"][3:4].fill_(float("-inf")), r"not finite \(mask_network.expand.bias\)"),
        (lambda w: w.update({"mask_network.expand.bias": torch.ones(128).double() * 1e300}), r"not finite"),
        (lambda w: w.clear(), "no weights by name"),
        (lambda w: w.update(text="x"), "no weights by name, neither at the top, which holds mask_network.scale.weight"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(refused, weights, tmp_path, change, message):
    change(weights)
    refused(saved(tmp_path / "w.pth", dict(weights)), message)


def test_with_another_prefix_only_what_is_missing_is_named(refused, weights, tmp_path):
    del weights["mask_network.expand.bias"]
    text = refused(
        saved(tmp_path / "w.pth", {f"module.{n}": t for n, t in weights.items()}), "mask_network.expand.bias missing"
    )
    assert "unknown" not in text


@pytest.mark.parametrize(
    "tree", [[torch.zeros(2)], torch.zeros(2), {}, {"epoch": 3}, {"model": {0: torch.zeros(1)}}, 5]
)
def test_what_is_no_state_dict_is_refused(refused, tmp_path, tree):
    refused(saved(tmp_path / "w.pth", tree), "weights by name")


# Code


def payloads(marker):
    """Return objects that create `marker` when a plain pickle loads them, and what is to be said of each."""
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "system": (Call(os.system, f"touch '{marker}'"), "posix.system"),
        "popen": (Call(subprocess.check_call, ["touch", str(marker)]), "check_call"),
        "exec": (Call(builtins.exec, code), "exec"),
        "eval": (Call(builtins.eval, code), "eval"),
        "mkdir": (Call(os.mkdir, str(marker)), "posix.mkdir"),
        "method": (Call(operator.methodcaller("touch"), Path(marker)), "methodcaller"),
    }


class Unguarded(pickle.Unpickler):
    """What reads a .pth where nobody looks first."""

    def find_class(self, module, name):
        return (lambda *_: None) if module.startswith("torch") else super().find_class(module, name)

    def persistent_load(self, pid):
        return None


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("where", ["top", "beside", "inside"])
@pytest.mark.parametrize("kind", ["system", "popen", "exec", "eval", "mkdir", "method"])
def test_a_payload_is_named_and_never_runs(refused, weights, tmp_path, kind, where, protocol):
    marker = tmp_path / "marker"
    payload, name = payloads(marker)[kind]
    tree = {"top": payload, "beside": {"state_dict": weights, "z": payload}, "inside": weights | {"z": payload}}[where]
    path = saved(tmp_path / "evil.pth", tree, pickle_protocol=protocol)
    refused(path, re.escape(name))
    assert not marker.exists()
    with ZipFile(path) as archive, archive.open("evil/data.pkl") as content:
        Unguarded(content).load()
    assert marker.exists(), "it was no payload"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"(S'touch x'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02\x82\x01.", "extension.1"),
        (b"\x80\x04NN\x93.", "<computed>.<computed>"),
        (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94NNh\0h\1\x93.", "posix.system"),
        (b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R.", "protocol 4"),
        (b"\x80\x02cos\nsystem\n.", "os.system"),
        (b"\x80\x02ctorch.nn\nLinear\n.", "torch.nn.Linear"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02c__builtin__\nbytearray\n.", "bytearray"),
        (b"\x80\x02ctorch\nUntypedStorage\n.", "torch.UntypedStorage"),
        (b"\x80\x02ctorch._utils _rebuild_tensor_v2\nx\n.", "_rebuild_tensor_v2.x"),
        (b"\x80\x02}", "broken"),
        (b"", "broken"),
        (b"\x80\x02R.", "broken"),
        (b"\x80\x02X\xff\xff\xff\xffx.", "broken"),
        (b"\x80\x02\x8f.", "opcode EMPTY_SET"),
        (b"\x80\x02c\xff\xfe\nx\n.", "broken"),
    ],
)
def test_pickles_that_torch_save_never_writes(refused, tmp_path, content, message):
    refused(write(tmp_path / "w.pth", content), message)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Call(OrderedDict, [("a", 1)]), "a call that makes no weights"),
        (Call(OrderedDict, attributes={"items": 1}), "attributes of an object"),
        (Call(torch.Size, tuple(range(17))), "a call that makes no weights"),
        (Call(torch._utils._rebuild_parameter, 5, False, OrderedDict()), "a call that makes no weights"),
        (Call(torch.FloatStorage, 5), "a call that makes no weights"),
        ({(1, 2): 3}, "neither text nor numbers"),
        (Storage("0", 5), "5 numbers of the entry data/0, which has another size"),
        (Storage("0", -4), "-4 numbers"),
        (Storage("7", 4), "data/7"),
        (Storage("../version", 4), "data/../version"),
        ([Storage("0", 4), Storage("0", 4, torch.IntStorage)], "two kinds of numbers"),
        (tensor(Storage("0", 4), (2, 3), (1, 1)), "larger than its 4 numbers"),
        (tensor(Storage("0", 4), (1 << 40,), (0,)), "larger than its 4 numbers"),
        (tensor(Storage("0", 4), (4,), (1,), 1), "beyond its numbers"),
        (tensor(Storage("0", 4), (2,), (4,)), "beyond its numbers"),
        (tensor(Storage("0", 4), (), (), 4), "beyond its numbers"),
        (tensor(Storage("0", 4), (), (), -1), "shape is none"),
        (tensor(Storage("0", 4), (-2, -2), (1, 1)), "shape is none"),
        (tensor(Storage("0", 4), (2,), (1, 1)), "shape is none"),
        (tensor(Storage("0", 4), (0, 1 << 63), (1, 1)), "shape is none"),
    ],
)
def test_numbers_and_calls_that_the_file_does_not_cover(refused, tmp_path, item, message):
    refused(write(tmp_path / "w.pth", {"x": item}, {"0": bytes(16)}), re.escape(message))


def test_torch_load_stands_in_one_place():
    files = [*ROOT.glob("sepkit/**/*.py"), *ROOT.glob("plugins/*/sepkit_*/**/*.py")]
    loads = {path.name: re.findall(r"\bload\([^()]*weights_only=\w+\)", path.read_text()) for path in files}
    mentions = {path.name for path in files if "torch.load(" in path.read_text()}
    assert mentions == {"torch_file.py"}
    assert {name: found for name, found in loads.items() if found} == {
        "torch_file.py": ['load(file, map_location="cpu", weights_only=True)']
    }
    pickles = r"^\s*(import|from) (pickle|dill|joblib)\b"
    assert [path.name for path in files if re.search(pickles, path.read_text(), re.MULTILINE)] == [
        "workers.py",  # between a process and those that it has started, never from a file
    ]


# Zips


def test_what_is_no_zip_is_refused_with_a_reason(refused, weights, tmp_path):
    legacy = saved(tmp_path / "legacy.pth", weights, _use_new_zipfile_serialization=False)
    refused(legacy, "PyTorch writes since 1.6")
    for name, content in (("text.pth", b"weights"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "PyTorch writes since 1.6")
    refused(tmp_path, "is a folder")
    os.mkfifo(tmp_path / "pipe.pth")
    refused(tmp_path / "pipe.pth", "something special")


def test_a_missing_file_is_named(convert, tmp_path):
    with pytest.raises(ModelFileError, match="no file .*missing.pth"):
        convert(tmp_path / "missing.pth")


def test_a_program_of_torchscript_is_refused(refused, small_config, tmp_path):
    path = tmp_path / "script.pt"
    with ZipFile(path, "w") as archive:  # torch.jit.save is deprecated
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"script/{name}", b"")
    refused(path, "constants.pkl is none that torch.save writes")


def altered(name, **fields):
    """Change an entry of the directory as it is written."""

    def finish(archive):
        for field, value in fields.items():
            setattr(archive.getinfo(name), field, value)

    return finish


def also(name, of="archive/data/0", **fields):
    """List the bytes of an entry a second time."""

    def finish(archive):
        entry = copy(archive.getinfo(of))
        entry.filename = name
        for field, value in fields.items():
            setattr(entry, field, value)
        archive.filelist.append(entry)

    return finish


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"compression": ZIP_DEFLATED}, "is compressed"),
        ({"finish": altered("archive/data/0", compress_type=ZIP_DEFLATED)}, "data/0 is compressed"),
        ({"finish": altered("archive/data/0", flag_bits=1)}, "is encrypted"),
        ({"finish": altered("archive/data/0", flag_bits=0x40)}, "is encrypted"),
        ({"finish": altered("archive/data/0", external_attr=0x10)}, "is marked as something else"),
        ({"finish": altered("archive/data/0", flag_bits=0x20)}, "is marked as something else"),
        ({"finish": altered("archive/data/0", comment=b"x")}, "is marked as something else"),
        ({"finish": altered("archive/data/0", file_size=1 << 40, compress_size=1 << 40)}, "claims 1099511627776 bytes"),
        ({"finish": altered("archive/data/0", file_size=15)}, "claims 15 bytes"),
        ({"finish": altered("archive/data/0", CRC=5)}, "corrupt .*CRC"),
        ({"finish": altered("archive/data/0", header_offset=3)}, "corrupt"),
        ({"finish": also("archive/data/0")}, "data/0 is there twice"),
        ({"finish": also("archive/data.pkl")}, "data.pkl is there twice"),
        ({"finish": also("archive/DATA.PKL")}, "is none that torch.save writes"),
        ({"finish": also("archive/data/../../x")}, "is none that torch.save writes"),
        ({"finish": also("other/data/1")}, "other/data/1 is there twice"),
        ({"finish": also("data/1")}, "is none that torch.save writes"),
        ({"finish": lambda a: a.writestr("archive/code/x.py", b"")}, "is none that torch.save writes"),
        ({"finish": lambda a: a.writestr("archive/.data/serialization_id", bytes(65))}, "larger than weights need"),
        ({"finish": lambda a: setattr(a, "comment", b"x")}, "corrupt"),
        ({"finish": altered("archive/byteorder", filename="archive/byteorder\0x")}, "is none that torch.save writes"),
    ],
)
def test_zips_that_torch_save_never_writes(refused, tmp_path, how, message):
    pickle_ = pickled({"x": tensor(Storage("0", 4), (4,), (1,))})
    refused(write(tmp_path / "w.pth", pickle_, {"0": bytes(16)}, **how), message)


def test_entries_that_share_bytes_may_not_add_up_to_more_than_the_file(refused, tmp_path):
    def finish(archive):
        for key in range(1, 5):
            also(f"archive/data/{key}")(archive)

    refused(write(tmp_path / "w.pth", {}, {"0": bytes(4000)}, finish=finish), "claim more bytes than the file has")


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("added", [b"x", b"PK\5\6" + bytes(18)])
def test_nothing_may_stand_before_or_after_the_zip(refused, weights, tmp_path, where, added):
    path = saved(tmp_path / "w.pth", weights)
    whole = path.read_bytes()
    path.write_bytes(added + whole if where == "before" else whole + added)
    refused(path, "corrupt|since 1.6")


def test_two_zips_in_one_are_refused(refused, weights, tmp_path):
    one, two = saved(tmp_path / "1.pth", weights), saved(tmp_path / "2.pth", {})
    (tmp_path / "both.pth").write_bytes(one.read_bytes() + two.read_bytes())
    refused(tmp_path / "both.pth", "corrupt")


def test_no_pickle_or_directory_beyond_what_weights_need(refused, tmp_path):
    refused(write(tmp_path / "p.pth", b"\x80\x02" + b"N" * (1 << 20) + b"."), "data.pkl is larger than weights need")

    def finish(archive):
        for key in range(20_000):
            also(f"archive/data/{key}", file_size=0, compress_size=0)(archive)

    refused(write(tmp_path / "d.pth", b"\x80\x02}.", {"0": b""}, finish=finish), "more entries than weights need")


def test_every_flipped_bit_in_the_content_is_found(refused, weights, tmp_path):
    path, rng = saved(tmp_path / "w.pth", weights), random.Random(0)
    whole = path.read_bytes()
    with ZipFile(path) as archive:
        spans = []
        for entry in archive.infolist():
            names, extra = np.frombuffer(whole[entry.header_offset + 26 :][:4], "<u2")
            spans.append((entry.header_offset + 30 + int(names) + int(extra), entry.file_size))
    for _ in range(100):
        content = bytearray(whole)
        start, size = rng.choice([span for span in spans if span[1]])
        content[start + rng.randrange(size)] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        refused(path, "corrupt")


def test_errors_of_torch_itself_are_not_passed_on(refused, weights, tmp_path, monkeypatch):
    def load(*args, **kwargs):
        raise pickle.UnpicklingError("Re-running `torch.load` with `weights_only` set to `False` will likely succeed")

    monkeypatch.setattr(torch, "load", load)
    refused(saved(tmp_path / "w.pth", weights), r"PyTorch cannot load it \(UnpicklingError\)")


def test_the_hand_made_file_is_one_of_pytorch(convert, weights, tmp_path):
    """What the other tests change is accepted as it is."""
    path = saved(tmp_path / "w.pth", weights)
    with ZipFile(path) as archive:
        content = archive.read("w/data.pkl")
    equal(convert(rewritten(path, tmp_path / "again.pth", content))[0], weights)
