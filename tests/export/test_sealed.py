"""Exported networks on disk: the right graph, whole or refused."""

import json
import random
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sepkit.errors import ModelFileError
from sepkit.export import sealed
from sepkit.separation.engine.onnx_engine import MaskNetwork


def manifest(exported):
    proto = onnx.load_from_string(exported)
    return json.loads({entry.key: entry.value for entry in proto.metadata_props}["sepkit"])


# The graph


def test_the_graph_holds_one_node_for_each_layer_however_long_the_song(exported):
    proto = onnx.load_from_string(exported)
    onnx.checker.check_model(proto, full_check=True)
    kinds = Counter(node.op_type for node in proto.graph.node)
    # Two in the encoder, and one for each phase of those of the decoder: 2 x 1, and 4 x 2.
    assert (kinds["GRU"], kinds["Conv"], kinds["ConvTranspose"]) == (1, 12, 0)
    assert kinds["BatchNormalization"] == 1  # of the input; the others are folded
    assert not {"Loop", "Scan", "If"} & set(kinds)
    assert len(proto.graph.node) < 400
    for value in (*proto.graph.input, *proto.graph.output):
        shape = [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        assert shape == ["batch", 1, 128, "frames"]


def test_the_manifest_says_all_that_a_user_needs(loaded, exported):
    found = manifest(exported)
    assert found["sha256"] == loaded.checksum
    assert found["provider"]["distribution"] == "sepkit"
    assert found["audio"] == {"sample_rate": 8000, "channels": 1, "sources": ["vocals"]}
    assert (found["model"]["n_fft"], found["model"]["hop_length"]) == (256, 64)
    assert found["separate"]["chunk_seconds"] == 12
    assert found["input"] == {"name": "spectrum", "shape": ["batch", 1, 128, "frames"]}
    assert found["output"] == {"name": "mask", "shape": ["batch", 1, 128, "frames"]}
    for text in (
        "scaled so that a full-scale sine is 1",
        "mask applied to each channel",
        "Magnitude [B, 1, F, T] -> mask",
    ):
        assert text in found["about"]


def test_a_file_says_nothing_of_the_machine(exported):
    for text in (str(Path.home()), str(Path(sealed.__file__).parent), "site-packages", gettempdir()):
        assert text.encode() not in exported


def test_an_export_changes_neither_the_network_nor_random_numbers(loaded):
    network = loaded.network()
    before, state, structure = network.state_dict(), torch.get_rng_state(), str(network)
    sealed.export(loaded, network)
    assert str(network) == structure
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network.mask_network._forward_pre_hooks
    assert not network.training


class Stereo(nn.Module):
    """A network of others: its mask network sees both channels, and gives a gain of any size."""

    def __init__(self, mask_network):
        super().__init__()
        self.mask_network = mask_network

    def forward(self, mixture):
        spectrum = torch.stft(mixture.flatten(0, 1), 64, window=torch.ones(64), return_complex=True).abs()
        mask = self.mask_network(spectrum.unflatten(0, mixture.shape[:2]).expand(-1, 2, -1, -1))
        return mixture[:, None] * mask.mean()


class Gain(nn.Module):
    def forward(self, spectrum):
        return 100 * spectrum.relu() + spectrum.mean(1, keepdim=True)


def test_other_networks_have_other_dimensions(loaded):
    found = MaskNetwork(sealed.export(loaded, Stereo(Gain()).eval()))
    spectrum = torch.rand(3, 2, 33, 7)
    np.testing.assert_allclose(found(spectrum.numpy()), Gain()(spectrum), rtol=1e-5)


class Frozen(nn.Module):
    """Its number of frames becomes a constant in a trace."""

    def forward(self, spectrum):
        return spectrum * torch.linspace(0, 1, int(spectrum.shape[-1]))


class Average(nn.Module):
    """Its batch size becomes a constant in a trace: the shapes are right and the numbers wrong."""

    def forward(self, spectrum):
        return spectrum / int(spectrum.shape[0])


class Decomposed(nn.Module):
    """ONNX has nothing of that kind."""

    def forward(self, spectrum):
        return torch.linalg.qr(spectrum)[0]


class Two(nn.Module):
    def forward(self, spectrum):
        return spectrum, spectrum


class Shorter(nn.Module):
    def forward(self, spectrum):
        return spectrum[..., 1:]


class NotANumber(nn.Module):
    def forward(self, spectrum):
        return spectrum * float("nan")


@pytest.mark.parametrize("mask_network", [Frozen, Average, Decomposed, Two, Shorter, NotANumber])
def test_a_network_that_would_come_out_different_is_refused(loaded, mask_network):
    with pytest.raises(ModelFileError, match=r"m\.safetensors: its mask network cannot be exported .* PyTorch only"):
        sealed.export(loaded, Stereo(mask_network()).eval())


def test_a_network_without_a_mask_network_is_refused(loaded):
    with pytest.raises(ModelFileError, match=r'the model "crnn" of sepkit has no mask network .* runs in PyTorch only'):
        sealed.export(loaded, nn.Linear(2, 2))


# The file


def test_the_end_of_a_file_is_the_checksum_of_the_rest(exported):
    assert exported[-64:].decode() == sha256(exported[:-64]).hexdigest()
    assert onnx.load_from_string(exported).metadata_props[-1].key == "seal"


def test_a_damaged_file_is_refused(exported, tmp_path):
    whole, bad, rng = exported, tmp_path / "bad.onnx", random.Random(0)
    size = len(whole)
    for i in range(200):
        content = bytearray(whole)
        content[size - 1 - i if i < 150 else rng.randrange(size)] ^= 1 << rng.randrange(8)
        bad.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"bad\.onnx: corrupt \(sha256"):
            sealed.read(bad)
    for length in (0, 1, 63, 64, 133, *(size - i for i in range(1, 80)), *(rng.randrange(size) for _ in range(50))):
        bad.write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"bad\.onnx: corrupt \(sha256"):
            sealed.read(bad)
    bad.write_bytes(whole)
    assert sealed.read(bad) == whole


def test_a_file_that_is_not_there_or_of_another_format_is_refused(loaded, exports, tmp_path, monkeypatch):
    with pytest.raises(ModelFileError, match="no.onnx: cannot be read"):
        sealed.read(tmp_path / "no.onnx")
    monkeypatch.setattr(sealed, "FORMAT", 99)
    sealed.write(loaded, tmp_path / "new.onnx")
    monkeypatch.setattr(sealed, "FORMAT", 1)
    with pytest.raises(ModelFileError, match="new.onnx: format 99"):
        sealed.read(tmp_path / "new.onnx")
