"""Devices and precisions, as far as a machine without a GPU can tell."""

import os
import subprocess
import sys
from pathlib import Path

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
    ("platform", "machine", "files", "found"),
    [
        ("linux", "x86_64", [], False),
        ("linux", "x86_64", ["libcuda.so.1"], True),
        ("linux", "x86_64", ["/dev/kfd"], True),
        ("win32", "AMD64", [], False),
        ("win32", "AMD64", ["nvcuda.dll"], True),
        ("darwin", "arm64", [], True),
        ("darwin", "x86_64", [], False),
    ],
)
def test_a_gpu_shows_before_pytorch_is_imported(monkeypatch, platform, machine, files, found):
    def load(name):
        if name not in files:
            raise OSError(f"{name}: cannot open shared object file")
        return object()

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr(Path, "exists", lambda path: str(path) in files)
    assert devices.may_have_gpu() == found


@pytest.mark.parametrize(
    ("asked", "threads"), [("3", 3), ("1", 1), ("0", None), ("-1", None), ("", None), ("4,2", None), ("x", None)]
)
def test_threads_are_those_of_openmp_or_one_a_core(monkeypatch, asked, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert devices.cpu_threads() == (threads or len(os.sched_getaffinity(0)))


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


def test_row_41_threads_sleep_while_they_wait_before_pytorch_reads_how_they_shall():
    """Unless the environment says another way."""
    code = (
        "import os, sys\n"
        "from sepkit.cli import main\n"
        "for other in ('GOMP_SPINCOUNT', 'KMP_BLOCKTIME', None):\n"
        "    os.environ.update({other: '9'} if other else {})\n"
        "    try: main(['--help'])\n"
        "    except SystemExit: print('policy', os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)\n"
        "    os.environ.pop(other or '', None)\n"
    )
    named = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    environment = {name: value for name, value in os.environ.items() if name not in named}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.startswith("policy")]
    assert said == ["policy None False", "policy None False", "policy PASSIVE False"]
