"""`sepkit compare`: two evaluations of the same songs, and all that is not comparable."""

import json
import re

import pytest

SONGS = tuple("abcdefghijkl")
METRIC = {
    "metric": "sdr", "unit": "dB", "better": "higher", "frame_seconds": 1.0,
    "aggregation": "median over songs of the median over frames", "settings": {"name": "sdr", "frame_seconds": 1.0},
}  # fmt: skip


def row(track, score, *, stem="vocals", metric="sdr", estimate="model"):
    undefined = "undefined: silent reference" if score is None else ""
    return {
        "track": track, "stem": stem, "metric": metric, "estimate": estimate, "score": score, "undefined": undefined
    }  # fmt: skip


def summary(tracks, **changes):
    """Return what `sepkit evaluate` would write."""
    plain = {
        "format": 1, "sepkit": "0.1.0", "metrics": [METRIC], "estimates": ["model"], "bounds": ["mixture"],
        "tracks": tracks, "failed": {}, "absent": {},
    }  # fmt: skip
    return plain | changes


def scored(scores, **options):
    return [row(track, score, **options) for track, score in zip(SONGS, scores, strict=False)]


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / f"{name}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


def cells(line):
    return re.split(r"\s{2,}", line.strip())


def refused(sepkit, *args):
    done = sepkit("compare", *args)
    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1
    return done.err


def test_differences_are_paired_by_song(sepkit, write):
    first = write("first", summary(scored([1, 2, 3, 4, 5, 6, 7, 7, 7, 7])))
    other = write("other", summary(scored([6.5, 4.5, 4.25, 3, 2.5, 2, 7, 7, 7, 7])[::-1]))
    other.write_text(other.read_text().replace('"f"', '"x"').replace('"a"', '"f"').replace('"x"', '"a"'))
    done = sepkit("compare", first, other, "--json")
    assert done.code == 0
    result = done.json
    assert (result["first"]["file"], result["first"]["estimate"]) == (str(first), "model")
    (difference,) = result["others"][0]["differences"]
    assert [(t["track"], t["first"], t["other"]) for t in difference["tracks"]] == [
        ("b", 2, 4.5), ("c", 3, 4.25), ("a", 1, 2), ("f", 6, 6.5), ("g", 7, 7), ("h", 7, 7), ("i", 7, 7), ("j", 7, 7),
        ("d", 4, 3), ("e", 5, 2.5),
    ]  # fmt: skip
    assert [t["difference"] for t in difference["tracks"]] == [2.5, 1.25, 1, 0.5, 0, 0, 0, 0, -1, -2.5]
    assert difference["mean"] == pytest.approx(0.175)
    assert difference["median"] == 0
    assert (difference["songs"], difference["improved"], difference["worsened"]) == (10, 4, 2)
    low, high = difference["interval"]
    assert -2.5 < low < 0 < high < 2.5
    assert difference["verdict"] == "unclear"
    assert "expanded percentiles" in result["interval"]
    table = sepkit("compare", first, other).out
    assert [row[0] for row in map(cells, table.splitlines()) if row[-1] == "worse"] == ["e", "d"]


@pytest.mark.parametrize(("better", "verdicts"), [("higher", ["better", "worse"]), ("lower", ["worse", "better"])])
def test_what_is_better_is_for_the_metric_to_say(sepkit, write, better, verdicts):
    metrics = [METRIC | {"better": better}]
    files = [
        write(name, summary(scored([score + 0.01 * n for n, score in enumerate(scores)]), metrics=metrics))
        for name, scores in (
            ("first", [5.0] * 10),
            ("up", [6] * 4 + [6.5] + [6] * 5),
            ("down", [4] * 4 + [3.5] + [4] * 5),
        )
    ]
    others = sepkit("compare", *files, "--json").json["others"]
    assert [other["differences"][0]["verdict"] for other in others] == verdicts
    assert [other["file"] for other in others] == [str(file) for file in files[1:]]
    tracks = [other["differences"][0]["tracks"] for other in others]
    assert [found[0]["track"] == "e" for found in tracks] == [v == "better" for v in verdicts]
    found = next(row for row in map(cells, sepkit("compare", *files[:2]).out.splitlines()) if "sdr dB" in row)
    assert found[-2:] == [f"{10 if better == 'higher' else 0}/10", verdicts[0]]


