"""The format of PyTorch before 1.6, checked before PyTorch reads it.

Five pickles one after the other: a magic number, the number of the format, facts about the machine, the tree of
weights, and the keys of its storages; then each storage in the order of these keys, its count of numbers (int64, little
endian) before the numbers. There are no checksums in it.
"""

import struct
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from pickletools import genops
from typing import IO

from sepkit.checkpoints.torch_pickle import ADVICE, check_pickle, storages
from sepkit.errors import ModelFileError, reason

_LARGEST_INDEX = 1 << 20
_MAGIC, _FORMAT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02M\xe9\x03."
_COUNT = 8  # bytes


def check_old(path: Path, file: IO[bytes]) -> None:
    """Raise ModelFileError unless `file` is laid out like this, down to its last byte, and holds weights alone."""
    size = file.seek(0, 2)
    file.seek(0)
    index = file.read(_LARGEST_INDEX)
    magic, form, machine, tree, keys = _pickles(path, index)
    if (magic, form) != (_MAGIC, _FORMAT):
        raise ModelFileError(f"{path}: no file of PyTorch. {ADVICE}")
    for plain in (machine, keys):
        check_pickle(path, plain, {})
    held = storages(path, tree)
    order = [str(argument) for opcode, argument, _ in genops(keys) if opcode.name == "BINUNICODE"]
    if sorted(order) != sorted(held):
        raise ModelFileError(f"{path}: corrupt (it lists other storages than its weights need); fetch the file again")
    place = sum(map(len, (magic, form, machine, tree, keys)))
    for key in order:
        dtype, numel = held[key]
        file.seek(place)
        if file.read(_COUNT) != struct.pack("<q", numel):
            raise ModelFileError(f"{path}: corrupt (a storage has another size than its weights); fetch the file again")
        place += _COUNT + numel * dtype.itemsize
    if place != size:
        raise ModelFileError(
            f"{path}: corrupt ({size} bytes, and not the {place} of its weights); fetch the file again"
        )


def _pickles(path: Path, index: bytes) -> list[bytes]:
    """Return the five pickles at the beginning."""
    stream, ends = BytesIO(index), [0]
    try:
        for _ in range(5):
            for _ in genops(stream):
                pass
            ends.append(stream.tell())
    except ValueError as error:
        raise ModelFileError(f"{path}: no weights of PyTorch ({reason(error)[:200]}). {ADVICE}") from None
    return [index[start:end] for start, end in pairwise(ends)]
