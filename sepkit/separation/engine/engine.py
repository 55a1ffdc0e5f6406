"""A network ready to run: chunks in, estimates out, on whatever device, in whatever backend, for any channel count."""

import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from sepkit.device import Precision
from sepkit.errors import AudioError
from sepkit.separation.engine.memory import exhausted, free_batch
from sepkit.separation.overlap_add import Chunking, overlap_add

log = logging.getLogger(__name__)

# More threads of chunks would take more memory than they save time.
MOST_THREADS = 4
# Halvings of a chunk after which memory counts as exhausted: shorter ones would hear too little of the song.
MOST_HALVINGS = 4


@dataclass(frozen=True, slots=True)
class Extent:
    """What passes the network at once: examples together, and how often each chunk is halved.

    An example is what the network takes as one: a chunk, or a channel of it.
    """

    batch: int = 1
    halvings: int = 0


@dataclass
class Engine:
    """A network on a device, and the rate and channels that it hears."""

    network: nn.Module
    device: torch.device
    sample_rate: int
    channels: int
    chunking: Chunking
    _extent: Extent = field(default=Extent(), init=False)
    _measured: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def threads(self) -> int:
        """How many chunks to compute at the same time.

        On a CPU each core works on a chunk of its own: the many small steps of a recurrent layer, shared between
        cores, would have each wait for the other at each step.
        """
        return min(torch.get_num_threads(), MOST_THREADS) if self.device.type == "cpu" else 1

    def batch(self, channels: int) -> int:
        """Return how many chunks of a song of `channels` to hand over at once: on a GPU what its memory holds."""
        if self.device.type == "cuda" and not self._measured:
            self._measured = True
            one = torch.zeros(1, channels, self.chunking.chunk)
            count = free_batch(lambda: self(one), self.device)
            if self._extent == Extent():  # one did fit
                self._extent = Extent(count)
        return self._extent.batch

    def __call__(self, chunks: Tensor) -> Tensor:
        """Return estimates [batch, source, channel, chunk] of chunks [batch, channel, chunk], on the CPU in float32.

        Where memory does not suffice, fewer and then shorter chunks pass the network at once, and at last the CPU
        computes. It says so, and stays with it.

        Raises:
            AudioError: even then memory does not suffice.
        """
        while True:
            extent, device = self._extent, self.device
            try:
                return self._whole_or_halved(chunks, extent)
            except Exception as error:
                if not exhausted(error):
                    raise
            with self._lock:
                if (extent, device) == (self._extent, self.device):  # else another thread has met it, too
                    self._retreat()

    def _retreat(self) -> None:
        extent = self._extent
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if extent.batch > 1:
            self._extent = replace(extent, batch=extent.batch // 2)
            log.warning("memory exhausted: going on with %d at once", self._extent.batch)
        elif extent.halvings < MOST_HALVINGS:
            self._extent = replace(extent, halvings=extent.halvings + 1)
            seconds = self.chunking.chunk / self.sample_rate / 2**self._extent.halvings
            log.warning("memory exhausted: going on with chunks of %.2g s", seconds)
        elif self.device.type != "cpu":
            log.warning("memory of %s exhausted: going on on the CPU", self.device)
            self.network.to("cpu")
            self.device, self._extent = torch.device("cpu"), Extent()
        else:
            raise AudioError(
                "memory exhausted, even with the shortest chunks; close other programs, or take a smaller model"
            )

    def _whole_or_halved(self, chunks: Tensor, extent: Extent) -> Tensor:
        if not extent.halvings:
            return self._run(chunks, extent.batch)
        parts = 2**extent.halvings
        shorter = Chunking(-(-self.chunking.chunk // parts), self.chunking.overlap // parts)
        run = [overlap_add(lambda piece: self._run(piece[None], extent.batch)[0], chunk, shorter) for chunk in chunks]
        return torch.stack(run)

    def _run(self, chunks: Tensor, batch: int) -> Tensor:
        hears = chunks.shape[1] == self.channels
        # One channel at a time keeps the stereo image of a model that hears fewer or more channels.
        heard = chunks if hears else chunks.flatten(0, 1)[:, None].expand(-1, self.channels, -1)
        with torch.inference_mode(), self._precision():
            parts = [self._on_cpu(self.network(self._on_device(x)).float()) for x in heard.split(batch)]
            estimates = parts[0] if len(parts) == 1 else torch.cat(parts)
        return estimates if hears else estimates.mean(2).unflatten(0, chunks.shape[:2]).transpose(1, 2)

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
