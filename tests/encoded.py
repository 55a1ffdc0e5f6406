"""Audio files that libsndfile does not know, encoded and decoded by PyAV, so that tests of them need no ffmpeg."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Encoder of each ending; others get what their format prefers.
CODECS = {
    "opus": "libopus",
    "webm": "libopus",
    "wma": "wmav2",
    "oga": "flac",
    "ogg": "flac",
    "mka": "aac",
    "mkv": "flac",
    "caf": "alac",
}
FORMATS = {"m4a": "ipod", "mka": "matroska", "wma": "asf", "aac": "adts"}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def encode(
    path: Path,
    *streams: np.ndarray,
    rate: int = 44100,
    codec: str = "",
    tags: Mapping[str, str] | None = None,
    names: Sequence[str] = (),
    container: Mapping[str, str] | None = None,
    picture: bool = False,
    **encoder: str,
) -> Path:
    """Write float arrays [time, channel] as the audio streams of a file, and return its path.

    The ending of `path` says in which format. `codec` is an encoder of FFmpeg's, `encoder` its options such as
    `b="128k"`, `container` those of the muxer, such as {"movflags": "+faststart"}; `names` are the titles of the
    streams. A `picture` comes first.
    """
    with av.open(path, "w", format=FORMATS.get(path.suffix[1:]), options=dict(container or {})) as file:
        file.metadata.update(tags or {})
        film = file.add_stream("mpeg4", rate=1, width=16, height=16, pix_fmt="yuv420p") if picture else None
        chosen = codec or CODECS.get(path.suffix[1:]) or file.default_audio_codec
        outputs = []
        for number, samples in enumerate(streams):
            options = {"b": "128k"} | encoder if chosen == "wmav2" else encoder
            outputs.append(file.add_stream(chosen, rate=rate, layout=LAYOUTS[samples.shape[1]], options=options))
            if file.format.name in {"ogg", "oga", "opus"}:  # which keeps the tags of its streams alone
                outputs[-1].metadata.update(tags or {})
            if number < len(names):
                outputs[-1].metadata.update({"title": names[number], "handler_name": names[number]})
        if film:
            file.mux([*film.encode(av.VideoFrame(16, 16, "yuv420p")), *film.encode(None)])
        for output, samples in zip(outputs, streams, strict=True):
            file.mux([*output.encode(_frame(samples, rate)), *output.encode(None)])
    return path


def remux(
    source: Path,
    path: Path,
    shift: Callable[[float], float] = lambda seconds: 0,
    container: Mapping[str, str] | None = None,
    *,
    every: bool = False,
) -> Path:
    """Copy the packets of the audio streams of `source`, or of every stream, into another file.

    Those of sound come `shift(their time)` seconds later.
    """
    with (
        av.open(source) as old,
        av.open(path, "w", format=FORMATS.get(path.suffix[1:]), options=dict(container or {})) as new,
    ):
        new.metadata.update(old.metadata)
        streams = list(old.streams if every else old.streams.audio)
        copies = {stream.index: new.add_stream_from_template(stream) for stream in streams}
        for packet in old.demux(*streams):
            if packet.dts is None:
                continue
            seconds = shift(float(packet.pts * packet.time_base)) if packet.stream.type == "audio" else 0
            later = int(Fraction(seconds) / packet.time_base)
            packet.pts, packet.dts = packet.pts + later, packet.dts + later
            packet.stream = copies[packet.stream.index]
            new.mux(packet)
    return path


def decoded(path: Path) -> list[np.ndarray]:
    """Return the samples [time, channel] of each audio stream, without what fills its last packet."""
    with av.open(path) as file:
        lengths = [int(stream.duration * stream.time_base * stream.rate) for stream in file.streams.audio]
    found = []
    for number, length in enumerate(lengths):
        with av.open(path) as file:  # to seek to the start would skip the encoder's lead-in
            samples = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=number)], 1).T
        assert 0 <= len(samples) - length < 1024
        found.append(samples[:length])
    return found


def _frame(samples: np.ndarray, rate: int) -> av.AudioFrame:
    planes = np.ascontiguousarray(samples.T, np.float32)
    frame = av.AudioFrame.from_ndarray(planes, "fltp", LAYOUTS[len(planes)])
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame
