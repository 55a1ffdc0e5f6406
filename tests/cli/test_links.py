"""Folders behind links, and hidden ones, are found alike by every verb, whichever option names the folder."""

import shutil

from tests.conftest import write_songs


def test_row_36_one_rule_for_links_and_hidden_folders(sepkit, small_model, small_config, tmp_path):
    library = write_songs(tmp_path / "library", ["Song", "Other"], ("vocals", "drums"))
    for name in ("corpus", "made", "music"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Song").symlink_to(library / "Song")
        (tmp_path / name / "back").symlink_to(tmp_path / name)
        shutil.copytree(library / "Other", tmp_path / name / ".Other")
    done = sepkit(
        "evaluate", "--data-dir", tmp_path / "corpus", "--estimates", tmp_path / "made", "--target", "vocals",
        "--metrics", "usdr", "--no-cost", "--no-report", "--output-dir", tmp_path / "e", "--processes", 1, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert {row["track"] for row in done.json["tracks"]} == {"Song"}
    done = sepkit("data", "check", small_config, "--data-dir", tmp_path / "corpus", "--workers", 0, "--json")
    assert {song["track"] for song in done.json["songs"]} == {"Song"}
    done = sepkit("separate", tmp_path / "music", "-m", small_model, "-o", tmp_path / "out", "--stems", "vocals")
    assert done.code == 0, done.err
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.wav")}
    assert found == {f"Song/{name}/vocals.wav" for name in ("drums", "mixture", "vocals")}
