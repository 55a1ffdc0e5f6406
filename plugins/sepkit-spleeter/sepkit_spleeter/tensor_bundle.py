"""A checkpoint of TensorFlow, version 2, read with numpy alone: an index, and one file of data.

The index is a sorted table. Its values are messages in the wire format of protocol buffers: that of the empty key says
in how many files the data is and in which order of bytes, each other one is a tensor: dtype, shape, and its place in
the data. Nothing in such files can run. What they claim is checked before it is believed: tensors lie in the data, are
as large as their shape needs, and share no byte, so they never take more memory than the data has.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sepkit import ModelFileError
from sepkit_spleeter.sorted_table import DamagedError, Reader, entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

# About a hundred times what the index of the largest published network takes.
_LARGEST_INDEX = 1 << 20
_MOST_DIMENSIONS = 8
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}


class Stored(NamedTuple):
    """The position of a tensor in the data."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    size: int


def read(index: Path, data: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint by name.

    Raises:
        ModelFileError: a file is missing, damaged, or not of a checkpoint.
    """
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            raise DamagedError(f"it is larger than {_LARGEST_INDEX} bytes, which no index of weights is")
        stored = _stored(entries(index.read_bytes()), data.stat().st_size)
        with data.open("rb") as file:
            return {name: _tensor(file, place) for name, place in stored.items()}
    except DamagedError as error:
        raise ModelFileError(f"{index}: no index of a TensorFlow checkpoint ({error}); fetch the file again") from None
    except OSError as error:
        raise ModelFileError(f"{error.filename or data}: cannot be read ({error}); fetch the file again") from None


def _stored(found: dict[bytes, bytes], size: int) -> dict[str, Stored]:
    """Return the places of all tensors in data of so many bytes."""
    header = _numbers(found.pop(b"", b""))
    if header.get(1) != 1 or header.get(2, 0):
        raise DamagedError("its data is not one file of little-endian numbers")
    try:
        stored = {name.decode(): _place(message) for name, message in found.items()}
    except UnicodeDecodeError:
        raise DamagedError("a name in it is no text") from None
    order = sorted(stored.values(), key=lambda place: place.start)
    if any(one.start + one.size > next_.start for one, next_ in pairwise(order)):
        raise DamagedError("tensors in it overlap")
    if order and order[-1].start + order[-1].size > size:
        raise DamagedError(f"a tensor ends beyond the {size} bytes of the data")
    return stored


def _place(message: bytes) -> Stored:
    """Read the message of a tensor: 1 dtype, 2 shape, 3 file, 4 offset, 5 size, 7 slices of a larger tensor."""
    values = _numbers(message)
    if values.get(1) not in _DTYPES or values.get(3, 0) or 7 in values:
        raise DamagedError("a tensor in it is of a kind that no weights have")
    dtype, start, size = np.dtype(_DTYPES[values[1]]), values.get(4, 0), values.get(5, 0)
    shape = tuple(
        _numbers(dimension).get(1, 0)
        for parts in _parts(message, 2) for dimension in _parts(parts, 2)
    )  # fmt: skip
    if not size or len(shape) > _MOST_DIMENSIONS or prod(shape) * dtype.itemsize != size:
        raise DamagedError(f"a tensor of shape {list(shape)[:_MOST_DIMENSIONS]} in it has {size} bytes")
    return Stored(dtype, shape, start, size)


def _tensor(file: Any, place: Stored) -> NDArray[Any]:
    file.seek(place.start)
    numbers = np.fromfile(file, place.dtype, prod(place.shape))
    if numbers.nbytes != place.size:
        raise DamagedError("its data is cut off")
    return numbers.reshape(place.shape)


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """Return the number of each field of a message, and its value: a number, or bytes."""
    reader, fields = Reader(message), list[tuple[int, int | bytes]]()
    while reader:
        number, kind = divmod(reader.varint(), 8)
        match kind:
            case 0:
                fields.append((number, reader.varint()))
            case 2:
                fields.append((number, reader.take(reader.varint())))
            case 1 | 5:
                fields.append((number, reader.take(8 if kind == 1 else 4)))
            case _:
                raise DamagedError("a message in it is none")
    return fields


def _numbers(message: bytes) -> dict[int, int]:
    return {number: value if isinstance(value, int) else 0 for number, value in _fields(message)}


def _parts(message: bytes, wanted: int) -> list[bytes]:
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, bytes)]
