"""`.stem.mp4`: streams in order and in place, tags, Native Instruments' metadata, and equal bytes."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import stempeg
from scipy.signal import lfilter

from sepkit.audio.tags import Tags
from sepkit.audio.writing.stem_mp4 import SAMPLE_RATES, write_stem_mp4
from sepkit.errors import AudioError

STEMS = ["drums", "bass", "other = [1]; 'x'", "보컬"]
TAGS = Tags("제목 = \n둘", "가수 Ünïcode", "설명")


def raw_stems(folder, names, channels=2, frames=30_000):
    """Write warm noise for each name and their sum as the mixture; return {name: file} and {name: samples}."""
    noise = np.random.default_rng(0).uniform(-1, 1, (len(names), frames, channels))
    warm = 0.05 * lfilter([0.5], [1, -0.99], noise, axis=1).astype(np.float32)
    samples = {"mixture": warm.sum(0), **dict(zip(names, warm, strict=True))}
    files = {name: folder / f"{number}.raw" for number, name in enumerate(samples)}
    for name, file in files.items():
        samples[name].astype("<f4").tofile(file)
    return files, samples


def write(folder, names=STEMS, *, rate=44100, channels=2, tags=TAGS, gain=1.0, frames=30_000):
    files, samples = raw_stems(folder, names, channels, frames)
    write_stem_mp4(folder / "a.stem.mp4", files, rate, channels, tags, gain)
    return folder / "a.stem.mp4", samples


def probed(path):
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def box(path, *kinds):
    """Return the content of the box at a path of kinds, or None."""
    content = Path(path).read_bytes()
    for kind in kinds:
        found = None
        while content:
            size = int.from_bytes(content[:4], "big")
            assert 8 <= size <= len(content), "a box is torn"
            if content[4:8] == kind:
                found = content[8:size]
            content = content[size:]
        if found is None:
            return None
        content = found
    return content


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("written"), gain=0.5)


def test_every_stem_is_a_named_stream_in_order_and_the_mixture_is_the_default(written):
    streams = probed(written[0])["streams"]
    assert [stream["codec_name"] for stream in streams] == ["aac"] * 5
    assert stempeg.Info(str(written[0])).title_streams == ["mixture", *STEMS]
    assert [stream["disposition"]["default"] for stream in streams] == [1, 0, 0, 0, 0]


def test_every_stream_is_its_stem_in_place_and_scaled(written):
    path, samples = written
    decoded, rate = stempeg.read_stems(str(path), dtype=np.float32)
    assert rate == 44100
    for found, (name, given) in zip(decoded, samples.items(), strict=True):
        assert 0 <= len(found) - len(given) <= 1024, name
        same = found[: len(given)]
        at = {shift: np.corrcoef(np.roll(same, shift, 0).ravel(), given.ravel())[0, 1] for shift in (-1, 0, 1)}
        assert at[0] > 0.99, name
        assert at[0] > max(at[-1], at[1]), name
        assert same.std() / given.std() == pytest.approx(0.5, rel=0.02)


def test_tags_are_read_by_others(written):
    found = probed(written[0])["format"]["tags"]
    assert Tags(found["title"], found["artist"], found["comment"]) == TAGS
    assert found["major_brand"] == "M4A "


def test_four_stereo_stems_get_the_metadata_of_native_instruments(written):
    example = json.loads(box(stempeg.example_stem_path(), b"moov", b"udta", b"stem"))
    metadata = json.loads(box(written[0], b"moov", b"udta", b"stem"))
    assert metadata.keys() == example.keys()
    assert [stem["name"] for stem in metadata["stems"]] == STEMS
    assert len({stem["color"] for stem in metadata["stems"]}) == 4
    enabled = [bool(track["disposition"]["default"]) for track in probed(written[0])["streams"]]
    assert enabled == [True, False, False, False, False]


def test_the_metadata_needs_no_other_tags(tmp_path):
    path, _ = write(tmp_path, tags=Tags(), frames=3000)
    assert json.loads(box(path, b"moov", b"udta", b"stem"))["version"] == 1
    assert len(probed(path)["streams"]) == 5


@pytest.mark.parametrize(("stems", "channels"), [(STEMS[:3], 2), ([*STEMS, "fifth"], 2), (STEMS, 1)])
def test_other_sets_of_stems_are_written_without_it(tmp_path, stems, channels):
    path, _ = write(tmp_path, stems, channels=channels, frames=3000)
    assert box(path, b"moov", b"udta", b"stem") is None
    streams = probed(path)["streams"]
    assert [stream["channels"] for stream in streams] == [channels] * (len(stems) + 1)


def test_the_same_stems_give_the_same_bytes_and_nothing_tells_the_time(tmp_path):
    path, _ = write(tmp_path, frames=3000)
    first = path.read_bytes()
    write(tmp_path, frames=3000)  # over the old file
    assert path.read_bytes() == first
    assert b"Lav" not in first
    assert box(path, b"moov", b"mvhd")[4:12] == bytes(8)


def test_the_lowest_and_the_highest_rate_are_written(tmp_path):
    for rate in (min(SAMPLE_RATES), max(SAMPLE_RATES)):
        path, _ = write(tmp_path, ["vocals"], rate=rate, frames=3000)
        assert [int(stream["sample_rate"]) for stream in probed(path)["streams"]] == [rate, rate]


def test_a_missing_ffmpeg_is_named(tmp_path, monkeypatch):
    files, _ = raw_stems(tmp_path, ["vocals"], frames=10)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"a\.stem\.mp4: ffmpeg not found, needed for \.stem\.mp4; install it"):
        write_stem_mp4(tmp_path / "a.stem.mp4", files, 44100, 2, TAGS, 1.0)


def test_what_ffmpeg_cannot_read_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"a\.stem\.mp4: cannot be written \(.*gone\.raw: No such file"):
        write_stem_mp4(tmp_path / "a.stem.mp4", {"mixture": tmp_path / "gone.raw"}, 44100, 2, TAGS, 1.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path):
    files, _ = raw_stems(tmp_path, ["vocals"], frames=3000)
    with pytest.raises(AudioError, match=r"^song: cannot be written \(No space left on device\)$"):
        write_stem_mp4(Path("/dev/full"), files, 44100, 2, TAGS, 1.0, name=Path("song"))
