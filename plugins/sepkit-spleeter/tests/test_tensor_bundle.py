"""Checkpoints of TensorFlow are read whole or refused; nothing that an index claims costs memory."""

import random
import struct
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from checkpoint_files import HEADER, MAGIC, block, checkpoint, crc, message, table, tensor_message, varint
from sepkit_spleeter.tensor_bundle import read

from sepkit import ModelFileError

RNG = np.random.default_rng(0)
TENSORS = {
    f"layer_{number}/{name}": RNG.standard_normal(shape, np.float32)
    for number in range(20)
    for name, shape in {"kernel": (5, 5, 2, 3), "bias": (3,)}.items()
} | {"global_step": np.array(1234567, np.int64)}


@pytest.fixture
def paths(tmp_path):
    index, data = tmp_path / "model.index", tmp_path / "model.data-00000-of-00001"
    contents = checkpoint(TENSORS)
    index.write_bytes(contents[0])
    data.write_bytes(contents[1])
    return index, data


def block_starts(index):
    """Return the offset of each block, and of the footer."""
    whole, starts = checkpoint(TENSORS)[0], [0]
    for end in range(5, len(whole) - 47):
        if whole[end - 5] == 0 and struct.pack("<I", crc(whole[starts[-1] : end - 4])) == whole[end - 4 : end]:
            starts.append(end)
    assert starts[-1] == len(whole) - 48
    return starts


def same(found):
    return found.keys() == TENSORS.keys() and all(np.array_equal(found[name], TENSORS[name]) for name in TENSORS)


def read_or_none(paths):
    """The tensors, or None where the files are refused."""
    try:
        return read(*paths)
    except ModelFileError:
        return None


def test_tensors_come_out_as_they_went_in(paths):
    found = read(*paths)
    assert same(found)
    assert {array.dtype.name for array in found.values()} == {"float32", "int64"}


def test_another_file_is_none(paths):
    for content in (b"", b"PK\3\4" * 100, MAGIC, bytes(40) + MAGIC):
        paths[0].write_bytes(content)
        with pytest.raises(ModelFileError, match="no index of a TensorFlow checkpoint"):
            read(*paths)


def test_a_file_that_is_missing(paths):
    for path in paths[::-1]:
        path.unlink()
        with pytest.raises(ModelFileError, match=path.name):
            read(*paths)


def test_every_changed_byte_is_refused(paths):
    """Each byte has a checksum, or is the magic number, a place of a block or the zeros after it."""
    index = paths[0].read_bytes()
    padding = range(len(index) - 48, len(index) - 8)
    for place in [*range(0, len(index), 7), *range(len(index) - 48, len(index))]:
        changed = bytearray(index)
        changed[place] ^= 1 + place % 255
        paths[0].write_bytes(changed)
        if place in padding and (found := read_or_none(paths)):
            assert same(found), f"byte {place}"
        else:
            assert read_or_none(paths) is None, f"byte {place}"


def test_a_file_that_is_cut_off(paths):
    index, data = (path.read_bytes() for path in paths)
    for length in range(0, len(index), 31):
        paths[0].write_bytes(index[:length])
        with pytest.raises(ModelFileError, match="no index"):
            read(*paths)
    paths[0].write_bytes(index)
    paths[1].write_bytes(data[:-1])
    with pytest.raises(ModelFileError, match="ends beyond"):
        read(*paths)


