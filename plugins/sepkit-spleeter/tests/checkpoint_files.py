"""Checkpoints as TensorFlow writes them: a sorted table as index, and the data that it describes."""

import struct
from itertools import count

MAGIC = bytes.fromhex("57fb808b247547db")


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def crc(data):
    """CRC-32C bit by bit, rotated and with a constant added."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def message(*fields):
    """Fields (number, value) of numbers and bytes."""
    parts = (
        varint(n << 3 | 2) + varint(len(value)) + value if isinstance(value, bytes) else varint(n << 3) + varint(value)
        for n, value in fields
    )
    return b"".join(parts)


def tensor_message(dtype, shape, start, size):
    dimensions = message(*((2, message((1, length))) for length in shape))
    return message((1, dtype), (2, dimensions), (4, start), (5, size))


HEADER = message((1, 1), (3, message((1, 1))))


def block(entries, every=16):
    """Entries that share the beginnings of their keys, anew with each `every`th."""
    out, restarts, last = bytearray(), [], b""
    for number, key, value in zip(count(), entries, entries.values()):
        shared = 0
        if number % every:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        else:
            restarts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(entries, per_block=20):
    """A whole index of keys and values."""
    out, places, names = bytearray(), {}, sorted(entries)

    def written(content):
        place = varint(len(out)) + varint(len(content))
        out.extend(content + b"\0" + struct.pack("<I", crc(content + b"\0")))
        return place

    for first in range(0, len(names), per_block):
        part = names[first : first + per_block]
        places[part[-1] + b"\0"] = written(block({name: entries[name] for name in part}))
    footer = written(block({})) + written(block(places, every=1))
    return bytes(out) + footer.ljust(40, b"\0") + MAGIC


def checkpoint(tensors):
    """Index and data of float32 and int64 arrays by name."""
    entries, data = {b"": HEADER}, b""
    for name, array in sorted(tensors.items()):
        content = array.tobytes()
        dtype = {"float32": 1, "int64": 9}[array.dtype.name]
        entries[name.encode()] = tensor_message(dtype, array.shape, len(data), len(content))
        data += content
    return table(entries), data
