"""Single files out of archives whose sha256 is right, without the rest of them."""

import shutil
import tarfile
from pathlib import Path
from posixpath import normpath
from typing import IO
from zipfile import BadZipFile, ZipFile

from sepkit.errors import ModelFileError


def extract(archive: Path, member: str, target: Path) -> None:
    """Write a member of an archive, a .tar.gz or else a zip, to `target`. It is copied in blocks, whatever its size.

    Raises:
        ModelFileError: it is no such archive, or has no such file.
        OSError: `target` cannot be written.
    """
    try:
        if archive.name.endswith(".tar.gz"):
            with tarfile.open(archive, "r:gz") as tar:
                _copy(tar.extractfile(_found(tar, member)), target)
        else:
            with ZipFile(archive) as zip_file, zip_file.open(member) as file:
                _copy(file, target)
    except (KeyError, EOFError, BadZipFile, tarfile.TarError) as error:
        raise ModelFileError(f"{archive}: {member} cannot be read from it ({error}); remove it and try again") from None


def _found(tar: tarfile.TarFile, member: str) -> tarfile.TarInfo:
    """Return a regular file; archives differ in whether the names in them begin with "./"."""
    for entry in tar:
        if entry.isreg() and normpath(entry.name) == member:
            return entry
    raise KeyError("there is no such file in it")


def _copy(file: IO[bytes] | None, target: Path) -> None:
    assert file is not None, "regular files have content"
    with target.open("wb") as out:
        shutil.copyfileobj(file, out, 1 << 20)
