"""The picture of a run: what is drawn, that any history can be drawn, and that nothing else is touched."""

import logging
import math
import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from sepkit.training import curves, display


def row(epoch, **values):
    usual = {
        "epoch": epoch, "step": 500 * epoch, "train_loss": 0.1 / epoch, "validation_loss": 0.12 / epoch, "sdr": None,
        "lr": 1e-3, "skipped": 0, "chunks_per_second": 80.1, "seconds": 12.3, "best": True,
    }  # fmt: skip
    return {**usual, **values}


def history(epochs, sources=(), **values):
    sdr = {source: 1.0 + i for i, source in enumerate(sources)} or None
    return [row(epoch, **{"sdr": sdr, **values}) for epoch in range(1, epochs + 1)]


def panels(rows):
    return {axes.get_ylabel(): axes for axes in curves.figure(rows).axes}


def names(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def drawn(panel, name):
    """The line that the legend gives a name, as [(x, y)]; the legend is in the order of drawing."""
    lines = [line for line in panel.lines if line.get_linestyle() != ":"]
    line = lines[names(panel).index(name)]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


CASES = {
    "no row": [],
    "one row": history(1, ["vocals"]),
    "1000 rows": history(1000, ["vocals", "drums"], skipped=1),
    "nothing finite": history(3, train_loss=None, validation_loss=None, lr=None, best=False),
    "losses below zero": history(5, train_loss=-3.5, validation_loss=-2.5),
    "loss of zero": [row(1), row(2, train_loss=0.0, validation_loss=0.0, lr=0.0)],
    "huge losses": [row(1, train_loss=1e30), row(2, train_loss=1e-30, lr=1e-12)],
    "infinite SDR": [row(1, sdr={"vocals": math.inf, "drums": None})],
    "older rows": [{k: v for k, v in row(e).items() if k not in ("sdr", "skipped")} for e in (1, 2)],
    "Korean and Japanese": history(2, ["보컬", "ボーカル", "声乐", "🎤"]),
    "mathtext": history(2, ["$a_b$", "$", "a$b", r"\frac{", "^_{}"]),
    "hidden names": history(2, ["_nolegend_", "_vocals"]),
    "long names": history(2, ["a name that is longer than any picture is wide" * 9, "가" * 200]),
    "many sources": history(70, [f"instrument number {i}" for i in range(40)]),
}


@pytest.mark.parametrize("case", CASES)
def test_any_history_becomes_a_picture_without_a_warning(case, tmp_path, caplog):
    path = tmp_path / "curves.png"
    curves.draw(CASES[case], path)
    height, width, _ = imread(path).shape
    assert width == 960
    assert height > 500
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_losses_stand_over_their_epochs_with_gaps():
    rows = [row(4, validation_loss=0.3), row(5, validation_loss=None), row(6, train_loss=None, validation_loss=0.2)]
    loss = panels(rows)["loss"]
    assert drawn(loss, "training")[:2] == [(4, 0.1 / 4), (5, 0.1 / 5)]
    (_, before), (_, gap), (_, after) = drawn(loss, "validation")
    assert (before, after) == (0.3, 0.2)
    assert math.isnan(gap)
    assert math.isnan(drawn(loss, "training")[2][1])
    assert loss.figure.axes[-1].get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ((0.08, 0.02), "linear"),
        ((0.8, 0.02), "log"),
        ((-2.0, -20.0), "linear"),
        ((5.0, -20.0), "linear"),
        ((5.0, 0.0), "linear"),
        ((5.0, None), "linear"),
        ((None, None), "linear"),
    ],
)
def test_the_axis_of_losses_is_logarithmic_where_that_helps(losses, scale):
    rows = [row(i + 1, train_loss=loss, validation_loss=loss) for i, loss in enumerate(losses)]
    assert panels(rows)["loss"].get_yscale() == scale


def test_sdr_is_joined_over_epochs_that_did_not_measure_it():
    rows = history(7)
    rows[1]["sdr"] = {"vocals": 2.0, "drums": None}
    rows[3]["sdr"] = {"vocals": math.nan, "drums": 1.0}
    rows[5]["sdr"] = {"vocals": 4.0, "drums": 3.0, "bass": None}
    sdr = panels(rows)["SDR (dB)"]
    assert names(sdr) == ["vocals", "drums"]
    assert drawn(sdr, "vocals") == [(2, 2.0), (6, 4.0)]
    assert drawn(sdr, "drums") == [(4, 1.0), (6, 3.0)]


