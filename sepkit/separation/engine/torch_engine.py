"""Run a whole network in PyTorch, on any device."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from sepkit.arrays import Samples
from sepkit.precision import Precision, threads
from sepkit.separation.engine.engine import MOST_HALVINGS, MOST_THREADS, Engine, Extent
from sepkit.separation.engine.folding import fold
from sepkit.separation.engine.memory import MOST_CHUNKS
from sepkit.separation.overlap_add import Chunking

log = logging.getLogger(__name__)

# Share of the free memory of a GPU that chunks may take.
_SHARE = 0.7


class TorchEngine(Engine):
    """A network on a device; it moves to the CPU if the device's memory does not suffice."""

    def __init__(
        self, network: nn.Module, device: torch.device, sample_rate: int, channels: int, chunking: Chunking
    ) -> None:
        """`network` is in evaluation mode, and the engine's own."""
        super().__init__(sample_rate, channels, chunking)
        fold(network)
        self.network = network.to(device)
        self.device = device
        self._measured = False

    @property
    def threads(self) -> int:
        """The number of chunks to compute at the same time.

        On a CPU each core works on a chunk of its own: the many small steps of a recurrent layer, shared between
        cores, would have each wait for the other at each step.
        """
        return min(torch.get_num_threads(), MOST_THREADS) if self.device.type == "cpu" else 1

    def batch(self, channels: int) -> int:
        """Return the number of chunks of `channels` for one call: on a GPU as many as its memory holds."""
        if self.device.type == "cuda" and not self._measured:
            self._measured = True
            count = self._fitting(torch.zeros(1, channels, self.chunking.chunk).numpy())
            if self._extent == Extent():  # one did fit
                self._extent = Extent(count)
        return self._extent.batch

    def computing(self) -> AbstractContextManager[None]:
        """Share the cores between the calls."""
        return threads(max(1, torch.get_num_threads() // self.threads))

    def _fitting(self, one: Samples) -> int:
        """Return the number of chunks that fit into the memory of a GPU, by measuring one."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        self(one)
        taken = max(1, torch.cuda.max_memory_allocated(self.device) - before)
        torch.cuda.empty_cache()
        return max(1, min(MOST_CHUNKS, int(_SHARE * torch.cuda.mem_get_info(self.device)[0] / taken)))

    def _place(self) -> object:
        return self._extent, self.device

    def _retreat(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.device.type != "cpu" and self._extent == Extent(1, MOST_HALVINGS):
            log.warning("memory of %s exhausted: going on on the CPU", self.device)
            self.network.to("cpu")
            self.device, self._extent = torch.device("cpu"), Extent()
        else:
            super()._retreat()

    def _run(self, inputs: Samples) -> Samples:
        with torch.inference_mode(), self._precision():
            estimates = self.network(self._on_device(torch.from_numpy(inputs))).float()
            return self._on_cpu(estimates).numpy()

    def _precision(self) -> AbstractContextManager[None]:
        return Precision("cuda", torch.float16).autocast() if self.device.type == "cuda" else nullcontext()

    def _on_device(self, samples: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return samples.to(self.device)
        return samples.contiguous().pin_memory().to(self.device, non_blocking=True)

    def _on_cpu(self, estimates: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return estimates.cpu()
        host = torch.empty(estimates.shape, pin_memory=True)
        host.copy_(estimates)
        return host
