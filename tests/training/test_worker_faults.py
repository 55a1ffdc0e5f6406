"""Faults between the processes that load and the loop: each ends the run with its reason, what was learned is saved."""

import os
import signal
import threading
from multiprocessing import active_children

import pytest

# An augmentation that gets into trouble at its seventh chunk, in the middle of an epoch.
PLUGIN = '''
import os, signal, time
from typing import Literal
from sepkit import AudioError, AudioSpec, AugmentationConfig, hookimpl

class Trouble(AugmentationConfig):
    """Nothing, and then what is asked for."""
    name: Literal["trouble"] = "trouble"
    fault: str

    def build(self, audio: AudioSpec):
        seen = []
        def trouble(stems, mixture, rng):
            seen.append(mixture.shape)
            if len(seen) == 7:
                if self.fault == "error":
                    raise AudioError("songs/a\\nb/mixture.wav: decoded 3 s of 4 s; fetch it again")
                if self.fault == "bug":
                    {}["key\\nof two lines"]
                if self.fault == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if self.fault == "leaves":
                    raise SystemExit("enough")
                if self.fault == "hangs":
                    os.kill(os.getppid(), signal.SIGUSR1)
                    time.sleep(1000)
            return stems, mixture
        return trouble

@hookimpl
def sepkit_augmentations():
    return [Trouble]
'''


@pytest.fixture
def train(sepkit, small_config, songs, tmp_path, install_plugin):
    """Train with an augmentation that gets into trouble."""
    install_plugin("sepkit-trouble", "trouble", "sepkit_trouble", PLUGIN)

    def train(kind, workers, *more):
        augmentations = f'augmentations=[{{name="trouble", fault="{kind}"}}]'
        return sepkit(
            "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--set", augmentations,
            "--set", f"train.workers={workers}", "--set", "train.steps_per_epoch=6", *more,
        )  # fmt: skip

    return train


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("error", ["songs/a b/mixture.wav: decoded 3 s of 4 s; fetch it again"]),
        ("bug", ["KeyError", "key", "of two lines", "--debug"]),
        ("killed", ["killed by SIGKILL", "memory", "--set train.workers=0", "state of step 3 is kept", "--resume"]),
        ("leaves", ["a worker process ended (exit code 1)", "--resume"]),
    ],
)
def test_row_32_a_fault_in_a_worker_ends_the_run_with_its_reason_and_what_was_learned_is_saved(
    train, tmp_path, kind, said
):
    done = train(kind, 1)
    assert done.code == 1
    error = next(line for line in done.err.splitlines() if line.startswith("Error:"))
    assert [text for text in said if text not in error] == []
    assert "Traceback" not in done.err
    assert not active_children()
    assert (tmp_path / "r" / "last_state.safetensors").exists()
    if kind == "killed":
        going_on = train("none", 0, "--resume", "--epochs", 1)
        assert going_on.code == 0, going_on.err
        assert "Resuming in epoch 1 after step 3" in going_on.err


def test_row_32_an_interrupt_ends_the_wait_for_a_worker_that_hangs(train, tmp_path, monkeypatch):
    """The worker tells when it hangs; a moment later, when the loop waits for it, Ctrl-C is pressed."""

    def press(number, frame):
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()

    before = signal.signal(signal.SIGUSR1, press)
    try:
        done = train("hangs", 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert done.code == 130
    assert "Stopped by SIGINT at step 3" in done.out
    assert not active_children()
    assert (tmp_path / "r" / "last_state.safetensors").exists()
