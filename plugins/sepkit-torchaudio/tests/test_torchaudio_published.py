"""torchaudio's bundles: what torchaudio says of them, and separation by name with random weights in the real format."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import sepkit_torchaudio
import soundfile
import torch
import torchaudio.pipelines
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs
from sepkit_torchaudio.published import CONVTASNET_BASE_LIBRI2MIX, HDEMUCS_HIGH_MUSDB_PLUS, PUBLISHED

from sepkit import SeparateSettings
from sepkit.checkpoints.pretrained import place
from sepkit.cli import main


@pytest.mark.parametrize("known", PUBLISHED, ids=lambda known: known.name)
def test_files_and_networks_are_those_of_torchaudio(known):
    bundle = getattr(torchaudio.pipelines, known.name.upper())
    (file,) = known.files
    assert file.place == f"https://download.pytorch.org/torchaudio/{bundle._model_path}"  # noqa: SLF001
    assert known.audio.sample_rate == bundle.sample_rate
    with torch.device("meta"):
        theirs = bundle._model_factory_func()  # noqa: SLF001
        ours = known.model.build(known.audio).network
    assert {n: t.shape for n, t in ours.state_dict().items()} == {n: t.shape for n, t in theirs.state_dict().items()}
    assert getattr(theirs, "sources", list(known.audio.sources)) == list(known.audio.sources)
    size = sum(tensor.nbytes for tensor in ours.state_dict().values())
    assert size < known.bytes < 1.02 * size


SMALL = {
    "hdemucs": HDemucs(channels=8, nfft=1024),
    "conv_tasnet": ConvTasNet(features=16, bottleneck=8, hidden=16, layers=2, stacks=1),
}


def sepkit(*args):
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return exit_.value.code


@pytest.mark.parametrize("known", [HDEMUCS_HIGH_MUSDB_PLUS, CONVTASNET_BASE_LIBRI2MIX], ids=lambda known: known.name)
def test_separates_by_name(known, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))
    (file,) = known.files
    model = SMALL[known.model.name]
    folder = place(known).parent
    folder.mkdir(parents=True)
    torch.save(model.build(known.audio).network.state_dict(), folder / file.name)
    checksum = sha256((folder / file.name).read_bytes()).hexdigest()
    described = replace(file, sha256=checksum if file.sha256 else "")
    settings = SeparateSettings(chunk_seconds=1.0, residual="residual")
    described = replace(known, model=model, files=(described,), separate=settings)
    monkeypatch.setattr(sepkit_torchaudio, "PUBLISHED", (described,))
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.2, 0.2, (50001, 2)), 44100, subtype="FLOAT")
    command = ("separate", song, "-m", known.name, "-o", tmp_path / "out", "--bit-depth", "float", "--json")
    if not file.sha256:
        assert sepkit(*command) == 2
        assert f"models fetch {known.name} --sha256 HEX" in json.loads(capsys.readouterr().out)["error"]
        assert sepkit("models", "fetch", known.name, "--sha256", checksum) == 0
        capsys.readouterr()
    code = sepkit(*command)
    said = capsys.readouterr()
    assert code == 0, said.err
    files = json.loads(said.out)["tracks"][0]["files"]
    assert list(files) == [*known.audio.sources, "residual"]
    stems = [soundfile.read(Path(path), dtype="float32")[0] for path in files.values()]
    np.testing.assert_allclose(sum(stems), soundfile.read(song, dtype="float32")[0], atol=1e-5)
    assert sepkit("models", "info", known.name, "--json") == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "not stated (code: BSD-2-Clause)"
