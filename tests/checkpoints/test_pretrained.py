"""Pretrained models by name, as users meet them: from a server that behaves or does not, and without one."""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import soundfile
import torch

from sepkit import AudioSpec, ConfigError, ModelFileError, Pretrained, WeightFile, config, plugins
from sepkit.cache.folder import cache_folder
from sepkit.checkpoints import model_file
from sepkit.checkpoints.locate import locate
from sepkit.checkpoints.pretrained import fetch
from sepkit.models.crnn import CRNN
from sepkit.registry import REGISTRIES
from tests.checkpoints.file_server import serving
from tests.cli.test_bad_input import one_line

SOURCE = """
from sepkit import AudioSpec, ModelConfig, Pretrained, SeparateSettings, WeightFile, hookimpl
from sepkit.models.crnn import CRNN

def weights(paths):
    from sepkit.checkpoints import torch_file
    return {{name: tensor for path in paths for name, tensor in torch_file.load(path).items()}}

@hookimpl
def sepkit_pretrained():
    files = tuple(WeightFile("https://weights.example/v1/" + name, sha, 1000) for name, sha in {files!r}.items())
    return [Pretrained(
        name="{name}", summary="Small", licence="CC0-1.0", score="vocals 1.0 dB", files=files, weights=weights,
        model=CRNN(n_fft=256, hop_length=64, channels=(4, 8), frequency_strides=(4, 2), time_strides=(2, 1),
                   projection=16, hidden={hidden}, layers=1),
        audio=AudioSpec(8000, 1, ("vocals",)), separate=SeparateSettings(chunk_seconds=0.5, residual="band"),
    )]
"""
FIRST, SECOND = "/weights.example/v1/first-half.pth", "/weights.example/v1/second-half.pth"


@pytest.fixture
def server(monkeypatch):
    with serving() as served:
        monkeypatch.setenv("SEPKIT_MIRROR", served.url)
        yield served


@pytest.fixture
def state(small_config):
    """The weights that are published."""
    run = config.load(small_config)
    torch.manual_seed(0)
    return run.model.build(run.audio).state_dict()


@pytest.fixture
def halves(state, tmp_path):
    """The weights, half of them in each of two files of PyTorch: path on the server -> content."""
    names = list(state)
    files = {}
    for path, part in {FIRST: names[::2], SECOND: names[1::2]}.items():
        torch.save({name: state[name] for name in part}, tmp_path / "half.pth")
        files[path] = (tmp_path / "half.pth").read_bytes()
    return files


@pytest.fixture
def offer(install_plugin):
    """Install a plugin that offers "small" in the files given."""

    def offered(files, *, name="small", hidden=8, distribution="sepkit-small", **checksums):
        sums = {path.rpartition("/")[2]: sha256(content).hexdigest() for path, content in files.items()}
        sums |= {path.replace("_", "-") + ".pth": checksum for path, checksum in checksums.items()}
        module = distribution.replace("-", "_")
        sys.modules.pop(module, None)
        install_plugin(distribution, "small", module, SOURCE.format(files=sums, name=name, hidden=hidden))

    return offered


@pytest.fixture
def small(offer, halves, server):
    """The server has what the plugin offers."""
    offer(halves)
    server.files |= halves
    return server


def folder():
    return Path(os.environ["SEPKIT_CACHE"]) / "pretrained" / "small"


def left():
    return sorted(path.name for path in folder().iterdir() if path.name != ".lock")


# Fetched, and used


def test_a_name_separates_a_song_at_once_and_later_without_a_network(sepkit, small, songs, state, tmp_path):
    out = tmp_path / "out"
    done = sepkit("separate", songs / "one/mixture.wav", "-m", "small", "-o", out, "--bit-depth", "float", "--json")
    assert done.code == 0, done.err
    assert "Licence of the weights: CC0-1.0" in done.err
    assert "Downloading first-half.pth" in done.err
    files = done.json["tracks"][0]["files"]
    assert set(files) == {"vocals", "band"}
    mixture, _ = soundfile.read(songs / "one/mixture.wav")
    total = sum(soundfile.read(path)[0] for path in files.values())
    assert abs(total - mixture).max() < 1e-6
    assert [path for path, _ in small.asked] == [FIRST, SECOND]
    assert [name for name in left() if not name.endswith(".onnx")] == ["small.safetensors"]
    loaded = model_file.load(folder() / "small.safetensors")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.weights.items())
    assert (loaded.manifest.licence, loaded.manifest.provider.distribution) == ("CC0-1.0", "sepkit")
    small.files.clear()
    again = sepkit("separate", songs / "two/mixture.wav", "-m", "small", "-o", tmp_path / "again")
    assert (again.code, again.err) == (0, "")
    assert len(small.asked) == 2


