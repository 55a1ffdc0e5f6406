"""htdemucs and the others: what the package says of them, and separation by name with random weights."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import demucs
import numpy as np
import pytest
import sepkit_demucs
import soundfile
import torch
import yaml
from demucs.hf import DEFAULT_NAMESPACE, hf_repo_name
from safetensors.torch import save_file
from sepkit_demucs.htdemucs import HTDemucs
from sepkit_demucs.published import HTDEMUCS_FT, PUBLISHED

from sepkit import SeparateSettings
from sepkit.checkpoints.pretrained import fetch, place
from sepkit.cli import main
from sepkit.separation import Separator

NAMES = [known.name for known in PUBLISHED]


@pytest.mark.parametrize("known", PUBLISHED, ids=NAMES)
def test_files_are_those_that_the_package_names(known):
    bag = yaml.safe_load((Path(demucs.__file__).parent / "remote" / f"{known.name}.yaml").read_text())
    assert [file.name for file in known.files] == [f"{signature}.safetensors" for signature in bag["models"]]
    repository = f"https://huggingface.co/{DEFAULT_NAMESPACE}/{hf_repo_name(known.name)}/resolve/"
    assert all(file.place.startswith(repository) for file in known.files)
    assert all(len(file.sha256) == 64 for file in known.files)
    if known.model.specialists:
        assert bag["weights"] == np.eye(len(known.audio.sources)).tolist()
    assert "segment" not in bag, "it would change the length of the chunks"


@pytest.mark.parametrize("known", PUBLISHED, ids=NAMES)
def test_networks_have_the_size_of_the_files(known):
    """Two bytes for each number, and a header."""
    with torch.device("meta"):
        weights = known.model.build(known.audio).state_dict()
    header = known.bytes - sum(2 * tensor.numel() for tensor in weights.values())
    assert 50_000 < header / len(known.files) < 60_000


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Put small files in the cache, as a hand would, and let htdemucs_ft be described as made of them."""
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))
    model = HTDemucs(channels=8, n_fft=2048, bottleneck=16, layers=1, heads=2, segment=0.5, specialists=True)
    torch.manual_seed(0)
    networks = model.build(HTDEMUCS_FT.audio).networks
    folder = place(HTDEMUCS_FT).parent
    folder.mkdir(parents=True)
    files = []
    for file, network in zip(HTDEMUCS_FT.files, networks, strict=True):
        weights = {name: tensor.half() for name, tensor in network.state_dict().items()}
        save_file(weights, folder / file.name, {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": "{}"})
        files.append(replace(file, sha256=sha256((folder / file.name).read_bytes()).hexdigest()))
    settings = SeparateSettings(chunk_seconds=0.5, residual="residual")
    known = replace(HTDEMUCS_FT, model=model, files=tuple(files), separate=settings)
    monkeypatch.setattr(sepkit_demucs, "PUBLISHED", (known,))
    return known


def sepkit(*args):
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return exit_.value.code


def test_separates_by_name(published, tmp_path, capsys):
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.2, 0.2, (50001, 2)), 44100, subtype="FLOAT")
    code = sepkit("separate", song, "-m", "htdemucs_ft", "-o", tmp_path / "out", "--bit-depth", "float", "--json")
    said = capsys.readouterr()
    assert code == 0, said.err
    files = json.loads(said.out)["tracks"][0]["files"]
    assert list(files) == ["drums", "bass", "other", "vocals", "residual"]
    stems = {stem: soundfile.read(Path(path), dtype="float32")[0].T for stem, path in files.items()}
    mixture = soundfile.read(song, dtype="float32")[0].T
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-5)
    in_memory = Separator.load(fetch("htdemucs_ft"))(torch.from_numpy(mixture), 44100)
    for stem, samples in stems.items():
        np.testing.assert_allclose(samples, in_memory[stem].numpy(), atol=1e-6)
    assert sepkit("models", "info", "htdemucs_ft", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["licence"], info["provider"]["distribution"]) == ("not stated (code: MIT)", "sepkit-demucs")


def test_weights_are_in_single_precision_and_in_the_order_of_the_sources(published):
    network = Separator.load(fetch("htdemucs_ft")).model.network()
    torch.manual_seed(0)
    expected = published.model.build(published.audio)
    for ours, theirs in zip(network.networks, expected.networks, strict=True):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor.half().float())
