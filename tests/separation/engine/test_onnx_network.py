"""ONNX Runtime in the place of PyTorch: the same masks, the same estimates, from several threads at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepkit.checkpoints import model_file
from sepkit.export import sealed
from sepkit.separation.engine.onnx_network import OnnxNetwork, available
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
    """A network, and the content of its exported file."""
    loaded, network = ready(tmp_path_factory.mktemp("exported"))
    return network, sealed.export(loaded, network)


@pytest.fixture
def both(exported):
    """The same mask network in PyTorch and in ONNX Runtime."""
    network, content = exported
    return network.mask_network, OnnxNetwork(content)


def test_both_give_the_same_masks(both):
    torch_network, onnx_network = both

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 9))
    def check(batch, frames, seed):
        spectrum = torch.rand(batch, 1, 128, frames, generator=torch.Generator().manual_seed(seed)) * 10.0**-seed
        expected, found = torch_network(spectrum), onnx_network(spectrum)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    with torch.inference_mode():
        check()
        masks = torch_network(torch.rand(1, 1, 128, 60))
        assert masks.min() < 0.1
        assert masks.max() > 0.9


@pytest.mark.parametrize(("channels", "time"), [(1, 8000), (2, 12345), (1, 1)])
def test_it_stands_in_for_the_mask_network(exported, channels, time):
    network, content = exported
    fast = deepcopy(network)
    fast.mask_network = OnnxNetwork(content, threads=2)
    mixture = torch.randn(2, channels, time) * 0.1
    with torch.inference_mode():
        torch.testing.assert_close(fast(mixture), network(mixture), atol=1e-4, rtol=0)


def test_it_has_no_weights_of_its_own(both):
    assert both[1].state_dict() == {}
    assert (both[1].bins, both[1].time_stride) == (both[0].bins, both[0].time_stride)


def test_spectra_may_lie_in_memory_in_any_way(both):
    spectrum = torch.rand(60, 128, 1, 2).permute(3, 2, 1, 0).requires_grad_()
    torch.testing.assert_close(both[1](spectrum), both[0](spectrum).detach(), atol=1e-4, rtol=0)


def test_masks_stay_as_they_are_when_it_is_called_again(both):
    first = both[1](torch.rand(1, 1, 128, 20))
    kept = first.clone()
    both[1](torch.rand(1, 1, 128, 20))
    assert torch.equal(first, kept)


def test_threads_may_call_it_at_once(both):
    spectra = [torch.rand(1 + i % 3, 1, 128, 5 + i) for i in range(40)]
    one_by_one = [both[1](spectrum) for spectrum in spectra]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(both[1], spectra))
    assert all(torch.equal(a, b) for a, b in zip(one_by_one, at_once, strict=True))


def test_it_prints_nothing_even_where_it_fails(both, capfd):
    with pytest.raises(Exception, match="spectrum"):
        both[1](torch.rand(1, 1, 100, 20))
    with pytest.raises(Exception, match="cannot be reshaped"):
        OnnxNetwork(seven_only())(torch.rand(2, 4))
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
        "import sepkit.cli, sepkit.export.sealed, sepkit.separation.engine.onnx_network as n, sys;"
        "print(n.available(), sorted({'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_available_looks_whether_it_is_installed(monkeypatch):
    assert available()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not available()