def test_the_listing_says_what_is_here_and_downloads_nothing(sepkit, small):
    (row,) = [row for row in sepkit("models", "list", "--json").json["pretrained"] if row["name"] == "small"]
    assert (row["bytes"], row["licence"], row["on_disk"]) == (2000, "CC0-1.0", None)
    assert (row["distribution"], row["version"]) == ("sepkit-small", "1.2.3")
    assert small.asked == []
    fetched = sepkit("models", "fetch", "small", "--json").json
    (row,) = [row for row in sepkit("models", "list", "--json").json["pretrained"] if row["name"] == "small"]
    assert row["on_disk"] == fetched["model"] == str(folder() / "small.safetensors")
    human = sepkit("models", "list").out
    assert [word for word in ("small", "CC0-1.0", "vocals 1.0 dB", "yes") if word not in human] == []


def test_plugins_list_shows_the_names(sepkit, small):
    (row,) = [r for r in sepkit("plugins", "list", "--json").json["plugins"] if r["distribution"] == "sepkit-small"]
    assert row["provides"] == {"pretrained model": ["small"]}
    assert small.asked == []


def test_info_looks_for_a_file_first_and_downloads_nothing(sepkit, small, small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small").mkdir()
    assert sepkit("models", "info", "small", "--json").json["licence"] == "CC0-1.0"
    Path("small/best_model.safetensors").write_bytes(small_model.read_bytes())
    assert sepkit("models", "info", "small", "--json").json["licence"] == ""
    assert small.asked == []


def test_info_shows_the_licence_before_and_after(sepkit, small):
    before = sepkit("models", "info", "small", "--json").json
    assert (before["licence"], before["on_disk"], before["parameters"]) == ("CC0-1.0", None, 6769)
    assert before["files"][0]["places"] == ["https://weights.example/v1/first-half.pth"]
    assert small.asked == []
    lines = sepkit("models", "info", "small").out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("licence", "on disk"))] == ["CC0-1.0", "none"]
    assert sum("places=https://weights.example/" in line for line in lines) == 2
    assert not re.search(r"[{}\[\]']|None|True|False", "\n".join(lines))
    fetch("small")
    after = sepkit("models", "info", "small", "--json").json
    assert (after["licence"], after["kind"], after["parameters"]) == ("CC0-1.0", "model", 6769)


def test_the_variable_may_hold_a_name(sepkit, small, songs, tmp_path, monkeypatch):
    monkeypatch.setenv("SEPKIT_MODEL", "small")
    done = sepkit("separate", songs / "one/mixture.wav", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    monkeypatch.setenv("SEPKIT_MODEL", "smal")
    one_line(sepkit("separate", songs / "one/mixture.wav"), 1, "$SEPKIT_MODEL", 'Did you mean "small"?')


def test_other_commands_take_a_name_too(sepkit, small, songs, tmp_path):
    plain = ("--no-cost", "--no-report", "--output-dir", tmp_path / "e")
    assert sepkit("evaluate", "--song-dir", songs / "one", "-m", "small", *plain).code == 0
    assert sepkit("export", "small", "--format", "onnx", "-o", tmp_path / "small.onnx").code == 0


def test_two_at_a_time_download_once(small):
    together = Barrier(2)

    def one(_):
        together.wait()
        return fetch("small")

    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(one, range(2)))
    assert paths == [folder() / "small.safetensors"] * 2
    assert sorted(path for path, _ in small.asked) == [FIRST, SECOND]


def test_another_description_is_fetched_anew(offer, small, halves, state, tmp_path):
    """A new version of a plugin may have other weights under the same name."""
    fetch("small")
    torch.save({name: tensor + 1 for name, tensor in torch.load(tmp_path / "half.pth").items()}, tmp_path / "new.pth")
    small.files[SECOND] = (tmp_path / "new.pth").read_bytes()
    offer({**halves, SECOND: small.files[SECOND]})
    changed = model_file.load(fetch("small")).weights
    assert sum(not torch.equal(tensor, state[name]) for name, tensor in changed.items()) == len(state) // 2
    assert len(small.asked) == 4


