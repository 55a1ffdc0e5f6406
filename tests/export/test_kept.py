"""Exports of models that are kept: made once, replaced where they are not whole, by several processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from sepkit.cache.folder import cache_folder
from sepkit.checkpoints import model_file
from sepkit.errors import ModelFileError
from sepkit.export import sealed
from sepkit.export.kept import kept_export
from sepkit.separation.engine.onnx_engine import MaskNetwork
from tests.checkpoints.test_model_file import rewritten
from tests.checkpoints.torch_zip import model


@pytest.fixture
def kept(loaded):
    """The path of the kept export."""
    return loaded.path.parent / f"m.{loaded.checksum[:12]}.onnx"


def test_an_export_is_kept_beside_the_model(loaded, kept, exports):
    first = kept_export(loaded)
    assert kept.read_bytes() == first
    assert kept_export(loaded) == first
    assert len(exports) == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:500] + b"?" + b[501:], lambda b: b""])
def test_a_kept_export_that_is_corrupt_is_made_again(loaded, kept, exports, damage):
    whole = kept_export(loaded)
    kept.write_bytes(damage(whole))
    assert MaskNetwork(kept_export(loaded))
    assert sealed.read(kept)
    assert len(exports) == 2


def test_a_kept_export_of_another_format_is_made_again(loaded, kept, exports, monkeypatch):
    monkeypatch.setattr(sealed, "FORMAT", 2)
    kept_export(loaded)
    monkeypatch.setattr(sealed, "FORMAT", 1)
    kept_export(loaded)
    assert sealed.read(kept)
    assert len(exports) == 2


def test_the_kept_export_of_another_model_is_not_taken(loaded, kept, exports):
    other = model_file.load(rewritten(loaded.path, loaded.path.parent / "n.safetensors", lambda m, t: m.update(step=8)))
    kept_export(other)
    (loaded.path.parent / f"n.{other.checksum[:12]}.onnx").rename(kept)
    kept_export(loaded)
    assert loaded.checksum.encode() in sealed.read(kept)[-200:]
    assert len(exports) == 2


def test_exports_of_earlier_models_of_that_name_are_removed_and_nothing_else(loaded, kept, exports):
    folder = loaded.path.parent
    earlier = folder / "m.0123456789ab.onnx"
    others = [
        folder / name for name in ("m.onnx", "m.my-favourite.onnx", "m.0123456789abc.onnx", "n.0123456789ab.onnx")
    ]
    for path in (earlier, *others):
        path.write_text("old")
    kept_export(loaded)
    assert kept.exists()
    assert not earlier.exists()
    assert all(path.exists() for path in others)


def test_where_the_folder_cannot_be_written_the_cache_is_used(loaded, kept, exports):
    kept.mkdir()  # nothing can take its name
    first = kept_export(loaded)
    assert (cache_folder() / "onnx" / kept.name).read_bytes() == first
    assert kept_export(loaded) == first
    assert len(exports) == 1
    assert list(loaded.path.parent.glob(".*")) == []


def test_where_nothing_can_be_written_it_works_all_the_same(loaded, kept, exports, caplog):
    kept.mkdir()
    cache_folder().parent.mkdir(exist_ok=True)
    cache_folder().write_text("a file")
    assert MaskNetwork(kept_export(loaded))
    assert "SEPKIT_CACHE" in caplog.text


def test_two_may_make_it_at_once(loaded, kept, exports, monkeypatch):
    """The second begins and ends while the first is writing, and takes its unfinished file for a leftover."""
    write = Path.write_bytes

    def overtaken(path, content):
        write(path, content)
        monkeypatch.setattr(Path, "write_bytes", write)
        kept_export(loaded)

    monkeypatch.setattr(Path, "write_bytes", overtaken)
    assert MaskNetwork(kept_export(loaded))
    assert len(exports) == 2
    assert sealed.read(kept)
    assert not list(kept.parent.glob(".*"))
    assert not (cache_folder() / "onnx").exists()


def test_what_a_killed_process_left_is_removed(loaded, kept, exports):
    leftover = kept.parent / f".{kept.name[:40]}.abc123.part"
    leftover.write_text("half")
    kept_export(loaded)
    assert not leftover.exists()


def test_another_process_exports_where_pytorch_is_not_imported_and_keeps_it(small_config, tmp_path, capfd):
    """Two at once, and the file appears whole; a second use says and makes nothing."""
    path = model(small_config, tmp_path / "m.safetensors")
    code = (
        "import sys; from pathlib import Path; from sepkit.checkpoints import model_file;"
        "from sepkit.export.kept import kept_export; m = model_file.load(Path(sys.argv[1]));"
        "print(len(kept_export(m)), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [process.communicate() for process in both]
    size = len(sealed.read(next(tmp_path.glob("m.*.onnx"))))
    said = f"{path}: exporting its network, once, so that it runs without PyTorch\n"
    assert {out for out, _ in ended} == {f"{size} False\n"}
    assert {said} <= {err for _, err in ended} <= {said, ""}  # the second may find what the first has kept
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (again.stdout, again.stderr) == (f"{size} False\n", "")
    assert not list(tmp_path.glob(".*"))


def test_a_failure_of_that_process_is_told(loaded, monkeypatch):
    rewritten(loaded.path, loaded.path, lambda m, t: m["model"].update(hidden=9))
    broken = model_file.load(loaded.path)
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(ModelFileError, match=r"m\.safetensors: weights do not fit the model"):
        kept_export(broken)
