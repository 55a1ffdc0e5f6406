"""From real songs to scores, as in the README: a short run of tiny-cpu on whole songs."""

import numpy as np
import soundfile

from tests.conftest import CONFIGS


def test_train_separate_and_evaluate_real_songs(sepkit, real_audio, tmp_path):
    run, song = tmp_path / "run", real_audio / "songs" / "test" / "Francium"
    done = sepkit(
        "train", CONFIGS / "tiny-cpu.toml", "--data-dir", real_audio / "songs" / "train", "--target", "vocals",
        "--epochs", 2, "--set", "train.steps_per_epoch=4",
        "--set", "train.validation.sdr_every=0", "--output-dir", run,
    )  # fmt: skip
    assert done.code == 0, done.err
    model = run / "best_model.safetensors"
    assert sepkit("separate", song / "mixture.flac", "-m", model, "-o", tmp_path / "out").code == 0
    mixture, rate = soundfile.read(song / "mixture.flac")
    stems = {p.stem: soundfile.read(p) for p in (tmp_path / "out" / "mixture").iterdir()}
    assert all(r == rate and data.shape == mixture.shape for data, r in stems.values())
    np.testing.assert_allclose(sum(data for data, _ in stems.values()), mixture, atol=1e-4, rtol=0)
    scored = sepkit(
        "evaluate",
        "--song-dir",
        song,
        "--target",
        "vocals",
        "-m",
        model,
        "--output-dir",
        tmp_path / "e",
        "--json",
        "--no-cost",
        "--no-report",
    )
    sdr = {row["estimate"]: row["median"] for row in scored.json["medians"] if row["metric"] == "sdr"}
    assert -30 < sdr["mixture"] < sdr["ideal ratio mask (46 ms)"]
