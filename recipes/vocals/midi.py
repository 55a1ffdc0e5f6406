"""Read the instruments and notes of a MIDI file, as far as a choir in it must be found."""

from __future__ import annotations

from collections.abc import Iterator

CHOIRS = frozenset({52, 53, 54, 85, 91})
"""General MIDI programs from 0 that imitate singing: as accompaniment they would be learned as no singing."""
_DRUMS = 9


def has_choir(midi: bytes) -> bool:
    """Return whether a standard MIDI file chooses a program of `CHOIRS`."""
    at = 14
    while at + 8 <= len(midi):
        end = at + 8 + int.from_bytes(midi[at + 4 : at + 8], "big")
        if any(program in CHOIRS for program in _programs(midi[at + 8 : end])):
            return True
        at = end
    return False


def _programs(track: bytes) -> Iterator[int]:
    """Yield the programs that a track chooses, but for drums."""
    at, status = 0, 0
    while at < len(track):
        _, at = _quantity(track, at)
        if track[at] & 0x80:
            status = track[at]
            at += 1
        if status >= 0xF0:  # of a meta event the type comes first
            length, at = _quantity(track, at + (status == 0xFF))
            at += length
        elif status >> 4 in (0xC, 0xD):
            if status >> 4 == 0xC and status & 0xF != _DRUMS:
                yield track[at]
            at += 1
        else:
            at += 2


def _quantity(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length quantity, and where it ends."""
    value = 0
    while data[at] & 0x80:
        value = value << 7 | data[at] & 0x7F
        at += 1
    return value << 7 | data[at], at + 1
