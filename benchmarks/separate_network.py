"""The mask network alone on the chunks of a minute, beside the machine's matrix products; a part of `separate.py`."""

from collections.abc import Callable, Iterator
from statistics import fmean, median

import numpy as np
import soundfile
import torch
from goals import Goal, print_table
from numpy.typing import NDArray
from separate_bench import RATE, Bench
from torch import Tensor
from turns import in_turn

from sepkit.checkpoints.info import describe
from sepkit.separation import Separator
from sepkit.separation.engine.onnx_engine import OnnxEngine
from sepkit.separation.engine.torch_engine import TorchEngine
from sepkit.separation.stream import in_order

MATRIX = 2048
BUDGET_GFLOP = 100.0


def network(bench: Bench, backends: tuple[str, ...]) -> Iterator[Goal]:
    """Measure the mask network alone on the chunks of a minute, beside the machine's matrix products."""
    before = _matrix_rate()
    minute = torch.from_numpy(soundfile.read(bench.song(1.0), dtype="float32")[0].T.copy())
    separators = {backend: Separator.load(bench.model, "cpu", backend=backend) for backend in backends}
    runs = {backend: _mask_network(separator, minute.numpy()) for backend, separator in separators.items()}
    times = in_turn({backend: run for backend, (run, _) in runs.items()}, 3 * bench.rounds)
    after = _matrix_rate()
    rate, minutes = fmean((before, after)), runs["onnx"][1]
    plain = float(describe(bench.model)["gflop_per_minute"])
    work = plain * minutes
    print(f"A minute: {plain:.1f} GFLOP, {work:.1f} with overlap. {MATRIX}³ matrix product: "
          f"{before:.0f} GFLOP/s before, {after:.0f} after.\n")  # fmt: skip
    rows = [
        (f"sepkit, {backend}", f"{median(t):.2f} s", f"{min(t):.2f} s",
         f"{work / median(t):.0f}", f"{work / median(t) / rate:.0%}")
        for backend, t in times.items()
    ]  # fmt: skip
    print_table(("mask network, 60 s of a song", "median", "least", "GFLOP/s", "of matrix products"), rows)
    limit = f"the time of {BUDGET_GFLOP:g} GFLOP"
    yield Goal(f"mask network, 60 s of a song: seconds, and {limit}", median(times["onnx"]), BUDGET_GFLOP / rate)


def _matrix_rate() -> float:
    """Return the GFLOP/s of a product of large matrices."""
    a, b = torch.rand(2, MATRIX, MATRIX)
    times = in_turn({"mm": lambda: torch.mm(a, b)}, 12)["mm"]
    return 2e-9 * MATRIX**3 / median(times[2:])


def _mask_network(separator: Separator, mixture: NDArray[np.float32]) -> tuple[Callable[[], None], float]:
    """Return a function that runs the mask network on all chunks, as the separator does, and their minutes."""
    engine = separator.engine(RATE, 2)
    spectra: list[NDArray[np.float32]] = []
    if isinstance(engine, OnnxEngine):
        mask = engine.masks
        engine.masks = lambda some: (spectra.append(some.copy()), mask(some))[1]  # type: ignore[assignment, func-returns-value]
        separator(mixture, RATE)
        engine.masks = mask
    else:
        assert isinstance(engine, TorchEngine)
        network = engine.network.get_submodule("mask_network")
        hook = network.register_forward_pre_hook(lambda _, given: spectra.append(given[0].numpy().copy()))
        separator(mixture, RATE)
        hook.remove()

        @torch.inference_mode()
        def mask(some: NDArray[np.float32]) -> Tensor:
            found: Tensor = network(torch.from_numpy(some))
            return found

    def run() -> None:
        with engine.computing():
            for _ in in_order(mask, spectra, engine.threads):
                pass

    frames = separator.settings.chunk_seconds / spectra[0].shape[-1]
    return run, sum(spectrum.shape[-1] for spectrum in spectra) * frames / 60
