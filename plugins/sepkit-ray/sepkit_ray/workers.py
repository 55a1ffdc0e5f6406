"""The workers of a cluster and the queue before them: a song waits until a worker is idle, and survives its death."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.exceptions import RayError

from sepkit.errors import SepkitError
from sepkit.songs.batch import SongResult
from sepkit.songs.pipeline import Plan
from sepkit_ray.worker import Answer

log = logging.getLogger("sepkit.ray")

# Times that a song is begun again after its worker has died. Then the song may be what kills it.
RETRIES = 2

Actor = Any
"""Ray's handle of a `Worker`."""


class Workers:
    """A number of workers, started when the first song comes. One that never starts, as where a cluster is full, never
    gets a song.
    """

    def __init__(self, count: int, start: Callable[[], Actor]) -> None:
        self._count = count
        self._start = start
        self._idle: list[Actor] = []
        self._calls: dict[Any, tuple[Actor, Plan | None]] = {}  # without a plan: will it be ready?
        self._trouble = ""

    def separate(self, plans: Iterable[Plan]) -> Iterator[tuple[Plan, Answer]]:
        """Yield each plan, and what became of it, in the order in which they are done.

        The next plan is made before there is a worker for it.

        Raises:
            SepkitError: no worker is left.
        """
        for number, plan in enumerate(plans):
            if number == 0:
                self._begin()
            while not self._idle:
                yield from self._next()
            worker = self._idle.pop()
            self._calls[worker.separate.remote(plan)] = worker, plan
        while any(plan for _, plan in self._calls.values()):
            yield from self._next()

    def _begin(self) -> None:
        for _ in range(self._count):
            self._ask(self._start())

    def _ask(self, worker: Actor) -> None:
        self._calls[worker.ready.remote()] = worker, None

    def _next(self) -> Iterator[tuple[Plan, Answer]]:
        """Wait for one call to end; yield its song if it had one."""
        if not self._calls:
            raise SepkitError(f"no worker is left: {self._trouble}")
        (call,), _ = ray.wait(list(self._calls))
        worker, plan = self._calls.pop(call)
        try:
            answer = ray.get(call)
        except RayError as error:
            self._trouble = str(error).strip().split("\n")[-1]
            if plan is None:
                log.warning("a worker does not start: %s", self._trouble)
                return
            self._ask(worker)
            yield plan, Answer(_lost(plan, self._trouble))
        else:
            self._idle.append(worker)
            if plan is not None:
                yield plan, answer


def _lost(plan: Plan, why: str) -> SongResult:
    path = plan.song.path
    return SongResult(path, None, f"{path}: given up after {1 + RETRIES} attempts, in each its worker died ({why})", 1)