def test_a_broken_model_file_is_made_anew(small):
    path = fetch("small")
    path.write_bytes(path.read_bytes()[:100])
    assert model_file.load(fetch("small")).weights
    assert len(small.asked) == 4


# Not what was published


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_what_has_another_checksum_is_removed_and_never_read(sepkit, small, songs, tmp_path):
    torch.save(Payload(tmp_path / "marker"), tmp_path / "evil.pth")
    small.files[SECOND] = (tmp_path / "evil.pth").read_bytes()
    done = sepkit("separate", songs / "one/mixture.wav", "-m", "small", "-o", tmp_path / "out")
    assert done.code == 1
    found = sha256(small.files[SECOND]).hexdigest()
    assert f"second-half.pth differs from the published file: its sha256 is {found}" in done.err
    assert not (tmp_path / "marker").exists()
    assert not (tmp_path / "out").exists()
    assert left() == ["first-half.pth"]


def test_a_payload_with_the_right_checksum_is_not_run(offer, server, halves, tmp_path):
    torch.save(Payload(tmp_path / "marker"), tmp_path / "evil.pth")
    files = {**halves, SECOND: (tmp_path / "evil.pth").read_bytes()}
    offer(files)
    server.files |= files
    with pytest.raises(ModelFileError, match="asks for posix.mkdir"):
        fetch("small")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("digits", [8, 20])
def test_the_first_digits_of_a_checksum_are_verified(offer, server, halves, digits):
    server.files |= halves
    right = sha256(halves[SECOND]).hexdigest()[:digits]
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    offer(halves, second_half=wrong)
    with pytest.raises(ModelFileError, match=f"not {wrong}"):
        fetch("small")
    offer(halves, second_half=right)
    assert fetch("small").is_file()


def test_weights_that_do_not_fit_are_refused(offer, server, halves):
    offer(halves, hidden=9)
    server.files |= halves
    with pytest.raises(ModelFileError, match="weights do not fit the model"):
        fetch("small")
    assert "small.safetensors" not in left()


def test_a_checksum_that_nobody_has_published_is_stated_once(sepkit, offer, server, halves):
    offer(halves, second_half="")
    server.files |= halves
    command = ("models", "fetch", "small")
    one_line(sepkit(*command), 2, "second-half.pth", "models fetch small --sha256 HEX", "https://weights.example/v1/")
    one_line(sepkit(*command, "--sha256", "123abc"), 2, "123abc is no sha256")
    assert server.asked == []
    assert "0" * 64 in sepkit(*command, "--sha256", "0" * 64).err
    right = sha256(halves[SECOND]).hexdigest()
    done = sepkit(*command, "--sha256", right.upper())
    assert done.code == 0, done.err
    assert locate("small") == folder() / "small.safetensors"


# Transfers


def test_a_transfer_that_breaks_off_goes_on(small, halves):
    small.breaks += [1000, 500]
    fetch("small")
    assert small.asked == [(FIRST, None), (FIRST, "bytes=1000-"), (FIRST, "bytes=1500-"), (SECOND, None)]


def test_a_transfer_that_breaks_off_again_and_again_goes_on_next_time(sepkit, small):
    small.breaks += [1000, 10, 10]
    total = len(small.files[FIRST])
    done = sepkit("models", "fetch", "small")
    assert done.code == 1
    assert f"the connection ended after 1020 of {total} bytes" in done.err
    assert left() == ["first-half.pth.part"]
    assert fetch("small").is_file()
    assert small.asked[3] == (FIRST, "bytes=1020-")


def test_a_server_that_sends_no_parts_is_heard_from_the_start(small):
    small.ranges = False
    small.breaks += [1000]
    fetch("small")
    assert small.asked[:2] == [(FIRST, None), (FIRST, "bytes=1000-")]


def test_what_an_earlier_transfer_left_of_another_file_is_dropped(small):
    folder().mkdir(parents=True)
    (folder() / "first-half.pth.part").write_bytes(bytes(10**6))
    fetch("small")
    assert small.asked[:2] == [(FIRST, "bytes=1000000-"), (FIRST, None)]


def test_a_transfer_that_was_stopped_at_its_end_needs_no_network(small, halves):
    folder().mkdir(parents=True)
    (folder() / "first-half.pth.part").write_bytes(halves[FIRST])
    fetch("small")
    assert small.asked == [(SECOND, None)]


