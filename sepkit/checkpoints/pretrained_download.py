"""Files from the network: resumed where a transfer broke off, and given their name only once their sha256 is right."""

import os
from collections.abc import Callable
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepkit.atomic import flush
from sepkit.errors import ConfigError, ModelFileError
from sepkit.pretrained import DIGITS, WeightFile
from sepkit.progress import transferring

MIRROR = "SEPKIT_MIRROR"
_TIMEOUT = 30.0  # s without a byte
_ATTEMPTS = 3
_BLOCK = 1 << 20
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


def address(file: WeightFile) -> str:
    """Return where a file is fetched from: its URL, or its place in the mirror that $SEPKIT_MIRROR names.

    For https://<host>/<path> a mirror has <host>/<path>, as `wget -x` lays files out.

    Raises:
        ConfigError: the mirror is no URL.
    """
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    if not mirror:
        return file.url
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise ConfigError(f"${MIRROR} is {mirror}; it must begin with http:// or https://")
    return f"{mirror}/{file.url.removeprefix('https://')}"


def download(file: WeightFile, path: Path) -> str:
    """Bring a file to `path`, whose folder exists, and return its sha256.

    A file that is there is verified instead, and never changed. What an earlier transfer has left is continued.

    Raises:
        OSError: it cannot be transferred, or written. What has come is kept.
        ModelFileError: it is not what was published. What was transferred is removed.
    """
    if path.exists():
        found = _digest(path)
        if found.startswith(file.sha256):
            return found
        raise ModelFileError(
            f"{path}: its sha256 is {found}, that of the published {file.name} is {file.sha256}{_first(file)}; "
            f"remove it, or put the published file there: {file.url}"
        )
    partial = path.with_name(f"{path.name}.part")
    if not partial.exists() or not _digest(partial).startswith(file.sha256):
        _transfer(file, partial)
    found = _digest(partial)
    if not found.startswith(file.sha256):
        partial.unlink()
        raise ModelFileError(
            f"{file.name} from {address(file)} is not what was published: its sha256 is {found}, not "
            f"{file.sha256}{_first(file)}. It is removed, and nothing in it was read; try again"
        )
    flush(partial)
    partial.replace(path)
    return found


def _first(file: WeightFile) -> str:
    """Return a mark where only the first digits of a checksum are published."""
    return "..." if len(file.sha256) < DIGITS else ""


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _transfer(file: WeightFile, partial: Path) -> None:
    """Append to `partial` what it lacks, and try again where the connection breaks off after some of it has come."""
    url = address(file)
    with transferring(f"Downloading {file.name} ({file.bytes / 1e6:.0f} MB) from {urlsplit(url).netloc}") as tell:
        for left in reversed(range(_ATTEMPTS)):
            before = _size(partial)
            try:
                return _append(url, partial, tell)
            except HTTPError as error:
                if error.code != _RANGE_NOT_SATISFIABLE or not left:
                    raise
                partial.unlink()  # longer than the file, so of another one
            except (ConnectionError, TimeoutError):
                if _size(partial) <= before or not left:
                    raise
    return None


def _append(url: str, partial: Path, tell: Callable[[int, int], None]) -> None:
    there = _size(partial)
    headers = {"User-Agent": "sepkit"} | ({"Range": f"bytes={there}-"} if there else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:  # noqa: S310  http or https
            goes_on = response.status == _PARTIAL_CONTENT
            done = there if goes_on else 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with partial.open("ab" if goes_on else "wb") as out:
                while block := response.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    tell(done, total)
    except HTTPException as error:
        raise ConnectionError(str(error)) from error
    if done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
