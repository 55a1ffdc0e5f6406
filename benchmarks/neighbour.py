"""Training steps alone and beside another process: what OpenMP's way of waiting for other threads costs.

Each setting of the environment takes ten steps of `configs/tiny-cpu.toml`, and of the default network in batches of 4,
in a process of its own that loads no data: alone, and beside a process that spins on one core. The settings take turns,
in `--rounds` rounds. The medians are printed as chunks a second, with the processor seconds that a step took: waits
that spin show there even on a machine that is busy otherwise.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

STEPS, WARM_UP = 10, 2
TINY = Path(__file__).parent.parent / "configs" / "tiny-cpu.toml"
SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
NETWORKS = {"tiny": (str(TINY), 8), "default": ("", 4)}


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    found: dict[tuple[str, str, bool], list[list[float]]] = {}
    for number in range(rounds):
        for network in NETWORKS:
            for name, setting in SETTINGS.items():
                for beside in (False, True):
                    with _neighbour(spinning=beside):
                        found.setdefault((network, name, beside), []).append(_measured(network, setting))
        print(f"round {number + 1} of {rounds}; load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(f"{'':32}{'alone':>26}{'beside a spinning process':>30}")
    for network in NETWORKS:
        for name in SETTINGS:
            rows = [found[network, name, beside] for beside in (False, True)]
            texts = [
                f"{median(speed for speed, _ in row):8.1f} chunks/s {median(cpu for _, cpu in row):6.2f} s CPU"
                for row in rows
            ]
            print(f"{network:8}{name:24}{texts[0]:>26}{texts[1]:>30}")


def _measured(network: str, setting: dict[str, str]) -> list[float]:
    """Chunks a second, and processor seconds of a step."""
    unset = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "KMP_BLOCKTIME")
    environment = {key: value for key, value in os.environ.items() if key not in unset} | setting
    command = [sys.executable, __file__, network]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    values: list[float] = json.loads(out)
    return values


@contextmanager
def _neighbour(*, spinning: bool) -> Iterator[None]:
    if not spinning:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def take_steps(network: str) -> None:
    """Print the figures of one process."""
    import torch

    from sepkit import config as configs
    from sepkit.precision import flushing_denormals
    from sepkit.training.learner import Learner
    from sepkit.training.ranks import Ranks

    path, batch = NETWORKS[network]
    config = configs.load(Path(path) if path else None)
    torch.manual_seed(0)
    learner = Learner(config, config.model.build(config.audio), STEPS, Ranks(torch.device("cpu")))
    frames = round(config.train.chunk_seconds * config.audio.sample_rate)
    mixture = 0.1 * torch.randn(batch, config.audio.channels, frames)
    present = torch.ones(batch, 1, dtype=torch.bool)
    chunks = {
        "mixture": mixture, "targets": 0.5 * mixture[:, None], "present": present, "present_everywhere": present,
        "tracks": [],
    }  # fmt: skip
    with flushing_denormals():
        for number in range(WARM_UP + STEPS):
            if number == WARM_UP:
                started, computed = perf_counter(), process_time()
            learner.take_step(chunks)  # type: ignore[arg-type]
    seconds, processor = perf_counter() - started, process_time() - computed
    print(json.dumps([batch * STEPS / seconds, processor / STEPS]))


if __name__ == "__main__":
    main() if sys.argv[1:2] in ([], ["--rounds"]) else take_steps(sys.argv[1])