def test_a_file_that_is_not_there_any_more(sepkit, small, songs):
    del small.files[SECOND]
    done = sepkit("separate", songs / "one/mixture.wav", "-m", "small")
    assert done.code == 1
    where = f"get https://weights.example/v1/second-half.pth elsewhere and put it into {folder()}"
    assert f"from {small.url}{SECOND} (HTTP 404 Not Found)" in done.err
    assert where in done.err


def test_without_a_network_it_says_how_to_get_the_files_by_hand(sepkit, offer, halves, monkeypatch):
    offer(halves)
    with serving() as served:
        monkeypatch.setenv("SEPKIT_MIRROR", served.url)
    done = sepkit("models", "fetch", "small", "--json")
    assert done.code == 1
    error = done.json["error"]
    assert error.startswith(f"small is not on this machine, and first-half.pth cannot be downloaded from {served.url}")
    both = "https://weights.example/v1/first-half.pth https://weights.example/v1/second-half.pth"
    assert f"get {both} elsewhere and put them into {folder()}" in error
    for path, content in halves.items():
        (folder() / path.rpartition("/")[2]).write_bytes(content)
    assert sepkit("models", "fetch", "small").code == 0


def test_a_file_put_by_hand_that_is_another_is_named_with_both_checksums_and_stays(sepkit, small, halves):
    folder().mkdir(parents=True)
    (folder() / "first-half.pth").write_bytes(b"another")
    both = sha256(b"another").hexdigest(), sha256(halves[FIRST]).hexdigest()
    for _ in range(2):
        done = sepkit("models", "fetch", "small")
        assert done.code == 1
        named = (str(folder() / "first-half.pth"), *both, "remove it", "https://weights.example/v1/first-half.pth")
        assert [part for part in named if part not in done.err.splitlines()[-1]] == []
        assert (folder() / "first-half.pth").read_bytes() == b"another"
        assert left() == ["first-half.pth"]
    assert small.asked == []
    (folder() / "first-half.pth").write_bytes(halves[FIRST])
    assert fetch("small").is_file()


def test_a_mirror_that_is_no_url(sepkit, small, monkeypatch):
    monkeypatch.setenv("SEPKIT_MIRROR", "/mnt/mirror")
    done = sepkit("models", "fetch", "small")
    assert (done.code, small.asked) == (2, [])
    assert "$SEPKIT_MIRROR is /mnt/mirror; it must begin with" in done.err


def test_a_cache_that_cannot_be_written(sepkit, small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "file"))
    done = sepkit("models", "fetch", "small")
    assert done.code == 1
    assert "cannot be written" in done.err
    assert "SEPKIT_CACHE" in done.err


# Names


