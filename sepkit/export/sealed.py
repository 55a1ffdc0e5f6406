"""Files of exported mask networks: complete, or refused.

A file is an ONNX model whose last property is a seal: the number of this format, the sha256 of the model file, and the
sha256 of all bytes before it. Messages of protobuf are joined by joining their bytes, so a sealed model is a model.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sepkit.atomic import Commit
from sepkit.checkpoints.model_file import ModelFile
from sepkit.errors import ConfigError, ModelFileError

if TYPE_CHECKING:
    from torch import nn

FORMAT = 2
SUFFIX = ".onnx"
_DIGEST = 64  # characters of a sha256
_STAMP = re.compile(rb"(\d{4}) ([0-9a-f]{64}) ")  # the seal before its sha256


def export(model: ModelFile, network: nn.Module) -> bytes:
    """Return the content of a file: the sealed mask network of `network`, which is in evaluation mode on the CPU.

    Raises:
        ConfigError: a package is missing or broken.
        ModelFileError: the network has no mask network, or ONNX cannot express it.
    """
    from sepkit.export import graph

    return _sealed(graph.export(model, network), model.checksum)


def write(model: ModelFile, output: Path, *, overwrite: bool = False) -> int:
    """Write the mask network of a model to `output`, complete or not at all, and return its size in bytes.

    Raises:
        ConfigError: `output` cannot be the name of the new file, or a package is missing or broken.
        ModelFileError: as for `export`, or the file cannot be written.
    """
    _check_output(model.path, output, overwrite=overwrite)
    exported = export(model, model.network())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with (
            Commit() as commit,
            commit.file(output, lambda written: _verify(output, written.read_bytes())) as temporary,
        ):
            temporary.write_bytes(exported)
    except OSError as error:
        raise ModelFileError(f"{output}: cannot be written ({error.strerror or error}); give another -o") from None
    return len(exported)


def read(path: Path) -> bytes:
    """Return the content of an exported file.

    Raises:
        ModelFileError: no such file, corrupt, or of another format.
    """
    try:
        exported = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error})") from None
    _verify(path, exported)
    return exported


def model_of(exported: bytes) -> str:
    """Return the sha256 of the model file that a whole file was made of."""
    stamp = _stamp(exported)
    return stamp[2].decode() if stamp else ""


def _sealed(graph: bytes, checksum: str) -> bytes:
    import onnx

    stamp = f"{FORMAT:04d} {checksum or '0' * _DIGEST} "
    entry = onnx.StringStringEntryProto(key="seal", value=stamp + "0" * _DIGEST)
    content: bytes = graph + onnx.ModelProto(metadata_props=[entry]).SerializeToString()[:-_DIGEST]
    return content + sha256(content).hexdigest().encode()


def _verify(path: Path, exported: bytes) -> None:
    stamp = _stamp(exported)
    if stamp is None or sha256(memoryview(exported)[:-_DIGEST]).hexdigest().encode() != exported[-_DIGEST:]:
        raise ModelFileError(
            f"{path}: corrupt (sha256 differs from the one at its end); export it again: sepkit export"
        )
    if int(stamp[1]) != FORMAT:
        raise ModelFileError(f"{path}: format {int(stamp[1])} of another sepkit; export it again: sepkit export")


def _stamp(exported: bytes) -> re.Match[bytes] | None:
    return _STAMP.fullmatch(exported[-_DIGEST - 70 : -_DIGEST])


def _check_output(model: Path, output: Path, *, overwrite: bool) -> None:
    if output.suffix != SUFFIX:
        raise ConfigError(f"-o {output}: the name of an exported network ends in {SUFFIX}")
    if not output.exists():
        return
    if output.samefile(model):
        raise ConfigError(f"-o {output} is the model file itself; name another")
    if not output.is_file():
        raise ConfigError(f"-o {output} is a folder or something special; name a file")
    if not overwrite:
        raise ConfigError(f"{output} exists; name another file with -o, or replace it with --overwrite")
