"""Writing: exact quantisation, and files that are complete or not there."""

import numpy as np
import pytest
import soundfile

from sepkit.audio.write import write_wav
from sepkit.errors import AudioError

SAMPLES = np.random.default_rng(0).uniform(-1, 1, (2, 3000)).astype(np.float32)


@pytest.mark.parametrize(("depth", "step"), [("16", 2**-16), ("24", 2**-24), ("float", 0.0)])
def test_samples_come_back_within_half_a_step(tmp_path, depth, step):
    path = tmp_path / "deep" / "er" / "a.wav"
    write_wav(path, SAMPLES, 22050, depth)
    back, rate = soundfile.read(path)
    assert rate == 22050
    assert np.abs(back.T.clip(-1, 1) - SAMPLES).max() <= step + 2**-15 * (np.abs(SAMPLES).max() > 1 - 2**-15) + 1e-9
    assert [p.name for p in path.parent.iterdir()] == ["a.wav"]


def test_16_bit_samples_pass_unchanged(tmp_path):
    steps = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "in.wav", steps, 8000)
    write_wav(tmp_path / "out.wav", soundfile.read(tmp_path / "in.wav", dtype="float32")[0][None], 8000)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav", dtype="int16")[0], steps)


def test_a_folder_that_is_a_file_is_an_audio_error(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(AudioError, match="cannot be written"):
        write_wav(tmp_path / "f" / "a.wav", SAMPLES, 8000)
