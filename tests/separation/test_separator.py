"""The separator as Python users call it."""

import numpy as np
import pytest
import soundfile
import torch

from sepkit.errors import AudioError, ConfigError
from sepkit.separation import Separator


@pytest.mark.parametrize("band", ["full", "model"])
@pytest.mark.parametrize(
    ("rate", "channels", "time"), [(8000, 1, 1), (8000, 2, 4001), (44100, 2, 9999), (192000, 1, 5000)]
)
def test_stems_have_the_shape_of_the_mixture_and_add_up_to_it(small_model, band, rate, channels, time):
    separator = Separator.load(small_model, device="cpu", band=band)
    mixture = torch.randn(channels, time) * 0.1
    stems = separator(mixture, rate)
    assert list(stems) == ["vocals", "accompaniment"]
    assert all(stem.shape == mixture.shape for stem in stems.values())
    torch.testing.assert_close(sum(stems.values()), mixture, atol=1e-6, rtol=0)


def test_tensors_give_tensors_and_arrays_arrays_of_the_same_samples(small_model):
    separator = Separator.load(small_model)
    tensor = torch.rand(2, 3000, dtype=torch.float64) - 0.5
    tensors, arrays = separator(tensor, 8000), separator(tensor.numpy(), 8000)
    (block,), (streamed,) = separator.stream([tensor], 8000), separator.stream([tensor.numpy()], 8000)
    for stem in separator.stems:
        assert isinstance(tensors[stem], torch.Tensor)
        assert isinstance(arrays[stem], np.ndarray)
        assert isinstance(block[stem], torch.Tensor)
        assert (tensors[stem].dtype, arrays[stem].dtype) == (torch.float32, np.float32)
        for other in (tensors[stem], block[stem], streamed[stem]):
            np.testing.assert_array_equal(arrays[stem], other)


def test_digital_silence_gives_silence(small_model):
    separator = Separator.load(small_model)
    assert not any(stem.any() for stem in separator(torch.zeros(2, 3000), 44100).values())


def test_both_bands_agree_at_the_rate_of_the_model(small_model):
    mixture = torch.randn(1, 8000) * 0.1
    full, model = (Separator.load(small_model, band=b)(mixture, 8000) for b in ("full", "model"))
    torch.testing.assert_close(full["vocals"], model["vocals"])


def test_chunks_agree_with_one_pass_over_the_whole_song(trained):
    """Away from the borders of a chunk, its little extra context is all that a longer pass knows more."""
    separator = Separator.load(trained / "best_model.safetensors", band="model")
    mixture = torch.randn(1, 8000 * 30) * 0.1
    chunked = separator(mixture, 8000)["vocals"]
    with torch.no_grad():
        whole = separator.model.network()(mixture[None])[0, 0]
    error = (chunked - whole).square().mean() / whole.square().mean()
    assert 10 * torch.log10(error) < -30


def test_a_hard_panned_song_stays_hard_panned(small_model):
    mixture = torch.zeros(2, 8000)
    mixture[0] = torch.randn(8000) * 0.1
    for band in ("full", "model"):
        stems = Separator.load(small_model, band=band)(mixture, 8000)
        assert stems["vocals"][0].abs().max() > 0
        assert not stems["vocals"][1].any()


def test_separate_file_writes_what_calling_returns(small_model, songs, tmp_path):
    separator = Separator.load(small_model)
    song = songs / "one" / "mixture.wav"
    written = separator.separate_file(song, tmp_path / "out", bit_depth="float")
    mixture, rate = soundfile.read(song, dtype="float32")
    stems = separator(torch.from_numpy(np.ascontiguousarray(mixture.T)), rate)
    assert written.files == {s: tmp_path / "out" / "mixture" / f"{s}.wav" for s in ("vocals", "accompaniment")}
    for stem, file in written.files.items():
        np.testing.assert_array_equal(soundfile.read(file, dtype="float32")[0].T, stems[stem].numpy())


def test_the_residual_is_named_or_left_out_or_refused(small_model):
    path = small_model
    assert Separator.load(path, residual="karaoke").stems == ("vocals", "karaoke")
    assert Separator.load(path, residual="").stems == ("vocals",)
    for name in ("vocals", "../../x", "mixture"):
        with pytest.raises(ConfigError, match=name):
            Separator.load(path, residual=name)


def test_a_failed_write_leaves_nothing(small_model, songs, tmp_path, monkeypatch):
    separator = Separator.load(small_model)
    calls = []

    def full_disk(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(*args, **kwargs)

    original = soundfile.SoundFile.write
    monkeypatch.setattr(soundfile.SoundFile, "write", full_disk)
    with pytest.raises(AudioError, match=r"mixture/\w+\.wav: cannot be written .*No space left"):
        separator.separate_file(songs / "one" / "mixture.wav", tmp_path / "out")
    assert not (tmp_path / "out").exists()
