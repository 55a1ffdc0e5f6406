"""The plugin as its users meet it: the promises of every model, the registry, and the commands."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sepkit_torchaudio.conv_tasnet import ConvTasNet
from sepkit_torchaudio.hdemucs import HDemucs

from sepkit.cli import main
from sepkit.registry import MODELS
from sepkit.testing import conformance

SMALL = {
    "hdemucs": '{name="hdemucs", channels=8, nfft=1024}',
    "conv_tasnet": '{name="conv_tasnet", features=16, bottleneck=8, hidden=16, layers=2, stacks=1}',
}

TestHDemucs = conformance(HDemucs(channels=8, nfft=1024))
TestConvTasNet = conformance(ConvTasNet(features=16, bottleneck=8, hidden=16, layers=2, stacks=1))


def sepkit(*args):
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return exit_.value.code


@pytest.mark.parametrize("name", SMALL)
def test_is_registered_under_its_distribution(name):
    assert MODELS.get(name).plugin.distribution == "sepkit-torchaudio"


@pytest.mark.parametrize("name", SMALL)
def test_trains_and_separates_through_the_commands(name, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for song in ("a", "b", "c"):
        for stem in ("vocals", "other"):
            path = tmp_path / "songs" / song / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.uniform(-0.1, 0.1, (12000, 2)), 8000)
    config = tmp_path / "run.toml"
    config.write_text(
        f"model = {SMALL[name]}\n"
        "[audio]\nsample_rate = 8000\n"
        "[train]\nepochs = 1\nsteps_per_epoch = 2\nbatch_size = 2\nchunk_seconds = 0.5\nworkers = 0\n"
    )
    run = tmp_path / "run"
    assert sepkit("train", config, "--data-dir", tmp_path / "songs", "--output-dir", run) == 0
    mixture = tmp_path / "song.wav"
    soundfile.write(mixture, rng.uniform(-0.1, 0.1, (44100, 2)), 44100, subtype="FLOAT")
    capsys.readouterr()
    model = run / "best_model.safetensors"
    assert sepkit("separate", mixture, "-m", model, "-o", tmp_path / "out", "--bit-depth", "float", "--json") == 0
    files = json.loads(capsys.readouterr().out)["tracks"][0]["files"]
    stems = [soundfile.read(Path(f)) for f in files.values()]
    assert all(rate == 44100 and data.shape == (44100, 2) for data, rate in stems)
    np.testing.assert_allclose(sum(data for data, _ in stems), soundfile.read(mixture)[0], atol=1e-4)
