"""`.stem.mp4`: streams in order and in place, tags, Native Instruments' metadata, and equal bytes."""

import json
import resource
import shutil
from importlib import import_module
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest
from scipy.signal import lfilter

from sepkit.audio.read import read
from sepkit.audio.tags import LONGEST_TAG, Tags
from sepkit.audio.writing.stem_mp4 import SAMPLE_RATES, write_stem_mp4
from sepkit.errors import AudioError
from sepkit.track import Stream
from tests.encoded import decoded

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


def write(folder, names=STEMS, *, rate=44100, channels=2, tags=TAGS, gain=1.0, frames=30_000, **options):
    files, samples = raw_stems(folder, names, channels, frames)
    write_stem_mp4(folder / "a.stem.mp4", files, rate, channels, tags, gain, **options)
    return folder / "a.stem.mp4", samples


def tags_of(path):
    with av.open(path) as file:
        return Tags(*(file.metadata.get(key, "") for key in Tags.__slots__))


def boxes(content):
    """Return [(kind, content)] of the boxes in a row."""
    found = []
    while content:
        size = int.from_bytes(content[:4], "big")
        assert 8 <= size <= len(content), "a box is torn"
        found.append((content[4:8], content[8:size]))
        content = content[size:]
    return found


def box(path, *kinds):
    """Return the content of the box at a path of kinds, or None."""
    content = Path(path).read_bytes()
    for kind in kinds:
        content = dict(boxes(content)).get(kind)
        if content is None:
            return None
    return content


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("written"), gain=0.5)


def test_every_stem_is_a_named_stream_in_order_and_the_mixture_is_the_default(written):
    with av.open(written[0]) as file:
        assert [stream.codec_context.name for stream in file.streams] == ["aac"] * 5
        assert [stream.metadata["name"] for stream in file.streams] == ["mixture", *STEMS]
        assert [stream.metadata["handler_name"] for stream in file.streams] == ["mixture", *STEMS]
        assert [int(stream.disposition) for stream in file.streams] == [1, 0, 0, 0, 0]


def in_place(found, given, gain):
    """Check that samples [time, channel] are the given ones: none more, at the same time, and scaled."""
    assert found.shape == given.shape
    likeness = [np.corrcoef(np.roll(found, shift, 0).ravel(), given.ravel())[0, 1] for shift in (-1, 0, 1)]
    assert likeness[1] > 0.98
    assert likeness[1] == max(likeness)
    assert found.std() / given.std() == pytest.approx(gain, rel=0.05)


def test_every_stream_is_its_stem_in_place_and_scaled(written):
    path, samples = written
    for number, (found, given) in enumerate(zip(decoded(path), samples.values(), strict=True)):
        in_place(found, given, 0.5)
        again, rate = read(Stream(path, number))
        assert rate == 44100
        np.testing.assert_array_equal(again.T, found)


@pytest.mark.parametrize("frames", [1, 1023, 1024, 1025, 48 * 1024, 48 * 1024 + 1, 99_999])
def test_any_length_is_kept_to_the_frame(tmp_path, frames):
    path, samples = write(tmp_path, ["vocals"], frames=frames)
    with av.open(path) as file:
        assert [(stream.start_time, stream.duration) for stream in file.streams] == [(0, frames)] * 2
    for found, given in zip(decoded(path), samples.values(), strict=True):
        assert found.shape == given.shape
        if frames > 1000:
            in_place(found, given, 1.0)


def test_tags_are_read_by_others(written):
    assert tags_of(written[0]) == TAGS
    with av.open(written[0]) as file:
        assert file.metadata["major_brand"] == "M4A "


