"""Many songs on many machines: planned here, in their order, and separated there. Songs that fail are reported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.separation import Separator
from sepkit.songs.batch import BatchEvents, BatchResult, SongResult, pipeline_of
from sepkit.songs.inputs import InputSong, find_songs
from sepkit.songs.pipeline import Pipeline, Plan, SeparationOptions
from sepkit.songs.work_folder import WorkFolder
from sepkit_ray.workers import Workers

log = logging.getLogger("sepkit.ray")


def separate_files(
    separator: Separator,
    decoder: Decoder,
    inputs: Sequence[Path],
    options: SeparationOptions,
    events: BatchEvents,
    workers: Workers,
) -> BatchResult:
    """Separate songs: files, and those in folders. The separator plans, and never runs its network.

    Planning in one place and in the order of the songs gives the names, and the refusals, of a run on one machine.

    Raises:
        AudioError, ConfigError: see `sepkit.songs.batch.separate_files`.
        SepkitError: no worker is left.
    """
    songs = find_songs(inputs)
    pipeline = pipeline_of(separator, decoder, songs, inputs, options)
    events.found(len(songs))
    with WorkFolder(options.output.root):  # so that `root` is there as long as some worker may need it
        results = _Run(pipeline, events).all(songs, workers)
        with WorkFolder(options.output.root):  # removes what killed workers have left
            return results


@dataclass(slots=True)
class _Run:
    pipeline: Pipeline
    events: BatchEvents
    done: dict[InputSong, SongResult] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)

    def all(self, songs: Sequence[InputSong], workers: Workers) -> BatchResult:
        for plan, answer in workers.separate(self._plans(songs)):
            for text in answer.warnings:
                log.warning("%s", text)
            self._note(plan.song, answer.result)
        return BatchResult([self.done[song] for song in songs if song in self.done], self.left_out)

    def _plans(self, songs: Sequence[InputSong]) -> Iterator[Plan]:
        """Yield the plans of songs to separate; note the results of all others."""
        for song in songs:
            try:
                plan = self.pipeline.plan(song)
            except Exception as error:  # noqa: BLE001  whatever one song does, the next one is done
                self._note(song, SongResult.failed(song, error))
                continue
            if plan.action == "leave out":
                self.left_out.append(song.path)
            elif plan.action == "skip":
                self._note(song, SongResult(song.path, plan.skipped))
            else:
                yield plan

    def _note(self, song: InputSong, result: SongResult) -> None:
        self.done[song] = result
        self.events.done(result)
