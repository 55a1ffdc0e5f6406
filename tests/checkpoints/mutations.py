"""Load seeded mutations of a file in this process, under an audit hook, and print what became of them as JSON.

Usage: python -m tests.checkpoints.mutations CONFIG COUNT KIND=FILE..., where KIND is model, torch or pickle
"""

import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from sepkit import config
from sepkit.checkpoints import import_weights, model_file, torch_file
from sepkit.errors import ModelFileError
from tests.checkpoints.torch_zip import write

Loader = Callable[[Path], Any]


def flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        content[place(content, rng)] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    start, length = place(content, rng), rng.choice((1, 4, 64, 4096))
    content[start : start + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def cut_off(content: bytearray, rng: random.Random) -> None:
    del content[rng.choice((place(content, rng), len(content) - rng.randrange(1, 100))) :]


def take_out(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    del content[start : start + rng.choice((1, 8, 100))]


def insert(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    content[start:start] = rng.randbytes(rng.choice((1, 8, 100)))


def double(content: bytearray, rng: random.Random) -> None:
    start, length, to = place(content, rng), rng.choice((1, 8, 64, 1000)), place(content, rng)
    content[to:to] = content[start : start + length]


def move(content: bytearray, rng: random.Random) -> None:
    start, length, to = place(content, rng), rng.choice((1, 4, 8, 64)), place(content, rng)
    content[to : to + length] = content[start : start + length]


def place(content: bytearray, rng: random.Random) -> int:
    """Return a place, half of the time near one of the ends, where the structure is."""
    return rng.choice((rng.randrange(len(content)), rng.randrange(min(4096, len(content))), -rng.randrange(1, 2048)))


def length_field(content: bytearray, rng: random.Random) -> None:
    now = int.from_bytes(content[:8], "little")
    new = rng.choice((now + rng.randrange(-8, 9), rng.getrandbits(64), rng.getrandbits(20), 1 << 63, 0))
    content[:8] = (new % (1 << 64)).to_bytes(8, "little")


def header(content: bytearray, rng: random.Random) -> None:
    """Edit the JSON of a safetensors header: tensors and their values change places, or go."""
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    one, other = rng.sample(sorted(entries.keys() - {"__metadata__"}), 2)
    kind = rng.randrange(7)
    if kind == 0:
        entries[one], entries[other] = entries[other], entries[one]
    elif kind in (1, 2):
        key = ("dtype", "shape")[kind - 1]
        entries[one][key], entries[other][key] = entries[other][key], entries[one][key]
    elif kind == 3:
        entries[one + "x"] = entries.pop(one)
    elif kind == 4:
        entries[one]["dtype"] = rng.choice(("F16", "BF16", "I32", "U8", "F64", "BOOL", "F8_E4M3", "C64", "X"))
    elif kind == 5:
        entries["__metadata__"] = edited(entries["__metadata__"], rng)
    else:
        entries = dict(rng.sample(list(entries.items()), len(entries)))  # another order, the same meaning
    text = json.dumps(entries).encode()
    content[: 8 + length] = len(text).to_bytes(8, "little") + text


def edited(metadata: dict[str, str], rng: random.Random) -> dict[str, str]:
    manifest = json.loads(metadata["sepkit"])
    key = rng.choice(sorted(manifest))
    kind = rng.randrange(4)
    if kind == 0:
        del manifest[key]
    elif kind == 1:
        manifest[key] = rng.choice((None, 0, -1, "x", [], {}, 1e999, True, [[[]]]))
    elif kind == 2:
        other = rng.choice(sorted(manifest))
        manifest[key], manifest[other] = manifest[other], manifest[key]
    else:
        return {"sepkitx": metadata["sepkit"]}
    return {"sepkit": json.dumps(manifest)}


BYTES = (flip, flip, overwrite, cut_off, take_out, insert, double, move)


def mutated(whole: bytes, rng: random.Random, kinds: tuple[Callable, ...]) -> bytes:
    content = bytearray(whole)
    while content == whole:
        rng.choice(kinds)(content, rng)
    return bytes(content)


def model_mutations(source: Path, path: Path, count: int) -> Any:
    whole, rng = source.read_bytes(), random.Random(1)
    for _ in range(count):
        path.write_bytes(mutated(whole, rng, (*BYTES, header, header, length_field)))
        yield path


def torch_mutations(source: Path, path: Path, count: int) -> Any:
    whole, rng = source.read_bytes(), random.Random(2)
    for _ in range(count):
        path.write_bytes(mutated(whole, rng, BYTES))
        yield path


def pickle_mutations(source: Path, path: Path, count: int) -> Any:
    """The pickle in the file changes, and the zip around it is right."""
    rng = random.Random(3)
    with ZipFile(source) as archive:
        found = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    storages = {name[5:]: content for name, content in found.items() if name.startswith("data/")}
    for _ in range(count):
        yield write(path, mutated(found["data.pkl"], rng, BYTES), storages)


def outcome(load: Callable[[], Any], good: Any) -> str:
    try:
        found = load()
    except ModelFileError:
        return "refused"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"[:200]
    return "same" if same(found, good) else "other"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def load_model(path: Path) -> Any:
    loaded = model_file.load(path)
    loaded.network()
    return dict(sorted(loaded.weights.items())), loaded.manifest.model_dump(mode="json")


class Ear:
    """Hears what Python does while it is open. An audit hook stays for as long as the process."""

    def __init__(self) -> None:
        self.open = False
        self.heard: Counter[str] = Counter()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.open:
            detail = {"open": 1, "import": 0}.get(event)
            self.heard[event if detail is None else f"{event} {arguments[detail]}"] += 1


def mutate(kind: str, source: Path, run: config.RunConfig, count: int, ear: Ear) -> Any:
    """Return how often mutations of a file ended how, and what was heard meanwhile."""
    path = source.with_name(f"mutated{source.suffix}")
    written = source.with_name("imported.safetensors")

    def imported(path: Path) -> Any:
        import_weights.convert(path, written, run, overwrite=True)
        return load_model(written)

    load, mutations = {
        "model": (load_model, model_mutations),
        "torch": (imported, torch_mutations),
        "pickle": (torch_file.load, pickle_mutations),
    }[kind]
    good, outcomes = load(source), Counter()
    ear.heard = Counter()
    for mutation in mutations(source, path, count):
        ear.open = True
        what = outcome(lambda: load(mutation), good)  # noqa: B023
        ear.open = False
        outcomes[what] += 1
    return {"outcomes": outcomes, "heard": ear.heard}


def main(config_file: Path, count: int, files: list[str]) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    run, ear = config.load(config_file), Ear()
    pairs = (file.split("=", 1) for file in files)
    print(json.dumps({kind: mutate(kind, Path(path), run, count, ear) for kind, path in pairs}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
