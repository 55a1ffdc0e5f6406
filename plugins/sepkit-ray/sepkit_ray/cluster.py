"""The cluster: how to reach it, and how many workers it has room for."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import ray

from sepkit.errors import ConfigError, SepkitError, reason
from sepkit_ray.worker import Setup, Worker
from sepkit_ray.workers import RETRIES, Workers

# Seconds that a cluster may take to accept a connection.
PATIENCE = 10.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to the cluster at `address`; empty: to that of $RAY_ADDRESS, else start one of this machine alone.

    Raises:
        SepkitError: there is none.
    """
    address = address or os.environ.get("RAY_ADDRESS", "")
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that starts here sends no reports
    with redirect_stdout(sys.stderr):  # Ray prints there what happens to its workers, and a report has it for itself
        try:
            ray.init(address or None, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _no_cluster(address or "the default address", error) from None
        try:
            yield
        finally:
            ray.shutdown()


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a machine that a worker gets: CPUs, which set its number of threads, and GPUs."""

    cpus: int
    gpus: int

    @classmethod
    def of(cls, cpus: int, device: str) -> Share:
        """Return the share for a device: a GPU each where the cluster has some and the device may be one."""
        wanted = device == "cuda" or (device == "auto" and _resources().get("GPU", 0) >= 1)
        return cls(cpus, int(wanted))

    @property
    def fitting(self) -> int:
        """Return the number of such shares in the cluster.

        Raises:
            ConfigError: not one.
        """
        there = _resources()
        wanted = {kind: each for kind, each in (("CPU", self.cpus), ("GPU", self.gpus)) if each}
        count = min(int(there.get(kind, 0) / each) for kind, each in wanted.items())
        if not count:
            asked = " and ".join(f"{each} {kind}" for kind, each in wanted.items())
            has = " and ".join(f"{there.get(kind, 0):g} {kind}" for kind in wanted)
            raise ConfigError(f"a worker takes {asked}, and the cluster has {has}")
        return count


def _check_answers(address: str) -> None:
    """Raise SepkitError if no server is at HOST:PORT, for which Ray would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> SepkitError:
    return SepkitError(f"no Ray cluster at {address} ({reason(error)}). Start one: ray start --head")


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def workers_of(setup: Setup, share: Share, count: int | None) -> Workers:
    """Return `count` workers; None: as many as fit."""
    fitting = share.fitting
    actor: Any = ray.remote(Worker).options(
        num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=-1, max_task_retries=RETRIES
    )  # fmt: skip
    return Workers(count or fitting, lambda: actor.remote(setup))
