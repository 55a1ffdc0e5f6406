"""Many songs on many machines: planned here, in their order, and separated there; a bad one is reported, and the next
one is done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.separation import Separator
from sepkit.songs.batch import Result, Results, Watcher, failed, job_of
from sepkit.songs.inputs import Song
from sepkit.songs.job import Job, Plan, Wish
from sepkit.songs.work_folder import WorkFolder
from sepkit_ray.workers import Workers

log = logging.getLogger("sepkit.ray")


def separate_files(
    separator: Separator, decoder: Decoder, inputs: Sequence[Path], wish: Wish, watcher: Watcher, workers: Workers
) -> Results:
    """Separate songs, files and those in folders, as wished. The separator plans, and never runs its network.

    Planning in one place and in the order of the songs gives the names, and the refusals, of a run on one machine.

    Raises:
        AudioError, ConfigError: see `sepkit.songs.batch.separate_files`.
        SepkitError: no worker is left.
    """
    job, songs = job_of(separator, decoder, inputs, wish)
    watcher.found(len(songs))
    with WorkFolder(wish.output.root):  # so that `root` is there as long as some worker may need it
        results = _Run(job, watcher).all(songs, workers)
        with WorkFolder(wish.output.root):  # removes what killed workers have left
            return results


@dataclass(slots=True)
class _Run:
    job: Job
    watcher: Watcher
    done: dict[Song, Result] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)

    def all(self, songs: Sequence[Song], workers: Workers) -> Results:
        for plan, answer in workers.separate(self._plans(songs)):
            for text in answer.warnings:
                log.warning("%s", text)
            self._note(plan.song, answer.result)
        return Results([self.done[song] for song in songs if song in self.done], self.left_out)

    def _plans(self, songs: Sequence[Song]) -> Iterator[Plan]:
        """Yield what is to be done; note what is done already, or cannot be."""
        for song in songs:
            try:
                plan = self.job.plan(song)
            except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
                self._note(song, failed(song, error))
                continue
            if plan.action == "leave out":
                self.left_out.append(song.path)
            elif plan.action == "skip":
                self._note(song, Result(song.path, plan.skipped))
            else:
                yield plan

    def _note(self, song: Song, result: Result) -> None:
        self.done[song] = result
        self.watcher.done(result)
