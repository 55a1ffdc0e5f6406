"""What all built-in augmentations promise."""

import subprocess
import sys
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.augmentations.mp3 import MP3
from sepkit.augmentations.stems import LimitedAugmentation
from sepkit.builtin import sepkit_augmentations

ALL = sepkit_augmentations()
LIMITED = [cls for cls in ALL if issubclass(cls, LimitedAugmentation) and cls.limits]
every_augmentation = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.registered_name())


@st.composite
def chunks(draw):
    """A rate in Hz, and three stems of noise, perhaps silent, perhaps far above full scale."""
    rate, channels = draw(st.sampled_from([8000, 22050, 44100])), draw(st.integers(1, 2))
    frames = draw(st.one_of(st.integers(1, 50), st.integers(51, 12_000)))
    level = draw(st.sampled_from([0.0, 1e-5, 0.1, 3.0]))
    noise = np.random.default_rng(draw(st.integers(0, 100))).standard_normal((3, channels, frames))
    noise[draw(st.integers(0, 2))] = 0
    return rate, (level * noise).astype(np.float32)


@every_augmentation
@settings(max_examples=25, deadline=None)
@given(chunk=chunks(), seed=st.integers(0, 2**32))
def test_shape_type_inputs_mixture_and_randomness(cls, chunk, seed):
    rate, stems = chunk
    mixture = stems.sum(0)
    before, mixture_before = stems.copy(), mixture.copy()
    augment = cls().build(AudioSpec(rate, stems.shape[1], ("a", "b")))
    changed, mixed = augment(stems, mixture, np.random.default_rng(seed))
    np.testing.assert_array_equal(stems, before)
    np.testing.assert_array_equal(mixture, mixture_before)
    assert changed.dtype == mixed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.isfinite(mixed).all()
    if cls().stretch == 1:
        assert changed.shape == stems.shape
    assert changed.shape[:2] == stems.shape[:2]
    assert changed.shape[-1] >= stems.shape[-1] / cls().stretch
    assert mixed.shape == changed.shape[1:]
    if cls is not MP3:
        np.testing.assert_allclose(mixed, changed.sum(0), atol=1e-5 * max(1, np.abs(changed).max()))
    again, mixed_again = augment(stems, mixture, np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(mixed, mixed_again)


@every_augmentation
def test_other_random_numbers_give_another_chunk(cls):
    stems = np.random.default_rng(0).standard_normal((3, 2, 4000)).astype(np.float32)
    augment = cls().build(AudioSpec(44100, 2, ("a", "b")))
    mixtures = {augment(stems, stems.sum(0), np.random.default_rng(seed))[1].tobytes() for seed in range(20)}
    assert len(mixtures) > 3


@every_augmentation
def test_silence_stays_silent(cls):
    stems = np.zeros((3, 2, 5001), np.float32)
    changed, mixed = cls().build(AudioSpec(22050, 2, ("a", "b")))(stems, stems.sum(0), np.random.default_rng(0))
    assert not changed.any()
    assert np.abs(mixed).max() < 1e-6


@pytest.mark.parametrize("cls", LIMITED, ids=lambda cls: cls.registered_name())
def test_limits_must_be_ordered(cls):
    low, high = cls.limits
    swapped = {low: getattr(cls(), high), high: getattr(cls(), low)}
    with pytest.raises(ValueError, match=f"{low} must not exceed {high}"):
        cls(**swapped)
    cls(**{low: swapped[low], high: swapped[low]})


@pytest.mark.parametrize("frames", [1, 999, 88_200])
@pytest.mark.parametrize("cls", [cls for cls in ALL if cls().stretch > 1], ids=lambda cls: cls.registered_name())
def test_a_chunk_that_was_read_longer_by_the_stretch_is_long_enough(cls, frames):
    longer = ceil(frames * cls().stretch)
    stems = np.zeros((1, 1, longer), np.float32)
    fastest = cls(**{cls.limits[0]: getattr(cls(), cls.limits[1])})
    changed, _ = fastest.build(AudioSpec(22050))(stems, stems[0], np.random.default_rng(0))
    assert changed.shape[-1] >= frames


def test_settings_load_no_heavy_package():
    code = (
        "from sepkit.builtin import sepkit_augmentations as s; import sys; [c() for c in s()]; "
        "print({'numpy', 'torch', 'torchaudio', 'soundfile'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
