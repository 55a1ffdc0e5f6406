"""Damaged audio files through the real command line: each is separated whole, or refused in one line."""

import numpy as np
import pytest
import soundfile

from tests.audio.mutations import mutated

COUNT, BATCH = 2000, 100
STEMS = {"vocals", "accompaniment"}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(1, COUNT // BATCH))]
)
def test_damaged_files_are_separated_whole_or_refused(sepkit, small_model, tmp_path, seed):
    (tmp_path / "in").mkdir()
    files = list(mutated(seed, BATCH, tmp_path / "in"))
    out = tmp_path / "out"
    done = sepkit("separate", *files, "-m", small_model, "-o", out, "--json")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert len(done.json["tracks"]) == BATCH
    errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == done.json["failed"] == sum(track["error"] is not None for track in done.json["tracks"])
    for track in done.json["tracks"]:
        if track["error"]:
            assert track["files"] == {}
            assert "unexpected" not in track["error"]
        else:
            stems = [soundfile.read(file, always_2d=True) for file in track["files"].values()]
            assert track["files"].keys() == STEMS
            assert len({(rate, samples.shape) for samples, rate in stems}) == 1
            assert all(np.isfinite(samples).all() for samples, _ in stems)
    assert len(list(out.iterdir())) == done.json["ok"]
    assert all({file.stem for file in folder.iterdir()} == STEMS for folder in out.iterdir())