def test_the_tables_show_what_moved_most_and_what_is_left_out(sepkit, write):
    stems = scored([1, 2], stem="drums")
    first = write("first", summary(scored([1, 2, 3, 4, 5, None]) + stems))
    other = write("other", summary(scored([2, 4, 6, 8, 10, 12])))
    done = sepkit("compare", first, other)
    assert done.code == 0
    assert f"{other}:model minus {first}:model" in done.out
    assert "sdr of vocals" in done.out
    assert [row for row in map(cells, done.out.split("moved most")[1].splitlines()) if row[-1] == "better"] == [
        ["e", "5.00", "10.00", "+5.00", "better"],
        ["d", "4.00", "8.00", "+4.00", "better"],
        ["c", "3.00", "6.00", "+3.00", "better"],
    ]
    assert "left out: 1 score of f: undefined in the first (silent reference)" in done.out
    assert "not compared, as only the first has it: drums" in done.out
    result = sepkit("compare", first, other, "--json").json["others"][0]
    assert result["differences"][0]["songs"] == 5
    assert result["differences"][0]["left_out"] == [{"track": "f", "first": "undefined: silent reference", "other": ""}]
    assert (result["stems_only_in_first"], result["stems_only_here"]) == (["drums"], [])


def test_few_songs_have_no_interval_and_none_no_mean(sepkit, write):
    tracks = scored([1, 2]) + scored([None, None], stem="drums")
    first, other = (write(name, summary(tracks)) for name in ("first", "other"))
    vocals, drums = sepkit("compare", first, other, "--json").json["others"][0]["differences"]
    assert (vocals["mean"], vocals["interval"], vocals["verdict"]) == (0, None, "")
    assert (drums["mean"], drums["median"], drums["songs"], len(drums["left_out"])) == (None, None, 0, 2)
    assert "No interval from fewer than 10 songs" in sepkit("compare", first, other).out


def test_at_80_columns_a_metric_is_one_word_and_what_is_left_out_is_counted(terminal, write):
    metrics = [METRIC | {"metric": name} for name in ("silence_audible", "bleed.drums", "bleed.bass")]
    rows = scored([n - 12.5 for n in range(12)], stem="accompaniment", metric="silence_audible")
    for metric in ("bleed.drums", "bleed.bass"):
        rows += scored([None] * 12, stem="accompaniment", metric=metric)
    more = [row | {"score": row["score"] and row["score"] * 2.5} for row in rows]
    more[0] = row("a", None, stem="accompaniment", metric="silence_audible")
    first = write("first", summary(rows, metrics=metrics))
    out = terminal("compare", first, write("other", summary(more, metrics=metrics))).out
    assert max(map(len, out.split("Songs that moved most")[0].splitlines()[2:])) <= 80
    assert "  silence_audible dB  " in out
    assert "left out: 24 scores of a, b, c and 9 more: undefined in both (silent reference)" in " ".join(out.split())
    assert "left out: 1 score of a: undefined in the other (silent reference)" in " ".join(out.split())
    assert "as no song has both scores: bleed.drums of accompaniment, bleed.bass of" in " ".join(out.split())
    assert "0/0" not in out
    assert "No interval" not in out


def test_names_of_songs_are_whole_at_80_columns(terminal, write):
    song = "Artist of Songs - The Title"
    metrics = [METRIC | {"metric": "silence_audible"}]
    files = (
        write(name, summary([row(song, score, stem="accompaniment", metric="silence_audible")], metrics=metrics))
        for name, score in (("first", 1), ("other", 22.5))
    )
    out = terminal("compare", *files).out
    assert "silence_audible of accompaniment" in out
    assert re.search(rf"{song} +1\.00 +22\.50", out)


