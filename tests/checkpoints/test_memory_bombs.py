"""Files that ask for memory: refused while at most 200 MB are used beyond what a good file takes."""

import json
import subprocess
import sys
import zlib
from collections import OrderedDict
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch

from sepkit import config
from tests.checkpoints.test_torch_file import also
from tests.checkpoints.torch_zip import Call, Storage, model, network, pickled, tensor, write

ROOT = Path(__file__).parents[2]
ALLOWED = 200 << 20
GIGABYTES = (2 << 30) - (1 << 20)  # from two on, a zip has wider fields
CRC = 0xEB791CA3  # of that many zeros

# A network of 800 MB, which costs nothing until it has weights.
LARGE = ("model.hidden=5600", "model.layers=1")


def outcomes(*commands):
    """Run commands in one fresh process."""
    call = [sys.executable, "-m", "tests.checkpoints.peak", json.dumps([[str(arg) for arg in c] for c in commands])]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)


def deflated(path, name):
    """An entry of 2 GB of zeros in 2 MB."""
    block, packer = bytes(1 << 20), zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = packed * (GIGABYTES >> 20) + packer.flush()
    tree = {"x": tensor(Storage("0", GIGABYTES // 4), (GIGABYTES // 4,), (1,))}
    entries = {"data.pkl": pickled(tree), "version": b"3\n"} | {name: stream}
    with ZipFile(path, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(f"archive/{entry}", content)
        found = archive.getinfo(f"archive/{name}")
        found.compress_type, found.file_size, found.CRC = ZIP_DEFLATED, GIGABYTES, CRC
        archive.fp.seek(found.header_offset)
        archive.fp.write(found.FileHeader())
        archive.fp.seek(0, 2)
    return path


def expanded(path, config_file):
    """Weights of a large network, each one number that is shown again and again (stride 0)."""
    run = config.load(config_file, LARGE)
    with torch.device("meta"):
        wanted = run.model.build(run.audio).state_dict()
    torch.save({name: torch.zeros((), dtype=t.dtype).expand(t.shape) for name, t in wanted.items()}, path)
    return path


def shared_bytes(path):
    """300 storages of 4 MB, all of them the same bytes."""

    def finish(archive):
        for key in range(1, 300):
            also(f"archive/data/{key}")(archive)

    tree = {str(key): tensor(Storage(str(key), 1 << 20), (1 << 20,), (1,)) for key in range(300)}
    return write(path, tree, {"0": bytes(4 << 20)}, finish=finish)


def aliases(path, config_file):
    """500 names for one tensor of 2 MB in half precision, which would be converted one by one."""
    storage = Storage("0", 1 << 20, torch.HalfStorage)
    names = [*network(config_file).state_dict(), *map(str, range(500))]
    return write(path, {n: tensor(storage, (1 << 20,), (1,)) for n in names}, {"0": bytes(2 << 20)})


def copies(path):
    """A dict of 9,000 keys that is copied 9,000 times."""
    pairs = [(str(i), i) for i in range(9000)]
    return write(path, [Call(OrderedDict, pairs) for _ in range(9000)])


def shapes(path):
    """A shape of 5,000 dimensions for each of 9,000 tensors of no size."""
    size = (0,) * 5000
    return write(path, [tensor(Storage("0", 0), size, size) for _ in range(9000)], {"0": b""})


def floods():
    """Pickles of opcodes that take much memory for their length, or all the stack there is."""
    room = (1 << 20) - 300
    number = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\1tQ"
    weight = b"ctorch._utils\n_rebuild_tensor_v2\nq\0(" + number + b"K\0))\x89ccollections\nOrderedDict\n)Rtq\1"
    return {
        "marks": b"\x80\x02" + b"(" * room + b".",
        "weights": b"\x80\x02" + weight + b"]" + b"h\0h\1Ra" * (room // 6) + b".",
        "key": b"\x80\x02})" + b"\x85" * (room // 3) + b"Ns.",  # it is hashed depth first, in C
    }


def pytorch_bombs(folder, config_file):
    """Return (what is said, the arguments of an import) of each."""
    bombs = {
        "data/0 is compressed": deflated(folder / "deflated.pth", "data/0"),
        "data.pkl is compressed": deflated(folder / "pickle.pth", "data.pkl"),
        "__builtin__.bytearray": write(folder / "bytearray.pth", {"x": Call(bytearray, GIGABYTES)}),
        "torch.storage.UntypedStorage": write(folder / "untyped.pth", {"x": Call(torch.UntypedStorage, GIGABYTES)}),
        "torch.Tensor": write(folder / "tensor.pth", {"x": Call(torch.Tensor, GIGABYTES // 4)}),
        "larger than its 1 numbers": expanded(folder / "expanded.pth", config_file),
        "claim more bytes": shared_bytes(folder / "shared.pth"),
        "unknown": aliases(folder / "aliases.pth", config_file),
        "a call that makes no weights": copies(folder / "copies.pth"),
        "shape is none": shapes(folder / "shapes.pth"),
        "broken": write(folder / "marks.pth", floods()["marks"]),
        "no weights by name": write(folder / "weights.pth", floods()["weights"], {"0": bytes(4)}),
        "neither text nor numbers": write(folder / "key.pth", floods()["key"]),
    }
    large = [arg for override in LARGE for arg in ("--set", override)]
    rest = ("--config", config_file, "-o", folder / "m.safetensors")
    return [
        (said, ("import", path, *rest, *(large if path.stem == "expanded" else ()))) for said, path in bombs.items()
    ]


def safetensors_bombs(folder, config_file):
    """Headers that claim a length of their own."""
    good = model(config_file, folder / "good.safetensors").read_bytes()
    for i, length in enumerate((1 << 63, (1 << 64) - 1, GIGABYTES, 99_999_999)):
        path = folder / f"header{i}.safetensors"
        path.write_bytes(length.to_bytes(8, "little") + good[8:])
        yield "corrupt", ("info", path)
        yield "since 1.6", ("import", path, "--config", config_file, "-o", folder / "m.safetensors")


@pytest.mark.fuzz
def test_row_13_bombs_stay_within_200_megabytes(small_config, tmp_path):
    good = tmp_path / "good.pth"
    torch.save({"state_dict": network(small_config).state_dict()}, good)
    (usual,) = outcomes(("models", "import", good, "--config", small_config, "-o", tmp_path / "imported.safetensors"))
    assert usual["code"] == 0, usual
    bombs = [*pytorch_bombs(tmp_path, small_config), *safetensors_bombs(tmp_path, small_config)]
    before = usual["peak"]
    for (said, command), found in zip(bombs, outcomes(*(("models", *command) for _, command in bombs)), strict=True):
        assert found["peak"] - usual["peak"] < ALLOWED, f"{command[1].name}: {(found['peak'] - before) >> 20} MB more"
        assert found["code"] == 1, (command, found)
        assert found["err"].startswith(f"Error: {command[1]}")
        assert said in found["err"]
        before = found["peak"]
    assert not (tmp_path / "m.safetensors").exists()
