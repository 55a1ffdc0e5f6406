"""Files that FFmpeg's libraries read, through PyAV: m4a, mp4, mkv, webm, wma and many more.

A file is handed over open, and only demuxers of files that hold their own sound are allowed, so that nothing else is
read: no playlist, no network address, no other file.

In a container that counts time in samples or finer, a frame's timestamp is its place. Matroska and ASF count
milliseconds: there frames follow each other, and only a large gap in the timestamps is one. Gaps become silence, as in
players.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.stream import Discard

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.audio.formats import LONGEST, READABLE
from sepkit.audio.pyav_frames import BrokenError, decoded, in_blocks, samples_of, silence
from sepkit.audio.sniff import container_of, looks
from sepkit.audio.source import UnreadableError, damaged, truncated
from sepkit.audio.tags import NO_TAGS, Tags, tags_of
from sepkit.errors import AudioError
from sepkit.track import AudioFile, Stream

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

# The demuxers and protocols that FFmpeg may use: no protocol at all.
_CLOSED = {
    "format_whitelist": "mov,matroska,asf,aac,ogg,mp3,flac,wav,aiff,caf,w64,au",
    "protocol_whitelist": "none",
}
# Bytes in which FFmpeg looks for the format of a file whose tags alone are read.
_HEAD = 2**14
# Containers whose length FFmpeg guesses from the bitrate of the first frames if they do not state it.
_GUESSING = {"aac", "mp3", "flac", "wav"}
_COUNTED = "mov,mp4,m4a,3gp,3g2,mj2"
"""The container that states the length of each stream in frames."""
# Codecs whose decoders skip to the next frame after other bytes, such as a tag: that is no damage.
_ROBUST = {"mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float"}
# The container whose timestamps FFmpeg guesses after a seek; they are wrong for FLAC.
_MISPLACED = "ogg"
# Codecs whose decoders spread rounding errors over all later samples: never sought in.
_DITHERED = {"mp1", "mp2"}
# Frames decoded before the wanted ones and thrown away, so that the state of the decoder is that of one that began at
# the start of the file: eight frames of AAC; for MPEG, whose frames borrow bits from earlier ones, more.
_PREROLL = 8192
_ROBUST_PREROLL = 32768
# Frames by which decoding may end before a stated length: a few codec frames.
_TOLERANCE = 8192
# Seconds by which timestamps in milliseconds may be off without a gap, and by which a length in them may be off.
_JITTER = 0.1
_INEXACT = 0.5
# Seconds beyond which a gap in the timestamps is damage.
_LONGEST_GAP = 3600


class PyAVSource:
    """An audio stream of a file that PyAV has opened, the first if `file` names none; see `Source`.

    With `seeks`, only the needed part of a file is decoded. That is exact but for codecs that make up noise (AAC's
    perceptual noise substitution): it differs from the noise after decoding from the start.

    Raises:
        UnreadableError: FFmpeg does not know the file.
        AudioError: the file has no such audio stream.
    """

    def __init__(self, file: AudioFile, frames: int | None = None, *, seeks: bool = False) -> None:
        self._named = file
        self._open()
        context = self._stream.codec_context
        self.sample_rate: int = context.sample_rate
        self.channels: int = context.channels
        self._ticks = Fraction(self._stream.time_base or 1) * self.sample_rate  # frames that one takes
        # AAC whose upper band is added by the decoder is counted at half of its rate.
        self._exact = self._ticks <= 2
        unsafe = context.name in _DITHERED or self._container.format.name == _MISPLACED
        self._seeks = seeks and self._exact and not unsafe
        self._robust = context.name in _ROBUST
        self._origin = (self._stream.start_time or 0) - self._lead
        self.frames: int | None = self._stated() if frames is None else frames
        self.silence = 0.0

    @property
    def tags(self) -> Tags:
        """The tags of the file, or else of the stream."""
        return tags_of({**self._stream.metadata, **self._container.metadata})

    def packets(self) -> tuple[int, int]:
        """Return the number of packets, and of the frames in them (exact for MPEG audio), without decoding."""
        ticks = [packet.duration or 0 for packet in self._container.demux(self._stream) if packet.size]
        return len(ticks), round(sum(ticks) * self._ticks)

    def count(self, alive: Callable[[], None]) -> int:
        """Return the number of frames that decoding brings; too many, for `check_bounds`, of an endless file."""
        frames, most, told = 0, LONGEST * 3600 * self.sample_rate, 0
        for first, samples in self._placed(0):
            frames = first + len(samples)
            if frames - told >= self.sample_rate:
                alive()
                told = frames
            if frames > most:
                return frames
        stated = self._stated_seconds()
        if stated is not None and frames / self.sample_rate < stated - _INEXACT:
            raise truncated(self._named, frames / self.sample_rate, stated)
        return frames

    def blocks(self, start: int, frames: int, block: int) -> "Iterator[Samples]":
        """Yield frames [start, start + frames) in blocks [time, channel] of at most `block`, gaps as silence."""
        assert self.frames is not None
        stop = min(start + frames, self.frames)
        if start < stop:
            yield from in_blocks(self._filled(start, stop), min(block, stop - start), self.channels)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._handle.close()

    def _open(self) -> None:
        path, number = (self._named.path, self._named.number) if isinstance(self._named, Stream) else (self._named, 0)
        self._handle = path.open("rb", buffering=0)
        try:
            self._container = av.open(self._handle, "r", container_options=_CLOSED, metadata_errors="surrogateescape")
        except (av.FFmpegError, ValueError):
            self._handle.close()
            kind = container_of(path)
            raise (
                AudioError(f"{path}: truncated or damaged {kind}: it cannot be read; fetch or export the file again")
                if kind
                else UnreadableError(f"{path}: not readable as audio{looks(path)}. {READABLE}")
            ) from None
        try:
            self._stream = self._chosen(number)
        except AudioError:
            self.close()
            raise
        self._stream.codec_context.thread_count = 1

    def _chosen(self, number: int) -> "AudioStream":
        streams = self._container.streams.audio
        if not streams:
            raise AudioError(f"{self._named}: the file holds no audio stream; give another file")
        if number >= len(streams):
            path = self._handle.name
            raise AudioError(f"{path}: no audio stream {number}; it has {len(streams)}, counted from 0")
        stream = streams[number]
        if stream.codec_context is None:
            raise AudioError(f"{self._named}: its codec is not known here; convert the file to WAV or FLAC")
        for other in self._container.streams:
            other.discard = Discard.default if other is stream else Discard.all
        return stream

    @property
    def _lead(self) -> int:
        """Return the ticks by which the stream begins later than others of the file; 0 for a codec's delay."""
        begins, first = self._stream.start_time, self._container.start_time
        if begins is None or first is None:
            return 0
        lead = begins - int(Fraction(first, av.time_base) / (self._stream.time_base or 1))
        return lead if lead * self._ticks > _JITTER * self.sample_rate else 0

    def _stated(self) -> int | None:
        if self._container.format.name != _COUNTED or not self._exact or not self._stream.duration:
            return None
        return round((self._stream.duration + self._lead) * self._ticks)

    def _stated_seconds(self) -> float | None:
        """Return the file's stated length, if it holds one stream. Matroska counts from 0, even if it begins later."""
        duration, alone = self._container.duration, len(self._container.streams) == 1
        if not duration or not alone or self._container.format.name in _GUESSING:
            return None
        return (duration - max(0, self._container.start_time or 0)) / av.time_base

    def _filled(self, start: int, stop: int) -> "Iterator[Samples]":
        """Yield frames [start, stop) [time, channel], with silence in gaps; an empty array is a sign of life."""
        at = start
        for first, samples in self._placed(start):
            if first + len(samples) <= at:
                yield samples[:0]
                continue
            if first > at:
                yield silence(min(first, stop) - at, self.channels)
                at = min(first, stop)
            wanted = samples[at - first : stop - first]
            yield wanted
            at += len(wanted)
            if at >= stop:
                return
        if stop - at > _TOLERANCE:
            assert self.frames is not None
            raise truncated(self._named, at / self.sample_rate, self.frames / self.sample_rate)
        yield silence(stop - at, self.channels)

    def _placed(self, start: int) -> "Iterator[tuple[int, Samples]]":
        """Yield decoded samples [time, channel], each with its place, in order; from the first or, if the file can be
        sought in, from some before frame `start` on.
        """
        at = None if self._seek(start) else 0
        origin, moved = self._origin if self._exact else None, 0
        slack = self.sample_rate // 1000 if self._exact else round(_JITTER * self.sample_rate)
        try:
            for frame in decoded(self._container, self._stream, robust=self._robust):
                if frame.sample_rate != self.sample_rate:
                    raise AudioError(
                        f"{self._named}: its sample rate changes from {self.sample_rate} to {frame.sample_rate} Hz; "
                        "convert the file to WAV or FLAC"
                    )
                samples = to_channels(samples_of(frame), self.channels).T
                if origin is None and frame.pts is not None:
                    origin = frame.pts - self._lead
                place = at or 0 if frame.pts is None else self._scaled(frame.pts - (origin or 0)) - moved
                if at is None:
                    if place > start:
                        raise BrokenError
                elif abs(place - at) <= slack:
                    place = at
                elif place > at:
                    if place - at > _LONGEST_GAP * self.sample_rate:
                        raise BrokenError
                    self.silence += (place - at) / self.sample_rate
                elif self._exact:
                    samples, place = samples[at - place :], at
                else:  # time begins anew
                    moved, place = moved + place - at, at
                yield place, samples
                at = place + len(samples)
        except BrokenError:
            raise self._damaged(at or start) from None

    def _seek(self, start: int) -> bool:
        """Seek to before frame `start`, far enough for the decoder to settle; return False if that is not possible."""
        first = start - (_ROBUST_PREROLL if self._robust else _PREROLL)
        if not self._seeks or first <= 0:
            return False
        try:
            self._container.seek(self._origin + int(first / self._ticks), stream=self._stream)
        except av.FFmpegError:  # FLAC that does not know its length, near its end
            self.close()
            self._open()
            return False
        return True

    def _scaled(self, ticks: int) -> int:
        """Return a number of ticks in frames, rounded; integers, for Fraction takes its time."""
        return (2 * ticks * self._ticks.numerator // self._ticks.denominator + 1) // 2

    def _damaged(self, at: int) -> AudioError:
        total = self._stated_seconds() if self.frames is None else self.frames / self.sample_rate
        return damaged(self._named, at / self.sample_rate, total)


def tags_in(path: Path) -> Tags:
    """Return the tags at the start of a file; none if it is not readable here."""
    options = {**_CLOSED, "probesize": f"{_HEAD}"}
    with (
        path.open("rb", buffering=0) as handle,
        suppress(av.FFmpegError, ValueError),
        av.open(handle, "r", container_options=options, metadata_errors="surrogateescape") as container,
    ):
        return tags_of(container.metadata)
    return NO_TAGS