def test_a_label_chooses_among_models_and_bounds(sepkit, write):
    tracks = scored([1, 2], estimate="v1.2: old") + scored([2, 4], estimate="new") + scored([0, 0], estimate="mixture")
    file = write("both", summary(tracks, estimates=["v1.2: old", "new"]))
    done = sepkit("compare", f"{file}:v1.2: old", f"{file}:new", f"{file}:mixture", "--json")
    assert [other["differences"][0]["mean"] for other in done.json["others"]] == [1.5, -1.5]
    error = refused(sepkit, file, file)
    assert "2 models" in error
    assert f'"{file}:v1.2: old"' in error
    error = refused(sepkit, f"{file}:new", f"{file}:mixtur")
    assert 'Did you mean "mixture"?' in error


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("unit", "%", ["unit 'dB'", "'%'"]),
        ("better", "lower", ["better 'higher'", "'lower'"]),
        ("frame_seconds", 2.0, ["frame seconds 1.0", "2.0"]),
        ("aggregation", "mean over songs", ["aggregation 'median over songs of", "'mean over songs'"]),
        ("settings", {"name": "sdr"}, ["settings {'name': 'sdr', 'frame_seconds': 1.0}", "{'name': 'sdr'}"]),
        ("signals", "mono", ["signals ''", "'mono'"]),
    ],
)
def test_different_scores_of_one_name_are_refused(sepkit, write, field, value, names):
    first = write("first", summary(scored([1, 2])))
    other = write("other", summary(scored([1, 2]), metrics=[METRIC | {field: value}]))
    error = refused(sepkit, first, other)
    assert all(name in error for name in (*names, str(first), str(other)))


def test_different_metrics_are_refused_and_can_be_left_out(sepkit, write):
    bleed = [METRIC | {"metric": name} for name in ("bleed.drums", "bleed.bass")]
    both = summary(
        scored([1, 2]) + scored([3, 4], metric="bleed.drums") + scored([5, 6], metric="bleed.bass"),
        metrics=[METRIC, *bleed],
    )
    first, other = write("first", both), write("other", summary(scored([1, 3])))
    error = refused(sepkit, first, other)
    assert "has sdr, bleed.drums, bleed.bass; " in error
    assert "--metrics sdr" in error
    done = sepkit("compare", first, other, "--metrics", "sdr", "--json")
    assert [d["metric"] for d in done.json["others"][0]["differences"]] == ["sdr"]
    done = sepkit("compare", first, first, "--metrics", "bleed", "--json")
    assert [d["metric"] for d in done.json["others"][0]["differences"]] == ["bleed.drums", "bleed.bass"]
    assert 'no metric "bleed"; it has sdr' in refused(sepkit, first, other, "--metrics", "bleed")


def test_different_songs_are_refused_by_name(sepkit, write):
    first = write("first", summary(scored([1, 2, 3])))
    other = write("other", summary([*scored([1]), row("g", 4)], failed={"b": "b: cannot be read"}))
    error = refused(sepkit, first, other)
    assert f"{other}:model lacks b (it failed), c; {first}:model lacks g" in error
    many = write("many", summary([row(f"song {n}", 1) for n in range(9)]))
    assert "song 4 and 4 more" in refused(sepkit, many, write("none", summary(scored([1]))))
    drums = write("drums", summary(scored([1, 2, 3], stem="drums")))
    assert "has vocals, " in refused(sepkit, first, drums)


