"""Transposed convolutions as plain ones: the same results."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sepkit.export.phases import PhasedConvTranspose2d, in_phases


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3)), st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)), st.booleans(),
)  # fmt: skip
def test_the_same_results_for_any_stride_padding_and_size(stride, padding, size, bias):
    kernel = tuple(s + 2 * p for s, p in zip(stride, padding, strict=True))
    transposed = nn.ConvTranspose2d(3, 2, kernel, stride, padding, bias=bias).eval()
    both, x = nn.Sequential(transposed), torch.randn(2, 3, *size)
    expected = transposed(x)
    in_phases(both)
    assert isinstance(both[0], PhasedConvTranspose2d)
    torch.testing.assert_close(both(x), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape[2:] == (size[0] * stride[0], size[1] * stride[1])


@pytest.mark.parametrize(
    "other",
    [
        nn.ConvTranspose2d(2, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 4, 2, 1, groups=2), nn.Conv2d(2, 2, 3),
        nn.ConvTranspose2d(2, 2, 4, 2, 1, dilation=2), nn.ConvTranspose2d(2, 2, 3, 3, 1, output_padding=2),
    ],
)  # fmt: skip
def test_what_it_does_not_know_stays(other):
    parent = nn.Sequential(other)
    in_phases(parent)
    assert parent[0] is other
