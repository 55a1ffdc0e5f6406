"""Audio files as accidents and strangers leave them: small good ones, and damage drawn from a seed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.encoded import encode

RATE = 8000
# Ending, libsndfile's format and subtype.
FORMATS = (
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "PCM_24"),
    ("wav", "WAV", "FLOAT"),
    ("flac", "FLAC", "PCM_16"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("ogg", "OGG", "VORBIS"),
    ("aiff", "AIFF", "PCM_16"),
)
ENDINGS = ("wav", "flac", "mp3", "ogg", "aiff")
EXTREMES = (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1, 2**36 - 1, 2**63 - 1, 2**64 - 1)
# Bytes in which headers lie.
HEADER = 120

Damage = Callable[[bytearray, np.random.Generator], None]


def mutated(seed: int, count: int, folder: Path) -> Iterator[Path]:
    """Yield `count` files in `folder`, each written just before and damaged once to three times."""
    rng = np.random.default_rng(seed)
    originals = list(_originals(folder))
    for n in range(count):
        ending, content = originals[rng.integers(len(originals))]
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            DAMAGES[rng.integers(len(DAMAGES))](data, rng)
        if rng.random() < 0.1:
            ending = ENDINGS[rng.integers(len(ENDINGS))]
        path = folder / f"{seed}-{n}.{ending}"
        path.write_bytes(data)
        yield path


def _originals(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Endings and contents; all with tags, for their chunks are read too."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 2, 2))
    for n, (ending, format_, subtype) in enumerate(FORMATS):
        path = folder / f"original-{n}.{ending}"
        with soundfile.SoundFile(path, "w", RATE, 2, subtype, format=format_) as file:
            file.title, file.artist = "Title", "Artist"
            file.write(noise)
        yield ending, path.read_bytes()
    for name, container in (("m4a", {"movflags": "+faststart"}), ("mkv", {}), ("wma", {}), ("aac", {})):
        yield name, encode(folder / f"original.{name}", noise, rate=RATE, container=container).read_bytes()


def _flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 20)):
        if data:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)


def _flip_bits_of_header(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 6)):
        if data:
            data[rng.integers(min(HEADER, len(data)))] ^= 1 << rng.integers(8)


def _replace_run(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(len(data) + 1)
    length = min(rng.integers(1, 500), len(data) - start)
    data[start : start + length] = rng.bytes(length) if rng.random() < 0.5 else bytes([rng.integers(256)]) * length


def _cut_off(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data) + 1) :]


def _cut_out(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(len(data) + 1)
    del data[start : start + rng.integers(1, 500)]


def _insert(data: bytearray, rng: np.random.Generator) -> None:
    start = rng.integers(min(HEADER, len(data)) + 1) if rng.random() < 0.5 else rng.integers(len(data) + 1)
    data[start:start] = rng.bytes(rng.integers(1, 500))


def _claim(data: bytearray, rng: np.random.Generator) -> None:
    """Write an extreme number over a field of the header."""
    size = (2, 4, 8)[rng.integers(3)]
    number = EXTREMES[rng.integers(len(EXTREMES))] % 2 ** (8 * size)
    start = rng.integers(HEADER // 2) * 2
    if start + size <= len(data):
        data[start : start + size] = number.to_bytes(size, "little" if rng.random() < 0.5 else "big")


DAMAGES: tuple[Damage, ...] = (
    _flip_bits, _flip_bits_of_header, _replace_run, _cut_off, _cut_out, _insert, _claim, _claim,
)  # fmt: skip
