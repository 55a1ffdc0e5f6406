"""The model, as every model is tested, and what separation makes of its masks."""

import numpy as np
import pytest
import soundfile
import torch
from sepkit_spleeter.spleeter_unet import SpleeterUNet

from sepkit import AudioSpec, ConfigError, SeparateSettings
from sepkit.checkpoints import model_file, tensor_file
from sepkit.cli import main
from sepkit.config import RunConfig
from sepkit.testing import conformance

SMALL = {"n_fft": 256, "hop_length": 64, "bins": 64, "filters": (4, 6, 8)}
TWO = AudioSpec(8000, 2, ("vocals", "accompaniment"))

TestSpleeter = conformance(SpleeterUNet(**SMALL), audio=TWO)
TestOneSource = conformance(SpleeterUNet(**SMALL, activation="elu"))


def network(audio=TWO, **settings):
    torch.manual_seed(0)
    return SpleeterUNet(**{**SMALL, **settings}).build(audio).eval()


def noise(time=9000):
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 2, time)).astype(np.float32))


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_masks_share_out_the_energy_of_what_training_estimates(output):
    """The masks are those of the squares of what each network estimates, with a share of next to nothing for each."""
    masks_of = network(output=output).mask_network
    heard = torch.from_numpy(np.random.default_rng(0).uniform(0, 9, (1, 2, 64, 33)).astype(np.float32))
    heard[..., 0] = 0
    with torch.no_grad():
        masks = masks_of(heard)
        masks_of.training = True  # of this module alone: its layers stay as they are
        shares = masks_of(heard)
    estimates = (shares * heard[:, None]).square()
    expected = (estimates + 0.5e-10) / (estimates.sum(1, keepdim=True) + 1e-10)
    torch.testing.assert_close(masks, expected, atol=1e-5, rtol=0)
    assert torch.equal(masks[..., 0], torch.full_like(masks[..., 0], 0.5))


def test_above_the_bins_the_mask_follows_its_top_or_is_zero():
    with torch.no_grad():
        parts = [torch.fft.rfft(network(above=above)(noise())).abs() for above in ("extended", "zero")]
    edge = round(4500 * 64 / 128 * 2)  # of the bins, and a little more
    assert parts[0][..., edge:].mean() > 10 * parts[1][..., edge:].mean()
    zero = network(above="zero")
    front = SpleeterUNet(**SMALL, above="zero").spectral_front(TWO, TWO)
    with torch.no_grad():
        found = front(noise().numpy(), lambda heard: zero.mask_network(torch.from_numpy(heard)).numpy())
        np.testing.assert_allclose(found, zero(noise()), atol=1e-5)
    assert SpleeterUNet(**SMALL).adds_up(TWO)
    assert not SpleeterUNet(**SMALL, above="zero").adds_up(TWO)


def test_the_masks_above_follow_the_top_4_khz_of_the_published_networks():
    published = AudioSpec(44100, 2, ("vocals", "accompaniment"))
    assert SpleeterUNet().extension_bins(published) == round(4000 / (44100 / 4096)) == 372
    assert SpleeterUNet().build(published).extension_bins == 372
    assert SpleeterUNet(**SMALL).extension_bins(TWO) == 64  # all bins, where the band is no wider


def test_one_source_cannot_share_by_softmax():
    with pytest.raises(ConfigError, match="name two"):
        SpleeterUNet(**SMALL, output="softmax").build(AudioSpec())


@pytest.mark.parametrize("settings", [{"bins": 60}, {"bins": 136}, {"filters": (0, 4)}, {"hop_length": 129}])
def test_settings_that_do_not_fit_together_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        SpleeterUNet(**{**SMALL, **settings})


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (11025, 1)])
def test_the_stems_of_a_song_add_up_and_nothing_else_is_said(rate, channels, tmp_path, capsys):
    separate = SeparateSettings(chunk_seconds=1, residual="")
    config = RunConfig(audio=TWO, model=SpleeterUNet(**SMALL), separate=separate)
    tensor_file.write(tmp_path / "m.safetensors", network().state_dict(), model_file.manifest_of(config))
    song = np.random.default_rng(0).uniform(-0.2, 0.2, (20001, channels))
    soundfile.write(tmp_path / "song.wav", song, rate, subtype="FLOAT")
    command = ("separate", tmp_path / "song.wav", "-m", tmp_path / "m.safetensors", "-o", tmp_path / "o")
    with pytest.raises(SystemExit) as ended:
        main([*map(str, command), "--bit-depth", "float", "--backend", "torch"])
    assert (ended.value.code, capsys.readouterr().err) == (0, "")
    stems = [soundfile.read(tmp_path / f"o/song/{stem}.wav", always_2d=True)[0] for stem in TWO.sources]
    np.testing.assert_allclose(sum(stems), song, atol=1e-5)
