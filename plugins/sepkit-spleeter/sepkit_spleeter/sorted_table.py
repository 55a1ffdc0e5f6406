"""The sorted table of LevelDB, in which TensorFlow keeps the index of a checkpoint: keys and values, read whole.

A file is blocks and a footer of 48 bytes: the places of two blocks as varints (of the second, the index block, whose
values are the places of the blocks of data), zeros, and a magic number. A block is entries, the places of some of them
(4 bytes each) and their count (4 bytes); behind it are a byte that names its compression and a CRC-32C. An entry is
three varints (the bytes that its key shares with the key before, other bytes of the key, bytes of the value) and these
bytes. All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator

_FOOTER, _TRAILER = 48, 5
_MAGIC = bytes.fromhex("57fb808b247547db")
_LONGEST_VARINT = 10
_POLYNOMIAL = 0x82F63B78


class DamagedError(ValueError):
    """Bytes that are not what they should be; the text says what is wrong."""


def entries(table: bytes) -> dict[bytes, bytes]:
    """Return the values of a whole table by their keys.

    Raises:
        DamagedError: it is no such table, or damaged.
    """
    if len(table) < _FOOTER or table[-8:] != _MAGIC:
        raise DamagedError("it does not end as an index does")
    footer = Reader(table[-_FOOTER:-8])
    _block(table, footer)  # about the table itself; of no use here
    found: dict[bytes, bytes] = {}
    for _, place in _entries(_block(table, footer)):
        for key, value in _entries(_block(table, Reader(place))):
            if key in found:
                raise DamagedError("it names something twice")
            found[key] = value
    return found


class Reader:
    """Bytes that are read from their beginning to their end, and never beyond it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self._at + count
        if end > len(self._data):
            raise DamagedError("it is cut off")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def varint(self) -> int:
        """Return a number of seven bits a byte, the low ones first; the last byte is below 128."""
        value = 0
        for place in range(_LONGEST_VARINT):
            (byte,) = self.take(1)
            value |= (byte & 127) << 7 * place
            if byte < 128:
                return value
        raise DamagedError("a number in it does not end")


def _block(table: bytes, place: Reader) -> bytes:
    """Return the entries of a block, without what follows them."""
    start, size = place.varint(), place.varint()
    end = start + size
    if size < 4 or end + _TRAILER > len(table) - _FOOTER:
        raise DamagedError("a block lies beyond its end")
    if _masked_crc(table[start : end + 1]) != int.from_bytes(table[end + 1 : end + _TRAILER], "little"):
        raise DamagedError("the checksum of a block is wrong")
    if table[end]:
        raise DamagedError("a block is compressed")
    restarts = int.from_bytes(table[end - 4 : end], "little")
    if size < 4 + 4 * restarts:
        raise DamagedError("a block is shorter than it says")
    return table[start : end - 4 - 4 * restarts]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    reader, key = Reader(block), b""
    while reader:
        shared, other, size = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key):
            raise DamagedError("a key shares more than there is")
        key = key[:shared] + reader.take(other)
        yield key, reader.take(size)


def _masked_crc(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) as LevelDB stores it: rotated, and a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_remainder(byte) for byte in range(256)]
