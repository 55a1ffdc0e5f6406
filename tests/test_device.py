"""Devices and precisions, as far as a machine without a GPU can tell."""

import pytest
import torch

from sepkit import device as devices
from sepkit.errors import ConfigError
from sepkit.precision import Precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_takes_what_is_there_and_another_name_says_what_is():
    assert devices.choose("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match='device "tpu" is not available here; available: .*cpu'):
        devices.choose("tpu")


@pytest.mark.parametrize(
    ("setting", "device", "capabilities", "dtype"),
    [
        ("auto", CUDA, {}, torch.float16),
        ("auto", CPU, {"amx_bf16": True}, torch.bfloat16),
        ("auto", CPU, {"avx512_bf16": True}, torch.bfloat16),
        ("auto", CPU, {"amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ("auto", torch.device("mps"), {"amx_bf16": True}, torch.float32),
        ("fp32", CUDA, {}, torch.float32),
        ("bf16", CPU, {}, torch.bfloat16),
    ],
)
def test_precision_follows_the_device(monkeypatch, setting, device, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert Precision.of(setting, device).dtype == dtype


def test_only_fp16_scales_gradients():
    assert not Precision.of("fp32", CPU).scaler().is_enabled()
    assert not Precision.of("bf16", CPU).scaler().is_enabled()
