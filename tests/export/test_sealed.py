"""Exported networks on disk: the right graph, whole or refused, made once."""

import json
import random
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

import onnx
import pytest
import torch
from torch import nn

from sepkit.cache.folder import cache_folder
from sepkit.checkpoints import model_file, tensor_file
from sepkit.errors import ModelFileError
from sepkit.export import graph as onnx_graph
from sepkit.export import sealed
from sepkit.separation.engine.onnx_network import OnnxNetwork
from tests.checkpoints.test_model_file import rewritten
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


@pytest.fixture
def kept(loaded):
    """Where its export is kept."""
    return loaded.path.parent / f"m.{loaded.checksum[:12]}.onnx"


def cached(loaded):
    return sealed.cached(loaded, loaded.network())


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
    found = OnnxNetwork(sealed.export(loaded, Stereo(Gain()).eval()))
    spectrum = torch.rand(3, 2, 33, 7)
    torch.testing.assert_close(found(spectrum), Gain()(spectrum))


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


# The cache


def test_an_export_is_kept_beside_the_model(loaded, kept, exports):
    first = cached(loaded)
    assert kept.read_bytes() == first
    assert cached(loaded) == first
    assert len(exports) == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:500] + b"?" + b[501:], lambda b: b""])
def test_a_kept_export_that_is_corrupt_is_made_again(loaded, kept, exports, damage):
    whole = cached(loaded)
    kept.write_bytes(damage(whole))
    assert OnnxNetwork(cached(loaded)).bins == 128
    assert sealed.read(kept)
    assert len(exports) == 2


def test_a_kept_export_of_another_format_is_made_again(loaded, kept, exports, monkeypatch):
    monkeypatch.setattr(sealed, "FORMAT", 2)
    cached(loaded)
    monkeypatch.setattr(sealed, "FORMAT", 1)
    cached(loaded)
    assert sealed.read(kept)
    assert len(exports) == 2


def test_the_kept_export_of_another_model_is_not_taken(loaded, kept, exports):
    other = model_file.load(rewritten(loaded.path, loaded.path.parent / "n.safetensors", lambda m, t: m.update(step=8)))
    cached(other)
    (loaded.path.parent / f"n.{other.checksum[:12]}.onnx").rename(kept)
    cached(loaded)
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
    cached(loaded)
    assert kept.exists()
    assert not earlier.exists()
    assert all(path.exists() for path in others)


def test_without_a_checksum_nothing_is_kept(loaded, kept, exports):
    nameless = model_file.ModelFile(loaded.path, loaded.manifest, loaded.weights)
    assert OnnxNetwork(cached(nameless)).bins == 128
    assert not kept.exists()


def test_where_the_folder_cannot_be_written_the_cache_is_used(loaded, kept, exports):
    kept.mkdir()  # nothing can take its name
    first = cached(loaded)
    assert (cache_folder() / "onnx" / kept.name).read_bytes() == first
    assert cached(loaded) == first
    assert len(exports) == 1
    assert list(loaded.path.parent.glob(".*")) == []


def test_where_nothing_can_be_written_it_works_all_the_same(loaded, kept, exports, caplog):
    kept.mkdir()
    cache_folder().parent.mkdir(exist_ok=True)
    cache_folder().write_text("a file")
    assert OnnxNetwork(cached(loaded)).bins == 128
    assert "SEPKIT_CACHE" in caplog.text


def test_two_may_make_it_at_once(loaded, kept, exports, monkeypatch):
    """The second begins and ends while the first is writing, and takes its unfinished file for a leftover."""
    write = Path.write_bytes

    def overtaken(path, content):
        write(path, content)
        monkeypatch.setattr(Path, "write_bytes", write)
        cached(loaded)

    monkeypatch.setattr(Path, "write_bytes", overtaken)
    assert OnnxNetwork(cached(loaded)).bins == 128
    assert len(exports) == 2
    assert sealed.read(kept)
    assert not list(kept.parent.glob(".*"))
    assert not (cache_folder() / "onnx").exists()


def test_what_a_killed_process_left_is_removed(loaded, kept, exports):
    leftover = kept.parent / f".{kept.name[:40]}.abc123.part"
    leftover.write_text("half")
    cached(loaded)
    assert not leftover.exists()


# The checksum of a model file


def test_a_model_file_knows_its_checksum(loaded):
    values, tensors = tensor_file.read(loaded.path)
    assert loaded.checksum == tensor_file._checksum(tensors, tensors.__getitem__, values)


def test_a_file_that_replaces_a_model_while_it_is_read_does_not_lend_it_its_checksum(loaded, monkeypatch):
    original = tensor_file.read

    def replaced(path):
        content = original(path)
        monkeypatch.setattr(tensor_file, "read", original)
        rewritten(path, path, lambda m, t: m.update(step=8))
        return content

    monkeypatch.setattr(tensor_file, "read", replaced)
    assert model_file.load(loaded.path).checksum == ""