def test_a_file_or_a_run_folder_comes_before_a_name(small, small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small").mkdir()
    assert locate("small") == folder() / "small.safetensors", "a folder without a model is none"
    Path("small/best_model.safetensors").write_bytes(small_model.read_bytes())
    assert locate("small") == Path("small/best_model.safetensors")


def test_an_unknown_name_lists_close_ones_and_both_ways(sepkit, small, songs):
    song = songs / "one/mixture.wav"
    parts = ("smal", 'Did you mean "small"?', "Pretrained: ", "sepkit train", "-m FILE.safetensors")
    one_line(sepkit("separate", song, "-m", "smal"), 1, *parts)
    assert "Pretrained" not in sepkit("separate", song, "-m", "folder/smal").err
    one_line(sepkit("models", "fetch", "smal"), 2, 'unknown pretrained model "smal"', 'Did you mean "small"?')


def test_the_packages_that_are_named_provide_what_is_said_of_them():
    """Each package of plugins/ is installed where the tests run."""
    provided = {package: set() for package in plugins.PACKAGES}
    for entry in (entry for registry in REGISTRIES for entry in registry.entries()):
        if entry.plugin.distribution in provided:
            provided[entry.plugin.distribution].add(entry.name)
    assert {package: set(names) for package, names in plugins.PACKAGES.items()} == provided


def test_a_name_of_a_package_that_is_not_installed_says_how_to_get_it(sepkit, small_config, songs, monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    plugins.external.cache_clear()
    try:
        song = songs / "one/mixture.wav"
        openunmix = "pip install ./plugins/sepkit-openunmix"
        one_line(sepkit("separate", song, "-m", "umxhq"), 1, openunmix)
        one_line(sepkit("separate", song, "-m", "umxh"), 1, '"umxhq", if that is meant,', openunmix)
        one_line(sepkit("models", "fetch", "htdemucs"), 2, "pip install ./plugins/sepkit-demucs")
        one_line(sepkit("models", "info", "htdemucs_ft"), 2, "pip install ./plugins/sepkit-demucs")
        one_line(sepkit("train", small_config, "--set", "model.name=conv_tasnet"), 2, "sepkit-torchaudio")
        one_line(sepkit("evaluate", "--song-dir", songs / "one", "--metrics", "log_wmse"), 2, "sepkit-metrics-extra")
        assert "if that is meant" not in sepkit("separate", song, "-m", "quite-another").err
    finally:
        plugins.external.cache_clear()


def test_a_name_of_two_plugins_is_refused(sepkit, offer, halves, songs, monkeypatch):
    offer(halves)
    offer(halves, distribution="sepkit-other")
    done = sepkit("separate", songs / "one/mixture.wav", "-m", "small")
    one_line(done, 2, "sepkit-other 1.2.3 and sepkit-small 1.2.3", "SEPKIT_DISABLE_PLUGINS=sepkit-small")
    monkeypatch.setenv("SEPKIT_DISABLE_PLUGINS", "sepkit-other")
    plugins.external.cache_clear()
    assert sepkit("models", "info", "small").code == 0


def test_a_plugin_that_offers_something_else_is_left_out(install_plugin, sepkit):
    source = "from sepkit import hookimpl\n@hookimpl\ndef sepkit_pretrained():\n    return ['umxhq']\n"
    install_plugin("sepkit-odd", "odd", "sepkit_odd", source)
    (row,) = [r for r in sepkit("plugins", "list", "--json").json["plugins"] if r["distribution"] == "sepkit-odd"]
    assert "sepkit_pretrained() must return instances of Pretrained, not 'umxhq'" in row["error"]


@pytest.mark.parametrize(
    ("url", "checksum"),
    [
        ("http://weights.example/a.pth", "0" * 8),
        ("file:///etc/passwd", "0" * 8),
        ("https://weights.example/", "0" * 8),
        ("https://weights.example/..%2f..%2fa.pth", "0" * 8),
        ("https://weights.example/.a.pth", "0" * 8),
        ("https://weights.example/a.pth", "0" * 7),
        ("https://weights.example/a.pth", "0" * 65),
        ("https://weights.example/a.pth", "ABCDEF01"),
    ],
)
def test_a_file_that_cannot_be_verified_or_named_cannot_be_described(url, checksum):
    with pytest.raises(ValueError, match="must"):
        WeightFile(url, checksum, 1)


FILE = WeightFile("https://weights.example/a.pth", "0" * 64, 1)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("Small", [FILE]),
        ("a/b", [FILE]),
        ("..", [FILE]),
        ("a.safetensors", [FILE]),
        ("small", []),
        ("small", [FILE, FILE]),
        ("small", [WeightFile(f"https://weights.example/{name}", "", 1) for name in "ab"]),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(name, files):
    with pytest.raises(ValueError, match=r"cannot name|needs files|only one"):
        Pretrained(name, "", "", CRNN(), AudioSpec(), tuple(files), dict)


def test_an_unknown_name_is_a_matter_of_arguments():
    with pytest.raises(ConfigError, match="unknown pretrained model"):
        fetch("nothing-of-the-kind")


def test_the_documented_plugin_works(install_plugin, sepkit):
    page = (Path(__file__).parents[2] / "docs" / "pretrained.md").read_text()
    (source,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "hookimpl" in block]
    install_plugin("sepkit-ours", "ours", "sepkit_ours", source)
    known = sepkit("models", "info", "ourvoices", "--json").json
    assert (known["licence"], known["bytes"], known["on_disk"]) == ("CC BY 4.0", 25_000_000, None)


def test_the_speed_of_a_model_is_known_after_a_song_of_half_a_minute(sepkit, small, tmp_path):
    def speed():
        (row,) = [row for row in sepkit("models", "list", "--json").json["pretrained"] if row["name"] == "small"]
        return row["speed"]

    for seconds in (1, 31):
        assert speed() is None
        soundfile.write(tmp_path / f"{seconds}.wav", np.zeros((8000 * seconds, 1)), 8000)
        assert sepkit("separate", tmp_path / f"{seconds}.wav", "-m", "small", "-o", tmp_path / "out").code == 0
    measured = speed()
    assert measured > 0
    assert f"{measured:.3g}x" in sepkit("models", "list").out
    assert sepkit("models", "info", "small", "--json").json["speed"] == measured
    (cache_folder() / "speeds" / sepkit("models", "info", "small", "--json").json["sha256"]).write_text("fast")
    assert speed() is None
