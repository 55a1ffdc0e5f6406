"""The model, as every model is tested, and against the package that it wraps."""

import pytest
import torch
from demucs.htdemucs import HTDemucs as Upstream
from sepkit_demucs.htdemucs import HTDemucs

from sepkit import AudioSpec
from sepkit.registry import MODELS
from sepkit.testing import conformance

SMALL = {"channels": 8, "n_fft": 2048, "bottleneck": 16, "layers": 2, "heads": 2, "segment": 1.0}
AUDIO = AudioSpec(8000, 2, ("vocals", "drums"))

TestHTDemucs = conformance(HTDemucs(**SMALL))


def network(**settings):
    torch.manual_seed(0)
    return HTDemucs(**{**SMALL, **settings}).build(AUDIO).eval()


def test_is_registered_under_its_distribution():
    assert MODELS.get("htdemucs").plugin.distribution == "sepkit-demucs"


@pytest.mark.parametrize("time", [8000, 5000])
def test_gives_the_samples_of_the_package(time):
    """Shorter inputs are filled up to the length of training by both."""
    ours = network()
    theirs = Upstream(
        list(AUDIO.sources), channels=8, nfft=2048, dconv_mode=3, bottom_channels=16, t_layers=2, t_heads=2,
        samplerate=8000, segment=1,
    ).eval()  # fmt: skip
    theirs.load_state_dict(ours.networks[0].state_dict())
    mixture = 0.1 * torch.randn(1, 2, time)
    with torch.no_grad():
        torch.testing.assert_close(ours(mixture), theirs(mixture))


def test_training_changes_no_length():
    """The package would remember the length of the last batch, and fill up to that from then on."""
    trained, mixture = network(), 0.1 * torch.randn(1, 2, 6000)
    with torch.no_grad():
        expected = trained(mixture)
        trained.train()(torch.randn(1, 2, 20000))
        assert torch.equal(trained.eval()(mixture), expected)


def test_each_specialist_gives_its_source():
    several = network(specialists=True)
    mixture = 0.1 * torch.randn(1, 2, 8000)
    with torch.no_grad():
        estimates = several(mixture)
        for number, one in enumerate(several.networks):
            assert torch.equal(estimates[:, number], one(mixture)[:, number])
    assert len(several.networks) == 2


def test_heads_share_the_width():
    with pytest.raises(ValueError, match="64, must be a multiple of heads"):
        HTDemucs(channels=8, bottleneck=0, heads=5)
