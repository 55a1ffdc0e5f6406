"""mp3 in memory, and its losses: LAME and mpg123, as libsndfile brings them.

A bare mp3 starts 1105 samples late and ends on a whole frame. LAME notes both in its info tag, and mpg123 cuts both
off. The tag stands in the first frame, and a frame of a low constant bitrate is too small for it. So the bitrate is
variable: there is always room.
"""

from io import BytesIO

import numpy as np
import soundfile

from sepkit.arrays import Samples
from sepkit.audio.tags import Tags
from sepkit.errors import AudioError

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Hz; MPEG 1, 2 and 2.5, layer III"""
MOST_CHANNELS = 2


def encode_mp3(samples: "Samples", sample_rate: int, compression: float) -> bytes:
    """Encode [channel, time], up to two channels at one of `SAMPLE_RATES`; samples beyond full scale are clipped.

    `compression` is at least 0, LAME's best quality (V0), and less than 1, its worst (V9).
    """
    file = BytesIO()
    soundfile.write(
        file, samples.T, sample_rate, "MPEG_LAYER_III", format="MP3",
        compression_level=compression, bitrate_mode="VARIABLE",
    )  # fmt: skip
    return file.getvalue()


def mp3_round_trip(samples: "Samples", sample_rate: int, compression: float) -> "Samples":
    """Encode [channel, time] and decode it again: same shape, nothing moved in time.

    For `compression` see `encode_mp3`. Samples beyond full scale are scaled down to be encoded, and back.

    Raises:
        AudioError: this libsndfile leaves the encoder's delay in.
    """
    scale = max(1.0, float(np.abs(samples).max(initial=0.0)))
    encoded = encode_mp3(samples / scale, sample_rate, compression)
    decoded, _ = soundfile.read(BytesIO(encoded), dtype="float32", always_2d=True)
    if decoded.T.shape != samples.shape:
        raise AudioError(
            f"an mp3 of {samples.shape[-1]} frames was decoded to {len(decoded)}, so it would be out of step; "
            "install a soundfile wheel, which brings its own libsndfile, or do without mp3"
        )
    return np.ascontiguousarray(decoded.T) * np.float32(scale)


def id3(tags: Tags) -> bytes:
    """Return the head of an mp3 that holds its tags, ID3v2.4 in UTF-8; no bytes without tags.

    LAME through libsndfile spells only Latin letters right, and libsndfile does not find the comment of FFmpeg.
    """
    frames = _frame(b"TIT2", "", tags.title) + _frame(b"TPE1", "", tags.artist) + _frame(b"COMM", "und\0", tags.comment)
    return b"ID3\4\0\0" + _seven_bits(len(frames)) + frames if frames else b""


def _frame(kind: bytes, before: str, text: str) -> bytes:
    if not text:
        return b""
    body = b"\3" + (before + text).encode()  # 3: UTF-8
    return kind + _seven_bits(len(body)) + b"\0\0" + body


def _seven_bits(size: int) -> bytes:
    """Return a number in four bytes whose highest bits are 0, so that none looks like the start of a frame."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
