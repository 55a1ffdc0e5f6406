"""Files of PyTorch from before 1.6: read where that is asked for, and refused where anything in them is otherwise."""

import os
import random
from collections import OrderedDict

import pytest
import torch

from sepkit import ModelFileError
from sepkit.checkpoints import torch_file


def tree():
    torch.manual_seed(0)
    shared = torch.randn(4, 6)
    return OrderedDict(
        weight=shared, transposed=shared.t(), tail=shared[2:, 1], half=torch.randn(5).half(), count=torch.tensor(7),
        parameter=torch.nn.Parameter(torch.randn(3)), none=torch.zeros(0),
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    torch.save(tree(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    return tmp_path / "old.pth"


def refused(path, message=None):
    with pytest.raises(ModelFileError, match=message):
        torch_file.load(path, old=True)


def test_weights_come_over(path):
    loaded = torch_file.load(path, old=True)
    assert list(loaded) == list(tree())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tree().items())


def test_newer_files_come_over_too(tmp_path):
    torch.save(tree(), tmp_path / "new.pth")
    assert torch.equal(torch_file.load(tmp_path / "new.pth", old=True)["half"], tree()["half"])


def test_nobody_gets_it_without_asking(path):
    with pytest.raises(ModelFileError, match="since 1.6"):
        torch_file.load(path)


def test_a_payload_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "marker"),)

    torch.save({"x": torch.zeros(2), "y": Payload()}, tmp_path / "evil.pth", _use_new_zipfile_serialization=False)
    refused(tmp_path / "evil.pth", "asks for posix.mkdir")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("place", range(5))
def test_a_payload_in_any_of_the_pickles_is_not_run(path, tmp_path, place):
    """A pickle of its own before each of them, as if it were that one."""
    payload = f"\x80\x02cposix\nmkdir\nX{chr(len(str(tmp_path / 'm')))}\0\0\0{tmp_path / 'm'}\x85R.".encode("latin-1")
    content = path.read_bytes()
    ends = [0]
    for _ in range(5):
        ends.append(content.index(b".\x80\x02", ends[-1]) + 1 if len(ends) < 5 else content.index(b"e.", ends[-1]) + 2)
    path.write_bytes(content[: ends[place]] + payload + content[ends[place] :])
    refused(path)
    assert not (tmp_path / "m").exists()


def test_a_file_cut_off_anywhere_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        refused(path)


def test_more_than_the_weights_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "bytes, and not")


def test_a_flipped_bit_is_refused_or_changes_numbers_alone(path):
    """The format has no checksum of its own: the published one is what tells."""
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            loaded = torch_file.load(path, old=True)
        except ModelFileError:
            continue
        assert all(isinstance(value, torch.Tensor) for value in loaded.values())


def test_a_storage_that_claims_more_than_the_file_has(path):
    content = path.read_bytes()
    claimed = content.replace(b"K\x05Nt", b"J\xff\xff\xff\x7fNt")  # 5 numbers -> 2^31 - 1
    assert claimed != content
    path.write_bytes(claimed)
    refused(path, "another size than its weights")


def test_storages_that_no_weight_needs(path):
    content = path.read_bytes()
    end = content.index(b"e.", content.rindex(b"]q\x01(X")) if b"]q\x01(X" in content else content.rindex(b"e.")
    path.write_bytes(content[:end] + b"X\x01\0\0\0x" + content[end:])
    refused(path, "lists other storages")
