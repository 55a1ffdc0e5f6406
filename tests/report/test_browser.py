"""The report in a real browser, from a file, with no network: it is seen, heard, sorted and played by keys."""

import json

import numpy as np
import pytest

from sepkit.report import Limits, PageContent, ScoreColumn, ScoreRow, page_section, write_report
from tests.report.browser import Visit, chromium
from tests.report.songs import song

HOSTILE = "</script><img src=x onerror=document.title='gone'>"
LABELS = ("an-htdemucs-that-was-tuned-for-vocals", "ideal ratio mask")


def report(sections):
    names = [section.name for section in sections] + [f"song {i}" for i in range(20)]
    scores = [float(i * 7 % 20) for i in range(len(names))]
    rows = [ScoreRow(name, "vocals", (scores[i], -scores[i], 1.0)) for i, name in enumerate(names)]
    rows.append(ScoreRow("silent song", "vocals", (None, None, None), ("silent reference", "infinite", "")))
    columns = (
        *(ScoreColumn(label, "SDR", "dB", "higher") for label in LABELS),
        ScoreColumn("model", "bleed", "dB", "lower"),
    )
    return PageContent(
        "A model on songs",
        facts=(("Metric", "SDR in dB, frames of 1 s"),), notes=("Guide to SDR in dB",), columns=columns,
        rows=tuple(rows), totals=(ScoreRow("median", "vocals", (5.0, 1.0, 1.0)),),
        failed=(("broken song", "truncated, holds 3 s of 60 s"),), cost=(("Parameters", "0.67 M"),), sections=sections,
    )  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A report on a whole song, a song of excerpts, one without references, and one that was left out."""
    sections = [
        page_section(song(HOSTILE, 20.0), Limits()),
        page_section(song("excerpts", 60.0), Limits(page_bytes=1_000_000)),
        page_section(song("no references", 8.0, references=False), Limits()),
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, report(tuple(sections)))
    return path


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, path):
    """A visit that must end without a complaint and without a request for anything but the file and what is in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visit = Visit(context, path)
    yield visit
    context.close()
    assert visit.complaints == []
    assert visit.requests
    assert [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def column(visit, number):
    return visit.page.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_the_table_is_sorted_by_what_is_clicked(visit):
    names = column(visit, 1)
    assert names[0] == HOSTILE
    heads = visit.page.locator("thead th")
    assert heads.all_inner_texts() == ["Track", "Source", *(f"{label}, dB" for label in LABELS)]
    for clicks, order in ((1, "ascending"), (2, "descending"), (3, "ascending")):
        heads.nth(2).locator("button").click()
        assert heads.nth(2).get_attribute("aria-sort") == order, clicks
        values = column(visit, 3)
        assert (
            values[-1].split("\n") == ["undefined:", "silent reference"] or values[-1] == "undefined: silent reference"
        )
        numbers = [float(value.replace("\N{MINUS SIGN}", "-")) for value in values[:-1]]
        assert numbers == sorted(numbers, reverse=order == "descending")
    heads.nth(0).locator("button").click()
    assert visit.page.locator("th[aria-sort]").count() == 1
    assert column(visit, 1)[-1] == "song 19"
    visit.page.select_option("select", "bleed")
    assert heads.all_inner_texts() == ["Track", "Source", "model, dB"]


def test_a_cell_gives_its_own_reason(visit):
    row = visit.page.locator("tbody tr", has_text="silent song")
    assert [" ".join(text.split()) for text in row.locator("td.number").all_inner_texts()] == [
        "undefined: silent reference", "undefined: infinite"
    ]  # fmt: skip
    visit.page.select_option("select", "bleed")
    assert row.locator("td.number").all_inner_texts() == ["undefined"]


def test_the_medians_of_a_long_table_are_in_view(visit):
    table, medians = visit.page.locator(".scroll"), visit.page.locator("tfoot tr")
    for scroll in ("el => el.scrollTo(0, 0)", "el => el.scrollTo(0, 300)"):
        table.evaluate(scroll)
        box, foot = table.bounding_box(), medians.bounding_box()
        assert box["y"] < foot["y"]
        assert foot["y"] + foot["height"] <= box["y"] + box["height"]


def test_labels_of_plots_are_whole(visit):
    figures = visit.page.locator("figure").all()
    for figure, names in zip(figures, (LABELS, ["model"]), strict=True):
        box = figure.locator("svg").bounding_box()
        labels = figure.locator("svg g > text")
        assert labels.all_text_contents() == [label * 2 for label in names], "each with its tooltip"
        for label in labels.all():
            text = label.bounding_box()
            assert box["x"] <= text["x"]
            assert text["x"] + text["width"] <= box["x"] + box["width"]


def test_the_headline_of_a_song_says_whose_score_it_is(visit):
    assert visit.page.locator(".headline").first.inner_text() == f"SDR of {LABELS[0]}: vocals 0.0 dB"


def test_it_plays_and_keeps_its_place_when_the_source_changes(visit):
    visit.page.keyboard.press("j")
    assert visit.page.title() == "A model on songs"
    visit.page.get_by_role("button", name="Play", exact=True).click()
    visit.wait_for(lambda: visit.plays)
    visit.wait_for(lambda: visit.position > 0.5)
    before = visit.position
    visit.page.get_by_role("button", name="Reference", exact=True).click()
    after = visit.position
    assert before <= after < before + 5
    assert visit.page.locator(".lane.active .label").inner_text().startswith("Reference")
    visit.wait_for(lambda: visit.position > after + 0.3)
    visit.page.keyboard.press(" ")
    stopped = visit.position
    visit.page.keyboard.press("1")
    assert pressed(visit.page, "Mixture") == "true"
    assert visit.position == stopped
    assert visit.page.get_by_role("button", name="Play", exact=True).is_visible()


def test_sources_are_in_step_to_the_sample(visit):
    """Decoded in the browser, a song keeps its length, and the residual is the mixture minus the estimate."""
    visit.page.keyboard.press("j")
    mixture, estimate, residual = (
        np.array(
            visit.page.evaluate(
                """async (name) => {
                    const context = new OfflineAudioContext(1, 1, 8000);
                    const mp3 = data("song-0").excerpts[0].sounds[name].mp3;
                    const buffer = await context.decodeAudioData(bytes(mp3).buffer);
                    return Array.from(buffer.getChannelData(0));
                }""",
                name,
            )
        )
        for name in ("mixture", "estimate 0", "residual 0")
    )
    assert len(mixture) == len(estimate) == len(residual) == pytest.approx(20 * 8000, abs=8)
    likeness = np.fft.irfft(np.conj(np.fft.rfft(mixture - estimate)) * np.fft.rfft(residual))
    assert likeness.argmax() == 0


def test_a_click_seeks_and_excerpts_are_found(visit):
    visit.page.get_by_role("button", name="excerpts", exact=True).click()
    plot = visit.page.locator(".lane.curve .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] * 3 / 60, box["y"] + 10)
    assert visit.position == pytest.approx(3, abs=0.2)
    visit.page.mouse.click(box["x"] + box["width"] * 59 / 60, box["y"] + 10)
    assert "nearest excerpt" in visit.page.locator(".status").inner_text()
    visit.page.keyboard.press("n")
    pressed = visit.page.locator(".moments [aria-pressed=true]").inner_text()
    assert pressed.startswith("0:00 \N{MIDDLE DOT} SDR of vocals: \N{MINUS SIGN}3.0 dB")
    assert 0 <= visit.position < 8


def pressed(page, name):
    return page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed")


def test_keys(visit):
    page = visit.page
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.locator("details[open] .name").all_inner_texts() == [HOSTILE]
    for key, name in (("m", "Mixture"), ("r", "Reference"), ("d", "Residual"), ("e", "Estimate"), ("4", "Residual")):
        page.keyboard.press(key)
        assert page.locator(".choice [aria-pressed=true]").inner_text() == name
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert visit.position == pytest.approx(4)
    page.keyboard.press("ArrowLeft")
    assert visit.position == pytest.approx(2)
    page.keyboard.press("q")
    assert pressed(page, "Equal loudness") == "false"
    page.get_by_role("button", name="Loop").click()  # and the space bar still plays
    assert pressed(page, "Loop") == "true"
    page.keyboard.press(" ")
    visit.wait_for(lambda: visit.plays)
    page.keyboard.press("j")
    assert page.locator("details[open] .name").all_inner_texts() == ["excerpts"]
    visit.wait_for(lambda: page.locator(".play").all_inner_texts() == ["Play"])  # one song is open, and it is silent
    assert page.evaluate("Sound.sounding?.isPlaying") is False
    page.keyboard.press("j")
    visit.wait_for(lambda: page.locator("details[open]").count() == page.locator(".player").count() == 1)
    page.keyboard.press("r")
    assert page.locator(".choice [aria-pressed=true]").inner_text() == "Estimate", "there is no reference"
    page.keyboard.press("k")
    assert page.locator("details[open] .name").all_inner_texts() == ["excerpts"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible_and_fits(browser, path, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    visit = Visit(context, path)
    assert visit.page.evaluate("document.documentElement.dataset.theme") == scheme
    visit.page.keyboard.press("j")
    visit.page.keyboard.press("j")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.faults() == []
    visit.page.locator("#theme").click()
    assert visit.page.evaluate("document.documentElement.dataset.theme") != scheme
    visit.page.keyboard.press("?")
    assert visit.faults() == []
    context.close()
    assert visit.complaints == []


def test_two_hundred_songs_cost_nothing_until_they_are_opened(browser, tmp_path):
    section = page_section(song("a", 8.0), Limits(songs=50))
    sections = tuple(
        type(section)(f"song {i}", json.dumps({**json.loads(section.json), "name": f"song {i}"})) for i in range(200)
    )
    path = tmp_path / "report.html"
    write_report(path, report(sections))
    context = browser.new_context()
    visit = Visit(context, path)
    assert visit.page.locator("details").count() == 200
    assert visit.page.locator(".player, img").count() == 0
    visit.page.get_by_role("button", name="song 150", exact=True).click()
    assert visit.page.locator(".player").count() == 1
    visit.page.keyboard.press("j")
    assert visit.page.locator("details[open] .name").all_inner_texts() == ["song 151"]
    assert visit.page.locator(".player").count() == 1
    context.close()
    assert visit.complaints == []
