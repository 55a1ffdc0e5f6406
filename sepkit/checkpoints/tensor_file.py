"""safetensors files with one JSON manifest and a sha256 over everything: a file is whole, or it is refused.

The format has no checksum of its own, and most flipped bits in it would load as slightly wrong weights.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sepkit.atomic import replacing
from sepkit.errors import ModelFileError

FORMAT = 1
_KEY = "sepkit"


def write(path: Path, tensors: dict[str, Tensor], manifest: dict[str, Any]) -> None:
    """Replace `path` by a file of `tensors` and `manifest` (plain JSON values), complete or not at all.

    Raises:
        ModelFileError: the disk is full, or the folder cannot be written; an earlier file stays as it was.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = {"format": FORMAT, **manifest}
    content["sha256"] = _checksum(whole, content)
    try:
        with replacing(path) as temporary:
            save_file(whole, temporary, {_KEY: json.dumps(content, allow_nan=False)})
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: cannot be written ({error})") from None


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the manifest and the tensors of `path`.

    Raises:
        ModelFileError: no such file, not a sepkit file, a newer format, or its content is not what was written.
    """
    if not path.is_file():
        raise ModelFileError(f"no model file {path}")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, UnicodeDecodeError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path}: corrupt, or no safetensors file ({error})") from None
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but not one that sepkit wrote (it has no manifest)")
    return _verified(path, text, tensors), tensors


def _verified(path: Path, text: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
        written = manifest.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ModelFileError(f"{path}: corrupt (its manifest cannot be read)") from None
    if written != _checksum(tensors, manifest):
        raise ModelFileError(f"{path}: corrupt (sha256 differs from the one in its manifest); fetch the file again")
    if manifest["format"] > FORMAT:
        raise ModelFileError(
            f"{path}: format {manifest['format']}, written by sepkit {manifest.get('sepkit')}; "
            f"this sepkit reads up to {FORMAT}: upgrade it (pip install -U sepkit)"
        )
    return manifest  # type: ignore[no-any-return]


def _checksum(tensors: dict[str, Tensor], manifest: dict[str, Any]) -> str:
    """Hash the manifest, then each tensor's name, dtype, shape and bytes in the order of names."""
    digest = sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
