"""Files of PyTorch made by hand: laid out as torch.save does it, but for what a test wants otherwise."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from sepkit import config
from sepkit.checkpoints import model_file, tensor_file


class Call:
    """Pickles as a call of `function`, with attributes to set on what it returns."""

    def __init__(self, function: Callable, *arguments: Any, attributes: Any = None) -> None:
        self.parts = (function, arguments) if attributes is None else (function, arguments, attributes)

    def __reduce__(self):
        return self.parts


class Storage(tuple):
    """Pickles as the reference to a storage in the file."""

    __slots__ = ()

    def __new__(cls, key: str, numel: int, kind: Any = torch.FloatStorage):
        return super().__new__(cls, ("storage", kind, key, "cpu", numel))


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return tuple(obj) if isinstance(obj, Storage) else None


def pickled(tree: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol).dump(tree)
    return buffer.getvalue()


def tensor(storage: Storage, size: tuple, stride: tuple, offset: int = 0) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())


def write(
    path: Path, content: Any, storages: dict[str, bytes] | None = None, *, folder: str = "archive", **how
) -> Path:
    """Write a file of the pickle `content` (bytes, or a tree to pickle); `how` may name a compression and `finish`,
    which changes the directory before it is written.
    """
    entries = {"data.pkl": content if isinstance(content, bytes) else pickled(content), "byteorder": b"little"}
    entries |= {f"data/{key}": values for key, values in (storages or {}).items()} | {"version": b"3\n"}
    with ZipFile(path, "w", how.get("compression", ZIP_STORED)) as archive:
        for name, values in entries.items():
            archive.writestr(f"{folder}/{name}", values)
        how.get("finish", lambda _: None)(archive)
    return path


def rewritten(source: Path, path: Path, content: bytes) -> Path:
    """Write `source` again with another pickle in it, CRCs and all."""
    with ZipFile(source) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        names = [name.partition("/")[2] for name in archive.namelist()]
        storages = {
            name.removeprefix("data/"): archive.read(f"{folder}/{name}") for name in names if name[:5] == "data/"
        }
    return write(path, content, storages)


def network(config_file: Path, *overrides: str) -> torch.nn.Module:
    """Return the network of a config with random weights, the same each time."""
    run = config.load(config_file, overrides)
    torch.manual_seed(0)
    return run.model.build(run.audio).eval()


def model(config_file: Path, path: Path) -> Path:
    """Write a model file of `network`."""
    weights = network(config_file).state_dict()
    tensor_file.write(path, weights, model_file.manifest_of(config.load(config_file), step=7))
    return path
