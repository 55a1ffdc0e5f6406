"""PyTorch's own files (.pth, .pt, .ckpt) from untrusted sources: checked first, then loaded.

Such a file is a zip of stored entries: raw storages `data/0`, `data/1`, ..., and `data.pkl`, a pickle that makes
tensors of them. A pickle can name any function of any package; a compressed entry, a claimed size or a stride can ask
for any memory; and PyTorch checks no CRC. So the zip must be laid out as `torch.save` does it, which leaves one way to
read it; each entry must match its CRC; and the pickle must pass `torch_pickle`. Only then does `torch.load` see the
file, here and nowhere else.
"""

import re
import struct
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import torch

from sepkit.checkpoints.torch_old_file import check_old
from sepkit.checkpoints.torch_pickle import ADVICE, check_pickle
from sepkit.errors import ModelFileError, reason

# A tensor takes about 150 bytes of the pickle and 80 of the directory, and an opcode of two bytes up to 100 of memory.
_LARGEST_INDEX = 1 << 20
_LARGEST_NOTE = 64

_ENTRY = re.compile(
    r"data\.pkl|data/[0-9]{1,20}|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)
_ZIP = b"PK\3\4"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PLAIN = 0x8 | 0x800  # sizes are written again after the bytes; names are UTF-8
_FOLDER = 0x10  # PyTorch returns uninitialised memory for such an entry


def load(path: Path, *, old: bool = False) -> Any:
    """Return the content of a file of PyTorch: dicts, lists, numbers, text and tensors, and nothing else.

    `old` also accepts the format before PyTorch 1.6: for downloads with a known checksum.

    Raises:
        ModelFileError: the file is missing or corrupt, or holds more than a state dict needs. Nothing in it was run.
    """
    if not path.is_file():
        raise ModelFileError(f"{path} is a folder or something special" if path.exists() else f"no file {path}")
    try:
        with path.open("rb") as file:
            if old and file.read(4) != _ZIP:
                check_old(path, file)
            else:
                _check(path, file)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error})") from None
    except Exception as error:  # noqa: BLE001  torch's own errors give unsafe advice
        raise ModelFileError(f"{path}: PyTorch cannot load it ({type(error).__name__}). {ADVICE}") from None


def _check(path: Path, file: IO[bytes]) -> None:
    """Raise ModelFileError unless `file` is a zip as `torch.save` writes it, of weights that its size covers."""
    size = file.seek(0, 2)
    _check_ends(path, file, size)
    try:
        with ZipFile(file) as archive:
            entries = _checked_entries(path, archive.infolist(), size)
            _check_content(archive)
            content = archive.read(entries["data.pkl"])
    except (BadZipFile, NotImplementedError, RuntimeError, ValueError, LookupError, EOFError, struct.error) as error:
        raise ModelFileError(f"{path}: corrupt ({reason(error)}); fetch the file again") from None
    check_pickle(path, content, {name: entry.file_size for name, entry in entries.items()})


def _check_ends(path: Path, file: IO[bytes], size: int) -> None:
    """Refuse a file whose ends two readers might take for different zips.

    It starts with an entry, and ends with the directory of all entries, [zip64 end, 56 bytes] [zip64 locator, 20 bytes]
    where there are any, and [end, 22 bytes].
    """
    file.seek(0)
    if file.read(4) != _ZIP:
        raise ModelFileError(
            f"{path}: not in the format that PyTorch writes since 1.6, a zip. Older files are bare pickles, which may "
            f"run anything as they are read. {ADVICE}, by a newer PyTorch"
        )
    file.seek(max(size - 98, 0))
    tail = file.read().rjust(98, b"\0")
    signature, *_, length, start, comment = struct.unpack("<4s4H2IH", tail[76:])
    end, regular = size - 22, signature == b"PK\5\6" and not comment
    if tail[56:60] == b"PK\6\7":
        end, regular = size - 98, regular and tail[:4] == b"PK\6\6" and tail[64:72] == struct.pack("<Q", size - 98)
        length, start = struct.unpack("<2Q", tail[40:56])
    if not regular or start + length != end:
        raise ModelFileError(f"{path}: corrupt (cut off, or no file of PyTorch); fetch the file again")
    if length > _LARGEST_INDEX:
        raise ModelFileError(f"{path}: holds more entries than weights need. {ADVICE}")


def _checked_entries(path: Path, entries: list[ZipInfo], size: int) -> dict[str, ZipInfo]:
    """Return the entries by their names in the file's one folder."""
    checked: dict[str, ZipInfo] = {}
    for entry in entries:
        folder, _, name = entry.orig_filename.partition("/")
        flaw = _flaw(entry, name, size)
        if flaw or name in checked or folder != entries[0].orig_filename.partition("/")[0]:
            raise ModelFileError(f"{path}: its entry {entry.orig_filename[:80]} {flaw or 'is there twice'}. {ADVICE}")
        checked[name] = entry
    if sum(entry.file_size for entry in entries) > size:
        raise ModelFileError(f"{path}: its entries claim more bytes than the file has. {ADVICE}")
    return checked


def _flaw(entry: ZipInfo, name: str, size: int) -> str:
    """Return the fault of an entry, or an empty string."""
    if not _ENTRY.fullmatch(name) or entry.filename != entry.orig_filename:
        return "is none that torch.save writes"
    if entry.compress_type != ZIP_STORED:
        return "is compressed, as none of torch.save is: it may unpack to any size"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.flag_bits & ~_PLAIN or entry.external_attr & _FOLDER or entry.volume or entry.comment:
        return "is marked as something else than a file"
    if entry.file_size > size or entry.compress_size != entry.file_size:
        return f"claims {entry.file_size} bytes, which the file does not have"
    largest = size if name.startswith("data/") else _LARGEST_INDEX if name == "data.pkl" else _LARGEST_NOTE
    return "is larger than weights need" if entry.file_size > largest else ""


def _check_content(archive: ZipFile) -> None:
    """Raise BadZipFile unless the bytes of each entry match its CRC, which torch.load ignores."""
    for entry in archive.infolist():
        with archive.open(entry) as content:
            while content.read(1 << 20):
                pass
