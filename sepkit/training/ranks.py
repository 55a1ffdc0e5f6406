"""The processes that train one network together, as `torchrun` starts them; one process alone is the usual case.

Each rank hears its share of every batch. Gradients are averaged by torch's DistributedDataParallel, over nccl on CUDA
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

# Listening to a new corpus, or scoring long songs, lets the other ranks wait.
TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of `count` processes the present one is, and where it computes."""

    device: torch.device
    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this rank writes and speaks."""
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
        """Give all ranks what the leading one has, in place."""
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
        """Let one rank of each machine go first, and the others find in its caches what it found out."""
        if self.count > 1 and not _is_first_here():
            distributed.barrier()
        try:
            yield
        finally:  # an error too: the others run into it themselves, instead of waiting
            if self.count > 1 and _is_first_here():
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
    # torchrun keeps its store when it starts the ranks again, with the addresses of those that died.
    store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    card = device if device.type == "cuda" else None
    distributed.init_process_group(backend, store=store, rank=number, world_size=count, timeout=TIMEOUT, device_id=card)
    # After an error the process ends as it is: leaving the group would wait for ranks that wait for this one.
    yield Ranks(device, number, count)
    gc.collect()  # what still holds the group would end its threads too late, and abort the process
    distributed.barrier()
    distributed.destroy_process_group()


def check_shares(batch_size: int, parts: int) -> None:
    """Raise ConfigError unless a batch can be divided over the ranks, and there into `parts`."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if batch_size % (ranks * parts):
        processes = f"{ranks} processes, and there over " if ranks > 1 else ""
        raise ConfigError(
            f"train.batch_size = {batch_size} cannot be divided over {processes}{parts} parts (train.accumulate); "
            f"take a multiple of {ranks * parts}"
        )


def launch() -> str:
    """Return what tells this launch of torchrun from others, and is the same when it starts its ranks again; "" if
    there is none.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{platform.node()}-{os.getppid()}" if name == "none" else name


def may_restart() -> bool:
    """Return whether torchrun would start this process again after a failure."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


def _is_first_here() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0"
