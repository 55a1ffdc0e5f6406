"""umxhq and the others: what the package says of them, and separation by name with random weights."""

import inspect
import json
import re
from collections import OrderedDict
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import openunmix
import pytest
import sepkit_openunmix
import soundfile
import torch
from openunmix.model import OpenUnmix as Network
from sepkit_openunmix.openunmix import OpenUnmix
from sepkit_openunmix.published import PUBLISHED, UMXHQ

from sepkit import SeparateSettings
from sepkit.checkpoints.pretrained import fetch, place
from sepkit.cli import main
from sepkit.separation import Separator

NAMES = [known.name for known in PUBLISHED]
SMALL = OpenUnmix(n_fft=512, hop_length=128, hidden=8, layers=1, niter=1)


def spec(name):
    """Return the networks of a published set by source, as the package makes them, without their memory."""
    with torch.device("meta"):
        return getattr(openunmix, f"{name}_spec")(pretrained=False, device="meta")


@pytest.mark.parametrize("known", PUBLISHED, ids=NAMES)
def test_files_are_those_that_the_package_names(known):
    urls = set(re.findall(r"https://[^\"']+", inspect.getsource(getattr(openunmix, f"{known.name}_spec"))))
    assert {file.place for file in known.files} == urls
    for file, source in zip(known.files, known.audio.sources, strict=True):
        stem, digits = re.fullmatch(r"([a-z]+)[-_]([0-9a-f]{8})\.pth", file.name).groups()
        assert stem == source
        assert file.sha256.startswith(digits)


@pytest.mark.parametrize("known", PUBLISHED, ids=NAMES)
def test_networks_are_those_of_the_package(known):
    with torch.device("meta"):
        ours = known.model.build(known.audio).state_dict()
    theirs = {
        f"mask_network.targets.{known.audio.sources.index(source)}.{name}": tensor
        for source, network in spec(known.name).items()
        for name, tensor in network.state_dict().items()
    }
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in theirs.items()}
    size = sum(tensor.nbytes for tensor in ours.values())
    assert size < known.bytes < 1.01 * size


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Put small files in the cache, as if a hand had downloaded them, and let umxhq be described as made of them.

    They are in the format and with the additions that the files of umxhq have.
    """
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    window = torch.hann_window(512)
    files = []
    folder = place(UMXHQ).parent
    folder.mkdir(parents=True)
    for file in UMXHQ.files:
        weights = Network(257, 2, hidden_size=8, nb_layers=1, max_bin=186).state_dict()
        extra = {"sample_rate": torch.tensor(44100.0), "stft.window": window, "transform.0.window": window}
        torch.save(
            OrderedDict([*weights.items(), *extra.items()]), folder / file.name, _use_new_zipfile_serialization=False
        )
        files.append(replace(file, sha256=sha256((folder / file.name).read_bytes()).hexdigest()))
    settings = SeparateSettings(chunk_seconds=0.5, overlap=0.1, residual="residual")
    known = replace(UMXHQ, model=SMALL, files=tuple(files), separate=settings)
    monkeypatch.setattr(sepkit_openunmix, "PUBLISHED", (known,))
    return known


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.2, 0.2, (70001, 2)), 44100, subtype="FLOAT")
    return path


def sepkit(*args):
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return exit_.value.code


def test_separates_by_name(published, song, tmp_path, capsys):
    out = tmp_path / "out"
    code = sepkit("separate", song, "-m", "umxhq", "-o", out, "--bit-depth", "float", "--backend", "torch", "--json")
    said = capsys.readouterr()
    assert code == 0, said.err
    files = json.loads(said.out)["tracks"][0]["files"]
    assert list(files) == ["vocals", "drums", "bass", "other", "residual"]
    stems = {stem: soundfile.read(Path(path), dtype="float32")[0].T for stem, path in files.items()}
    mixture = soundfile.read(song, dtype="float32")[0].T
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-5)
    assert len({stem.tobytes() for stem in stems.values()}) == 5
    in_memory = Separator.load(fetch("umxhq"), backend="torch")(torch.from_numpy(mixture), 44100)
    for stem, samples in stems.items():
        np.testing.assert_allclose(samples, in_memory[stem].numpy(), atol=1e-6)


def test_blocks_of_a_stream_are_the_song_in_memory(published, song):
    separator = Separator.load(fetch("umxhq"), backend="torch")
    mixture = torch.from_numpy(soundfile.read(song, dtype="float32")[0].T)
    whole = separator(mixture, 44100)
    parts = list(separator.stream(mixture.split(9999, 1), 44100))
    for stem, samples in whole.items():
        torch.testing.assert_close(torch.cat([part[stem] for part in parts], -1), samples)


def test_each_file_is_the_network_of_its_source(published, song):
    network = Separator.load(fetch("umxhq"), backend="torch").model.network()
    torch.manual_seed(0)
    for target in network.mask_network.targets:
        expected = Network(257, 2, hidden_size=8, nb_layers=1, max_bin=186)
        assert all(torch.equal(t, target.state_dict()[name]) for name, t in expected.state_dict().items())


def test_info_shows_the_licence(published, capsys):
    fetch("umxhq")
    capsys.readouterr()
    assert sepkit("models", "info", "umxhq", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["licence"], info["provider"]["distribution"]) == ("MIT", "sepkit-openunmix")


def test_umxl_is_not_for_sale():
    (umxl,) = [known for known in PUBLISHED if known.name == "umxl"]
    assert "NC" in umxl.licence
