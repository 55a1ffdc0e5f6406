"""ONNX Runtime in the place of PyTorch: the same masks, the same estimates, from several threads at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepkit.checkpoints import model_file
from sepkit.export import sealed
from sepkit.separation.engine.onnx_engine import MaskNetwork, OnnxEngine
from sepkit.separation.overlap_add import Chunking
from tests.checkpoints.torch_zip import model
from tests.conftest import SMALL
from tests.separation.engine.test_folding import lively


def ready(folder):
    """Return a model file, and its network with the statistics of one that has learned."""
    (folder / "small.toml").write_text(SMALL)
    loaded = model_file.load(model(folder / "small.toml", folder / "m.safetensors"))
    network = lively(loaded.network())
    with torch.no_grad():
        network.mask_network.decoder[-1].weight.mul_(20)  # masks from 0 to 1, not all about a half
    return loaded, network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model file, its network, and the content of its exported file."""
    loaded, network = ready(tmp_path_factory.mktemp("exported"))
    return loaded, network, sealed.export(loaded, network)


@pytest.fixture
def both(exported):
    """The same mask network in PyTorch and in ONNX Runtime, both for arrays."""
    _, network, content = exported

    def masks(spectra):
        with torch.inference_mode():
            return network.mask_network(torch.from_numpy(np.ascontiguousarray(spectra))).numpy()

    return masks, MaskNetwork(content)


def spectra(*shape, seed=0, level=1.0):
    return np.random.default_rng(seed).random(shape, np.float32) * np.float32(level)


def test_both_give_the_same_masks(both):
    torch_network, onnx_network = both

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 9))
    def check(batch, frames, seed):
        some = spectra(batch, 1, 128, frames, seed=seed, level=10.0**-seed)
        found = onnx_network(some)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, torch_network(some), atol=1e-4, rtol=0)

    check()
    masks = torch_network(spectra(1, 1, 128, 60))
    assert masks.min() < 0.1
    assert masks.max() > 0.9


@pytest.mark.parametrize(("channels", "time"), [(1, 8000), (2, 12345), (1, 1)])
def test_the_engine_gives_the_estimates_of_pytorch(exported, channels, time):
    loaded, network, content = exported
    audio = loaded.manifest.audio
    front = loaded.manifest.model.spectral_front(audio, audio)
    engine = OnnxEngine(front, MaskNetwork(content), 8000, 1, Chunking(time, 0))
    mixture = np.random.default_rng(1).normal(0, 0.1, (2, channels, time)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(mixture).flatten(0, 1)[:, None]).unflatten(0, (2, channels))[:, :, :, 0]
    np.testing.assert_allclose(engine(mixture), expected.transpose(1, 2), atol=1e-4, rtol=0)


def test_spectra_may_lie_in_memory_in_any_way(both):
    some = spectra(60, 128, 1, 2).transpose(3, 2, 1, 0)
    np.testing.assert_allclose(both[1](some), both[0](some), atol=1e-4, rtol=0)


def test_masks_stay_as_they_are_when_it_is_called_again(both):
    first = both[1](spectra(1, 1, 128, 20))
    kept = first.copy()
    both[1](spectra(1, 1, 128, 20, seed=1))
    np.testing.assert_array_equal(first, kept)


def test_threads_may_call_it_at_once(both):
    some = [spectra(1 + i % 3, 1, 128, 5 + i, seed=i) for i in range(40)]
    one_by_one = [both[1](one) for one in some]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(both[1], some))
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, at_once, strict=True))


def test_it_prints_nothing_even_where_it_fails(both, capfd):
    with pytest.raises(Exception, match="spectrum"):
        both[1](spectra(1, 1, 100, 20))
    with pytest.raises(Exception, match="cannot be reshaped"):
        MaskNetwork(seven_only())(spectra(2, 4))
    assert capfd.readouterr() == ("", "")


def seven_only():
    """Return a graph that fails within, for all but seven samples."""
    spectrum, mask = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", "frames"]) for name in "xy"
    )
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [1, 7])
    node = onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])
    graph = onnx.helper.make_graph([node], "seven", [spectrum], [mask], [shape])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_what_is_not_needed_is_not_imported():
    code = (
        "import sepkit.cli, sepkit.checkpoints.pretrained, sepkit.export.kept, sys;"
        "import sepkit.separation.engine.onnx_engine;"
        "print(sorted({'onnx', 'onnxruntime', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