CLAIMS = {
    "more than the data": {b"a": tensor_message(1, [1 << 40], 0, 1 << 42)},
    "another size than its shape": {b"a": tensor_message(1, [2], 0, 4)},
    "no size": {b"a": tensor_message(1, [0, 1 << 70], 0, 0)},
    "a place behind the data": {b"a": tensor_message(1, [1], 1 << 62, 4)},
    "one place for all": {b"%d" % n: tensor_message(1, [1000], 0, 4000) for n in range(900)},
    "a negative length": {b"a": tensor_message(1, [(1 << 64) - 1, (1 << 64) - 1], 0, 4)},
    "many dimensions": {b"a": tensor_message(1, [1] * 1000, 0, 4)},
    "text": {b"a": tensor_message(7, [1], 0, 4)},
    "a slice": {b"a": tensor_message(1, [1], 0, 4) + message((7, b""))},
    "another file": {b"a": message((1, 1), (3, 1), (5, 4), (2, message((2, message((1, 1))))))},
    "two files": {b"": message((1, 2))},
    "big-endian numbers": {b"": message((1, 1), (2, 1))},
    "no header": {b"": b""},
    "no message": {b"a": b"\x0f\xff"},
    "bytes that do not come": {b"a": b"\x0a\xff\xff\xff\xff\x0f"},
    "a number without an end": {b"a": b"\x08" + b"\xff" * 20},
    "a name that is no text": {b"\xff\xfe": tensor_message(1, [1], 0, 4)},
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_cannot_be_true_costs_nothing(claim, paths):
    paths[0].write_bytes(table({b"": HEADER, **CLAIMS[claim]}))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="no index of a TensorFlow checkpoint"):
            read(*paths)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def wrapped(content, *, kind=0):
    """A table of one block of data as it is given."""
    data = content + bytes([kind])
    data += struct.pack("<I", crc(data))
    index = block({b"z": varint(0) + varint(len(content))}) + b"\0"
    place = varint(len(data)) + varint(len(index) - 1)
    return data + index + struct.pack("<I", crc(index)) + (2 * place).ljust(40, b"\0") + MAGIC


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0",
        struct.pack("<I", 1 << 31),
        b"\5\0\0" + struct.pack("<II", 0, 1),
        b"\0\xff\xff\xff\xff\x0f\0" + struct.pack("<II", 0, 1),
        b"\0\0\xff\xff\xff\xff\x0f" + struct.pack("<II", 0, 1),
        (b"\0\1\0a" * 2) + struct.pack("<II", 0, 1),
        b"\xff" * 30 + struct.pack("<II", 0, 1),
    ],
)
def test_a_block_that_cannot_be_read_is_refused(content, paths):
    paths[0].write_bytes(wrapped(content))
    with pytest.raises(ModelFileError, match=r"\((it|a (block|key|number|name)) "):
        read(*paths)


def test_a_compressed_block_is_refused(paths):
    paths[0].write_bytes(wrapped(block({b"": HEADER}), kind=1))
    with pytest.raises(ModelFileError, match="is compressed"):
        read(*paths)


def test_an_index_of_any_size_is_not_read(paths):
    with paths[0].open("r+b") as file:
        file.truncate(1 << 33)  # which takes no space
    with pytest.raises(ModelFileError, match="is larger than"):
        read(*paths)


def mutated(index, rng):
    """Some bytes of an index changed, moved or repeated, under right checksums or not."""
    out = bytearray(index)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(out) - 8)
        match rng.randrange(4):
            case 0:
                out[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
            case 1:
                out[place] ^= 1 << rng.randrange(8)
            case 2:
                out[place : place + 4] = rng.randbytes(4)
            case 3:
                other, length = rng.randrange(len(out) - 8), rng.randint(1, 12)
                out[place : place + length] = out[other : other + length]
    return bytes(out[: len(index)])


def search(paths, count, seed):
    """Refuse each changed index, or read tensors that share no byte of the data. Return how many were read."""
    index, size = paths[0].read_bytes(), paths[1].stat().st_size
    starts, rng, read_ = block_starts(index), random.Random(seed), 0
    tracemalloc.start()
    try:
        for _ in range(count):
            changed = bytearray(mutated(index, rng))
            for start, end in pairwise(starts):
                changed[end - 4 : end] = struct.pack("<I", crc(bytes(changed[start : end - 4])))
            paths[0].write_bytes(changed)
            if found := read_or_none(paths):
                assert sum(array.nbytes for array in found.values()) <= size
                read_ += 1
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
    return read_


def test_changed_indexes_under_right_checksums_take_no_memory(paths):
    assert search(paths, 20, 0) < 20


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(4))
def test_many_changed_indexes_under_right_checksums_take_no_memory(paths, seed):
    assert search(paths, 500, seed) < 500
