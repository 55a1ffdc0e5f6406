"""The serial number of Ogg pages, which libsndfile draws at random, made the same in every file.

A page (RFC 3533): "OggS", serial number at 14, checksum at 22, number of segments at 26, their lengths from 27, body.
The checksum is the CRC with polynomial 0x04C11DB7, most significant bit first, no complement, itself counted as 0.
"""

import zlib

from sepkit.audio.writing.sink import Sink

_SERIAL, _CHECKSUM, _SEGMENTS, _LENGTHS = 14, 22, 26, 27
_LARGEST_PAGE = _LENGTHS + 255 + 255 * 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def set_serial(file: Sink, serial: int = 0) -> None:
    """Give every page of a file of one stream the number `serial`."""
    at = 0
    while True:
        file.seek(at)
        page = bytearray(file.read(_LARGEST_PAGE))
        if not page:
            return
        segments = page[_SEGMENTS]
        del page[_LENGTHS + segments + sum(page[_LENGTHS : _LENGTHS + segments]) :]
        page[_SERIAL : _SERIAL + 4] = serial.to_bytes(4, "little")
        page[_CHECKSUM : _CHECKSUM + 4] = bytes(4)
        page[_CHECKSUM : _CHECKSUM + 4] = checksum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def checksum(page: bytes | bytearray) -> int:
    """Return the checksum of a page whose own field is 0: zlib's CRC of the same polynomial, with all bits mirrored."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