def test_without_sdr_there_is_no_panel_of_it():
    assert list(panels(history(3))) == ["loss", "learning rate"]
    assert list(panels(history(3, sdr={"vocals": None}))) == ["loss", "learning rate"]
    assert list(panels(history(3, ["vocals"]))) == ["loss", "SDR (dB)", "learning rate"]


def test_the_learning_rate_tells_its_highest_value():
    rate = panels([row(1, lr=2e-4), row(2, lr=1e-3), row(3, lr=5e-4)])["learning rate"]
    assert list(rate.lines[0].get_ydata()) == [2e-4, 1e-3, 5e-4]
    assert [label.get_text() for label in rate.get_yticklabels()] == ["0", "0.001"]


def test_the_last_best_epoch_is_marked_in_every_panel():
    rows = [row(1, sdr={"vocals": 1.0}), row(2, validation_loss=0.07), row(3, best=False)]
    by_name = panels(rows)
    assert drawn(by_name["loss"], "best: epoch 2") == [(2, 0.07)]
    for panel in by_name.values():
        assert [list(line.get_xdata()) for line in panel.lines if line.get_linestyle() == ":"] == [[2, 2]]
    assert not any("best" in name for name in names(panels([row(1, best=False)])["loss"]))


def test_skipped_steps_are_marked_if_there_are_any():
    loss = panels([row(1), row(2, skipped=3), row(3), row(4, skipped=2)])["loss"]
    assert [epoch for epoch, _ in drawn(loss, "skipped steps: 5")] == [2, 4]
    assert names(panels(history(3))["loss"]) == ["training", "validation", "best: epoch 3"]


def test_a_point_without_neighbours_is_seen_in_a_long_run():
    rows = history(200)
    for other in (*range(100, 110), *range(111, 120)):
        rows[other]["validation_loss"] = None
    training, validation = panels(rows)["loss"].lines[:2]
    assert validation.get_markevery() == [110]
    assert training.get_markevery() == []
    assert panels(history(12))["loss"].lines[0].get_markevery() == list(range(12))


def test_names_are_written_letter_by_letter():
    sources = ["$a_b$", "_vocals", "vocals of the second choir of the third", "chœur"]
    legend = panels(history(2, sources))["SDR (dB)"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "$a_b$", "_vocals", "vocals of the second ...", "chœur",
    ]  # fmt: skip
    assert not any(text.get_parse_math() for text in legend.get_texts())


def test_letters_come_from_a_font_that_has_them(monkeypatch):
    """STIX has no Armenian letters, DejaVu has."""
    with mpl.rc_context({"font.family": ["STIXGeneral"]}):
        monkeypatch.setattr(curves, "_CJK_FONTS", ("A font that nobody has", "DejaVu Sans"))
        picture = curves.figure(history(2, ["ձայն", "vocals"]))
        armenian, english = picture.axes[1].get_legend().get_texts()
        assert (armenian.get_text(), armenian.get_fontfamily()) == ("ձայն", ["STIXGeneral", "DejaVu Sans"])
        assert english.get_fontfamily() == ["STIXGeneral"]
        monkeypatch.setattr(curves, "_CJK_FONTS", ())
        armenian = curves.figure(history(2, ["ձայն"])).axes[1].get_legend().get_texts()[0]
        assert armenian.get_text() == r"\u0571\u0561\u0575\u0576"


def test_an_earlier_picture_outlives_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    curves.draw(history(2), path)
    before = path.read_bytes()

    def fill_the_disk(self, file, **options):
        file.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        curves.draw(history(3), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_of_short_epochs_is_drawn_now_and_then_and_at_its_end(sepkit, small_config, songs, tmp_path, monkeypatch):
    drawn = []

    def draw(rows, path):
        drawn.append(len(rows))
        monkeypatch.setattr(display, "DRAWING_SECONDS", math.inf)

    monkeypatch.setattr(display, "DRAWING_SECONDS", 0)
    monkeypatch.setattr(curves, "draw", draw)
    command = ("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "run", "--epochs", 3)
    assert sepkit(*command, "--set", "train.steps_per_epoch=1").code == 0
    assert drawn == [1, 3]


def test_drawing_leaves_settings_as_they_are(tmp_path):
    before = dict(mpl.rcParams)
    curves.draw(history(12, ["보컬"]), tmp_path / "curves.png")
    assert dict(mpl.rcParams) == before


def test_matplotlib_costs_nothing_before_the_first_picture(tmp_path):
    code = f"""
import sys
from pathlib import Path
from sepkit.training import curves, display
assert "matplotlib" not in sys.modules
curves.draw([{row(1)!r}], Path({str(tmp_path / "curves.png")!r}))
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
