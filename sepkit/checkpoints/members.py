"""Single files out of archives whose sha256 is right, without the rest of them."""

import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path
from posixpath import normpath
from typing import IO
from zipfile import BadZipFile, ZipFile

from sepkit.errors import ModelFileError

_UNREADABLE = (KeyError, EOFError, RuntimeError, zlib.error, LZMAError, BadZipFile, tarfile.TarError)
_BLOCK = 1 << 20


def extract(archive: Path, member: str, target: Path, limit: int) -> None:
    """Write a member of an archive, a .tar.gz or else a zip, to `target`, in blocks and at most `limit` bytes.

    Raises:
        ModelFileError: it is no such archive, or has no such file, or a larger one, or one that is packed or encrypted
            in an unknown way.
        OSError: `target` cannot be written.
    """
    try:
        if archive.name.endswith(".tar.gz"):
            with tarfile.open(archive, "r:gz") as tar:
                _copy(tar.extractfile(_found(tar, member)), target, limit)
        else:
            with ZipFile(archive) as zip_file, zip_file.open(member) as file:
                _copy(file, target, limit)
    except _UNREADABLE as error:
        raise ModelFileError(f"{archive}: {member} cannot be read from it ({error}); remove it and try again") from None


def _found(tar: tarfile.TarFile, member: str) -> tarfile.TarInfo:
    """Return a regular file; archives differ in whether the names in them begin with "./"."""
    for entry in tar:
        if entry.isreg() and normpath(entry.name) == member:
            return entry
    raise KeyError("there is no such file in it")


def _copy(file: IO[bytes] | None, target: Path, limit: int) -> None:
    assert file is not None, "regular files have content"
    with target.open("wb") as out:
        while block := file.read(_BLOCK):
            if out.tell() + len(block) > limit:
                raise EOFError(f"it is larger than {limit / 1e6:.1f} MB")
            out.write(block)