def test_stempeg_reads_stems_and_names(written):
    """And the metadata have the keys of a file that Native Instruments' own program wrote."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        pytest.skip("stempeg cannot be imported without ffmpeg and ffprobe")
    stempeg, (path, samples) = import_module("stempeg"), written
    assert stempeg.Info(str(path)).title_streams == ["mixture", *STEMS]
    streams, rate = stempeg.read_stems(str(path), dtype=np.float32)
    assert rate == 44100
    for found, given in zip(streams, samples.values(), strict=True):
        in_place(found[: len(given)], given, 0.5)
    example = json.loads(box(stempeg.example_stem_path(), b"moov", b"udta", b"stem"))
    metadata = json.loads(box(path, b"moov", b"udta", b"stem"))
    assert metadata.keys() == example.keys()
    for part, values in example["mastering_dsp"].items():
        assert metadata["mastering_dsp"][part].keys() == values.keys()


def test_four_stereo_stems_get_the_metadata_of_native_instruments(written):
    metadata = json.loads(box(written[0], b"moov", b"udta", b"stem"))
    assert metadata["version"] == 1
    assert [stem["name"] for stem in metadata["stems"]] == STEMS
    assert len({stem["color"] for stem in metadata["stems"]}) == 4
    assert not any(part["enabled"] for part in metadata["mastering_dsp"].values())


def test_the_metadata_needs_no_other_tags(tmp_path):
    path, _ = write(tmp_path, tags=Tags(), frames=3000)
    assert json.loads(box(path, b"moov", b"udta", b"stem"))["version"] == 1
    assert tags_of(path) == Tags()


@pytest.mark.parametrize(("stems", "channels"), [(STEMS[:3], 2), ([*STEMS, "fifth"], 2), (STEMS, 1)])
def test_other_sets_of_stems_are_written_without_it(tmp_path, stems, channels):
    path, _ = write(tmp_path, stems, channels=channels, frames=3000)
    assert box(path, b"moov", b"udta", b"stem") is None
    with av.open(path) as file:
        assert [stream.channels for stream in file.streams] == [channels] * (len(stems) + 1)


def test_the_index_stands_before_the_samples_whose_streams_take_turns(written):
    """So a player begins at once, and seeks little; and a truncated file still has its comment."""
    path, _ = written
    kinds = [kind for kind, _ in boxes(path.read_bytes())]
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    with av.open(path) as file:
        packets = sorted((packet.pos, packet.stream_index) for packet in file.demux() if packet.pos is not None)
    assert [stream for _, stream in packets] == [*range(5)] * (len(packets) // 5)
    cut = path.with_name("cut.stem.mp4")
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert tags_of(cut) == TAGS


def test_the_index_has_room_whatever_the_words(tmp_path):
    words = Tags(*(letter * LONGEST_TAG for letter in "가🎵\x01"))
    for frames in (1, 60_000):
        path, _ = write(tmp_path, [letter * 3000 for letter in "보🎵a\x7f"], frames=frames, tags=words)
        assert b"stem" in dict(boxes(box(path, b"moov", b"udta")))
        assert tags_of(path).title == words.title


def test_the_index_has_room_whatever_the_length(tmp_path):
    np.random.default_rng(0).uniform(-0.1, 0.1, 600_000).astype("<f4").tofile(tmp_path / "raw")
    write_stem_mp4(tmp_path / "a.stem.mp4", {"mixture": tmp_path / "raw", "v": tmp_path / "raw"}, 8000, 1, Tags(), 1.0)
    assert [len(found) for found in decoded(tmp_path / "a.stem.mp4")] == [600_000] * 2


def test_the_same_stems_give_the_same_bytes_and_nothing_tells_the_time(tmp_path):
    path, _ = write(tmp_path, frames=3000)
    first = path.read_bytes()
    write(tmp_path, frames=3000)  # over the old file
    assert path.read_bytes() == first
    assert b"Lav" not in first
    assert box(path, b"moov", b"mvhd")[4:12] == bytes(8)


@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_is_written_without_a_word(tmp_path, capfd, channels):
    for rate in SAMPLE_RATES:
        path, samples = write(tmp_path, ["vocals"], rate=rate, channels=channels, frames=3000)
        with av.open(path) as file:
            assert [stream.rate for stream in file.streams] == [rate, rate]
        assert [found.shape for found in decoded(path)] == [given.shape for given in samples.values()]
    assert capfd.readouterr() == ("", "")


def test_a_stem_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(AudioError, match=r"a\.stem\.mp4: cannot be written \(No such file"):
        write_stem_mp4(tmp_path / "a.stem.mp4", {"mixture": tmp_path / "gone.raw"}, 44100, 2, TAGS, 1.0)


class SoonSet(Event):
    """An event that another thread seems to set while the file is written."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def is_set(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("times", [0, 7])
def test_a_file_that_is_abandoned_ends_soon(tmp_path, times):
    event = SoonSet(times)
    with pytest.raises(AudioError, match=r"^song: cannot be written \(abandoned\)$"):
        write(tmp_path, frames=200_000, name=Path("song"), abandoned=event)
    assert event.left == -1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path):
    files, _ = raw_stems(tmp_path, ["vocals"], frames=3000)
    with pytest.raises(AudioError, match=r"^song: cannot be written \(No space left on device\)$"):
        write_stem_mp4(Path("/dev/full"), files, 44100, 2, TAGS, 1.0, name=Path("song"))


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_a_file_that_cannot_grow_further_is_named(tmp_path, capfd, share):
    path, _ = write(tmp_path)
    size = path.stat().st_size
    path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    files, _ = raw_stems(tmp_path, STEMS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (round(share * size) - 1, limits[1]))
    try:
        with pytest.raises(AudioError, match=r"a\.stem\.mp4: cannot be written \(File too large\)"):
            write_stem_mp4(path, files, 44100, 2, TAGS, 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capfd.readouterr().err == ""