def test_two_songs_of_one_name_are_refused(sepkit, write):
    file = write("twice", summary([row("a", 1), row("a", 2)]))
    assert 'two songs called "a"' in refused(sepkit, file, file)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not a summary.json"),
        ("{", "not a summary.json"),
        ("[" * 100_000, "not a summary.json"),
        ("[]", "not a summary.json"),
        ('{"targets": []}', "format: it is missing"),
        ('{"format": 2}', "format 2, this sepkit reads 1"),
        ('{"format": 1}', "metrics: it is missing"),
        (json.dumps(summary([row("a", 1) | {"score": "high"}])), "tracks.0.score"),
        (json.dumps(summary([row("a", float("nan"))])), "tracks.0.score"),
        (json.dumps(summary([row("a", 1, metric="other")])), 'does not say what its metric "other" is'),
        (json.dumps(summary([], estimates=[], bounds=[])), "0 models"),
    ],
)
def test_what_is_no_summary_is_refused(sepkit, write, content, says):
    good, bad = write("good", summary(scored([1, 2]))), write("bad", content)
    for files in ((good, bad), (bad, good)):
        error = refused(sepkit, *files)
        assert str(bad) in error
        assert says in error


def test_files_that_cannot_be_read(sepkit, write, tmp_path):
    good = write("good", summary(scored([1, 2])))
    assert "no.json: cannot be read" in refused(sepkit, good, tmp_path / "no.json")
    assert "; give the folder of an evaluation, or its summary.json" in refused(sepkit, good, tmp_path)
    assert "it takes two" in refused(sepkit, good)
    bad = tmp_path / "bytes.json"
    bad.write_bytes(b"\xff\xfe\x00")
    assert "not a summary.json" in refused(sepkit, good, bad)
    assert sepkit("compare").code == 2


def test_folders_are_taken_for_the_summary_in_them(sepkit, write, tmp_path):
    rows = [*scored([1, 2]), *(row | {"estimate": "a:b", "score": 9} for row in scored([1, 2]))]
    for name, estimates in (("run/evaluation", ["model"]), ("two: both", ["model", "a:b"])):
        (tmp_path / name).mkdir(parents=True)
        file = write("f", summary(rows, estimates=estimates))
        file.rename(tmp_path / name / "summary.json")
    one, both = tmp_path / "run" / "evaluation", tmp_path / "two: both"
    done = sepkit("compare", one, f"{both}:a:b", "--json")
    assert done.code == 0, done.err
    assert done.json["first"]["file"] == str(one / "summary.json")
    assert done.json["others"][0]["estimate"] == "a:b"
    assert f'Did you mean "{one}"?' in refused(sepkit, one, tmp_path / "run")
    assert f'Did you mean "{one}"?' in refused(sepkit, one, tmp_path / "run" / "evalution")
    assert "has the scores of 2 models" in refused(sepkit, one, both)


def test_a_perfect_score_has_no_difference_and_is_not_called_undefined(sepkit, write):
    rows = scored([1, 2, 3])
    perfect = [row | ({"score": None, "perfect": True} if row["track"] == "a" else {}) for row in rows]
    done = sepkit("compare", write("one", summary(rows)), write("two", summary(perfect)))
    assert done.code == 0, done.err
    assert "left out: 1 score of a: perfect in the other, so there is no difference" in done.out
    assert "undefined" not in done.out


def test_a_score_may_be_named_beside_what_measured_it(sepkit, write):
    metric = METRIC | {"metric": "bleed", "score": "bleed.drums"}
    file = write("f", summary(scored([1, 2], metric="bleed.drums"), metrics=[metric]))
    assert sepkit("compare", file, file, "--json").json["others"][0]["differences"][0]["metric"] == "bleed.drums"


def test_residuals_that_leave_out_different_stems_are_refused(sepkit, write):
    def residual(name, *without):
        rows = [row | {"without": list(stems)} for row, stems in zip(scored([1, 2]), without, strict=True)]
        return write(name, summary(rows))

    first, same = residual("first", ["vocals"], ["drums", "bass"]), residual("same", ["vocals"], ["bass", "drums"])
    unknown = write("unknown", summary(scored([1, 2])))
    for files in ((first, same), (first, unknown), (unknown, first)):
        assert sepkit("compare", *files).code == 0
    error = refused(sepkit, first, residual("other", ["vocals"], ["drums"]))
    assert f"without bass, drums in {first}:model, without drums in " in error
    assert "other.json:model (b)" in error
