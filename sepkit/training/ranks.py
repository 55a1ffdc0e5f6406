"""The processes that train one network together, as `torchrun` starts them; one process alone is the usual case.

Each rank computes its part of every batch. Gradients are averaged by torch's DistributedDataParallel, over nccl on CUDA
and gloo on the CPU, and sums of losses and counts are taken over all ranks, so that every rank comes to the same
decisions. Only rank 0 writes.
"""

import gc
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from sepkit.errors import ConfigError

# While one rank scans a new corpus or scores long songs, the others wait.
TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The number of the present process among `count`, and the device on which it computes."""

    device: torch.device
    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """True for the rank that writes and prints."""
        return self.number == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """Return the network with gradients averaged over the ranks."""
        if self.count == 1:
            return network
        return DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)

    def with_shared_statistics(self, network: nn.Module) -> nn.Module:
        """Return the network with batch statistics taken over all ranks, which torch does on CUDA only."""
        if self.count == 1 or self.device.type != "cuda":
            return network
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return shared

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the ranks."""
        if self.count == 1:
            return values
        summed = values.to(self.device)
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """Return the largest of each number over the ranks."""
        if self.count == 1:
            return numbers
        values = torch.tensor(numbers, dtype=torch.int32, device=self.device)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return tuple(values.tolist())

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace the tensors of all ranks by those of the leading one, in place."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def gathered(self, values: Tensor) -> Tensor:
        """Return `values` of all ranks, one after the other in a new first dimension."""
        if self.count == 1:
            return values[None]
        mine = values.to(self.device)
        rows = [torch.empty_like(mine) for _ in range(self.count)]
        distributed.all_gather(rows, mine)
        return torch.stack(rows).to(values.device)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one rank of each machine go first, so that the others find its facts in the cache."""
        first_here = os.environ.get("LOCAL_RANK", "0") == "0"
        if self.count > 1 and not first_here:
            distributed.barrier()
        try:
            yield
        finally:  # after an error as well: the others meet it themselves, instead of waiting
            if self.count > 1 and first_here:
                distributed.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other processes that `torchrun` has started, if there are any, and leave them at the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    store, number, count = next(rendezvous("env://", timeout=TIMEOUT))
    # torchrun keeps its store when it restarts the ranks, with the addresses of those that died.
    store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    card = device if device.type == "cuda" else None
    distributed.init_process_group(backend, store=store, rank=number, world_size=count, timeout=TIMEOUT, device_id=card)
    # After an error the process ends as it is: leaving the group would wait for ranks that wait for this one.
    yield Ranks(device, number, count)
    gc.collect()  # objects that still hold the group would end its threads too late, and abort the process
    distributed.barrier()
    distributed.destroy_process_group()


def check_batch_size(batch_size: int, parts: int) -> None:
    """Raise ConfigError unless a batch can be divided over the ranks, and there into `parts`."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if batch_size % (ranks * parts):
        processes = f"{ranks} processes, and there over " if ranks > 1 else ""
        raise ConfigError(
            f"train.batch_size = {batch_size} cannot be divided over {processes}{parts} parts (train.accumulate); "
            f"take a multiple of {ranks * parts}"
        )


def launch() -> str:
    """Return a name of this launch of torchrun, the same after it has restarted its ranks; "" if there is none."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{platform.node()}-{os.getppid()}" if name == "none" else name


def may_restart() -> bool:
    """Return True if torchrun would restart this process after a failure."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0
