"""safetensors files with one JSON manifest and a sha256 over everything: incomplete files are refused.

The format has no checksum of its own, and most flipped bits in it would load as slightly wrong weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from sepkit.atomic import Commit
from sepkit.checkpoints.stored_tensors import StoredTensor, StoredTensors
from sepkit.errors import ModelFileError
from sepkit.terminal import command

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
KEY = "sepkit"
"""The key of the manifest in the metadata."""
_TORCH_ENDINGS = (".pth", ".pt", ".ckpt", ".th")


def write(path: Path, tensors: dict[str, Tensor], manifest: dict[str, Any]) -> None:
    """Replace `path` by a file of `tensors` and `manifest` (plain JSON values), complete or not at all.

    Raises:
        ModelFileError: the disk is full, or the folder cannot be written; an earlier file stays as it was.
    """
    try:
        with Commit() as commit:
            stage(commit, path, tensors, manifest)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be written ({error})") from None


def stage(commit: Commit, path: Path, tensors: dict[str, Tensor], manifest: dict[str, Any]) -> None:
    """As `write`, among other files of a commit. The file is read again before it may replace anything."""
    # Copies, as tensors that share memory are refused.
    whole = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    content = {"format": FORMAT, **manifest}
    content["sha256"] = checksum(whole, lambda name: StoredTensor.of(whole[name]), content)
    try:
        with commit.file(path, check=_check) as temporary:
            save_file(whole, temporary, {KEY: json.dumps(content, allow_nan=False)})
    except (OSError, SafetensorError, KeyError) as error:  # KeyError: a dtype that the format does not have
        raise ModelFileError(f"{path}: cannot be written ({error})") from None


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the manifest and the tensors of `path`.

    Raises:
        ModelFileError: no such file, not a sepkit file, a newer format, or its content differs from its checksum.
    """
    tensors: dict[str, Tensor] = {}
    manifest = verify(path, lambda name, stored: tensors.update({name: stored.tensor()}))
    del manifest["sha256"]
    return manifest, tensors


def verify(path: Path, visit: Callable[[str, StoredTensor], object] = lambda *_: None) -> dict[str, Any]:
    """Return the manifest of `path`, with the sha256 of its content, which is right. It costs no PyTorch.

    One tensor at a time is in memory, and `visit` gets each with its name.

    Raises:
        ModelFileError: as for `read`.
    """
    if not path.is_file():
        raise ModelFileError(f"no model file {path}")
    with _opened(path) as file:
        manifest, written, version = _manifest(path, file.metadata)

        def visited(name: str) -> StoredTensor:
            stored = file[name]
            visit(name, stored)
            return stored

        if written != checksum(file, visited, manifest):
            raise ModelFileError(f"{path}: corrupt (sha256 differs from the one in its manifest); fetch the file again")
    if version > FORMAT:
        raise ModelFileError(
            f"{path}: format {version}, written by sepkit {manifest.get('sepkit')}; "
            f"this sepkit reads up to {FORMAT}: upgrade it (pip install -U sepkit)"
        )
    return {**manifest, "sha256": written}


def save_file(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file."""
    from safetensors import torch

    torch.save_file(tensors, path, metadata)


def _check(path: Path) -> None:
    """Raise ModelFileError unless a file on disk is whole."""
    verify(path)


@contextmanager
def _opened(path: Path) -> Iterator[StoredTensors]:
    try:
        with StoredTensors(path) as file:
            yield file
    except (SafetensorError, OSError, UnicodeDecodeError, ValueError, RuntimeError) as error:
        raise ModelFileError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as cause:
        return f"{path}: cannot be read ({cause})"
    if path.suffix.lower() == ".onnx":
        return (
            f"{path}: an exported network (ONNX), for programs without PyTorch. "
            "Give the model file that it was exported from, which ends in .safetensors"
        )
    if start == b"PK\3\4" or path.suffix.lower() in _TORCH_ENDINGS:
        return (
            f"{path}: no safetensors file, but one of PyTorch's own. Make a model file of it: "
            f"{command('models', 'import', path, '--config', 'CONFIG', '-o', 'NAME.safetensors')}"
        )
    return f"{path}: corrupt, or no safetensors file ({error})"


def _manifest(path: Path, metadata: dict[str, str]) -> tuple[dict[str, Any], str, int]:
    """Return the manifest, the sha256 that stands in it, and its format."""
    text = metadata.get(KEY)
    if text is None:
        raise ModelFileError(f"{path}: corrupt, or a safetensors file that sepkit did not write (it has no manifest)")
    try:
        manifest: dict[str, Any] = json.loads(text)
        return manifest, manifest.pop("sha256"), int(manifest["format"])
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ModelFileError(f"{path}: corrupt (its manifest cannot be read)") from None


def checksum(names: Iterable[str], stored: Callable[[str], StoredTensor], manifest: dict[str, Any]) -> str:
    """Hash the manifest, then each tensor's name, dtype, shape and bytes in the order of names."""
    digest = sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(names):
        found = stored(name)
        digest.update(f"{name} torch.{found.dtype} {found.shape}".encode())
        digest.update(found.data.data)
    return digest.hexdigest()
