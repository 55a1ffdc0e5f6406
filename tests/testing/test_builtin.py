"""The built-in components keep the promises that plugins are asked to keep."""

import shutil
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest

from sepkit.plugins import BUILTIN
from sepkit.registry import COMPONENT_REGISTRIES
from sepkit.testing import conformance
from tests.conftest import write_songs
from tests.datasets import trees

SMALL_CRNN = {
    "n_fft": 256, "hop_length": 64, "channels": (4, 8), "frequency_strides": (4, 2), "time_strides": (2, 1),
    "projection": 16, "hidden": 8, "layers": 1,
}  # fmt: skip

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval imports only where ffmpeg is installed")


def folder(root: Path) -> None:
    write_songs(root / "data" / "train", ["one", "two", "three", "four"], ("vocals", "drums"), seconds=0.1)


def some_names():
    names = trees.musdb_names()
    return {"train": [*names["train"][:2], *names["train"][-2:]], "test": names["test"][-2:]}


def musdb18hq(root: Path) -> None:
    trees.links(root / "data" / "musdb18hq", some_names(), trees.hq_song(root / "song"))


def musdb18(root: Path) -> None:
    stem_file = Path(shutil.copy(trees.example_stem(), root / "example.stem.mp4"))
    trees.musdb18(root / "data" / "musdb18", some_names(), stem_file)


def moisesdb(root: Path) -> None:
    song = trees.moisesdb(root / "song", [("vocals", [trees.recording(1)]), ("drums", [trees.recording(2)])])
    uuids = [str(uuid5(NAMESPACE_DNS, str(number))) for number in range(30)]
    trees.links(root / "data", {"moisesdb": uuids}, song)


def slakh2100(root: Path) -> None:
    for number, split in ((1, "train"), (2, "train"), (1501, "validation"), (1876, "test")):
        trees.slakh(root / "data" / "slakh2100" / split / f"Track{number:05}", trees.BAND)


EXAMPLES = {"folder": folder, "musdb18hq": musdb18hq, "musdb18": musdb18, "moisesdb": moisesdb, "slakh2100": slakh2100}
SETTINGS = {
    "crnn": SMALL_CRNN,
    "synthetic": {"train": 2, "validation": 1, "test": 1, "seconds": 1.0},
}
OPTIONS = {"mp3": {"mixture_is_sum": False}}


def builtin(registry):
    return [entry.component for entry in registry.entries() if entry.plugin == BUILTIN]


def suite(cls):
    name = cls.registered_name()
    options = OPTIONS.get(name, {}) if cls.kind != "dataset" else {"files": EXAMPLES.get(name)}
    return conformance(cls(**SETTINGS.get(name, {})), **options)


for _registry in COMPONENT_REGISTRIES:
    for _cls in builtin(_registry):
        _suite = suite(_cls)
        if _cls.registered_name() == "museval":
            _suite = needs_ffmpeg(_suite)
        globals()[f"Test_{_registry.kind}_{_cls.registered_name()}"] = _suite
