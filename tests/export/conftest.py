"""Fixtures of the tests of exports: a small model file, and its export, which is made once."""

import onnx
import pytest

from sepkit.checkpoints import model_file
from sepkit.export import graph as onnx_graph
from sepkit.export import sealed
from tests.checkpoints.torch_zip import model
from tests.conftest import SMALL


@pytest.fixture
def loaded(small_config, tmp_path):
    return model_file.load(model(small_config, tmp_path / "m.safetensors"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The export of what is `loaded`, which takes longer than all else here."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "small.toml").write_text(SMALL)
    whole = model_file.load(model(folder / "small.toml", folder / "m.safetensors"))
    return sealed.export(whole, whole.network())


@pytest.fixture
def exports(exported, monkeypatch):
    """Export in no time, and count it."""
    made, graph = [], onnx.load_from_string(exported)
    del graph.metadata_props[-1]

    def export(*args):
        made.append(args)
        return graph.SerializeToString()

    monkeypatch.setattr(onnx_graph, "export", export)
    return made
