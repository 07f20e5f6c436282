"""The report's tables from hand-made rows, against numbers computed by hand."""

from __future__ import annotations

import json
import math
import re

import pytest
from etils import epath
from rows import keys, rows_of
from synthetic import analysed

from xt_jax.errors import DataError
from xt_jax.records.results import Row, append_rows
from xt_jax.report.document import to_markdown
from xt_jax.report.statistics.scores import deviation, half_width
from xt_jax.report.write import report as whole_report
from xt_jax.report.write import write_report


def report(rows: list[Row], only=()) -> str:
    return to_markdown(whole_report(analysed(rows, only)))


def table(text: str, title: str) -> list[dict[str, str]]:
    """Returns the rows of the first table below the line that starts with `title`."""
    after = text[text.index("\n" + title) :].split("\n")
    start = next(i for i, line in enumerate(after) if line.startswith("|"))
    lines = []
    for line in after[start:]:
        if not line.startswith("|"):
            break
        lines.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def main_row(text: str) -> dict[str, str]:
    """Returns the only row of the main table of the only model."""
    (row,) = table(text, "## base")
    return row


def by_language(text: str, title: str = "### xnli, accuracy") -> dict[str, dict[str, str]]:
    return {row["language"]: row for row in table(text, title)}


def test_a_gap_is_the_mean_difference_over_languages():
    rows = rows_of("direct", {"de": 60.0, "sw": 50.0}) + rows_of("mnli", {"de": 61.0, "sw": 54.5})
    text = report(rows)
    assert main_row(text) == {
        "target": "xnli",
        "metric": "accuracy",
        "languages": "2",
        "direct": "55.0",  # (60 + 50) / 2
        "mnli": "57.8",  # 115.5 / 2 = 57.75
        "mnli - direct": "+2.8",  # (1 + 4.5) / 2 = 2.75
    }
    languages = by_language(text)
    assert list(languages) == ["de", "sw"]
    expected = {"language": "sw", "direct": "50.0", "mnli": "54.5", "mnli - direct": "+4.5"}
    assert languages["sw"] == expected
    assert "## base: 85.05 M encoder parameters, 277.45 M in all" in text
    for word in ("±", "In brackets", "left out", "Not in the gaps"):
        assert word not in text


def test_several_seeds_are_a_mean_and_a_sample_standard_deviation():
    rows = [
        *rows_of("direct", {"de": 60.0, "sw": 50.0}, seed=0),  # 55
        *rows_of("direct", {"de": 62.0, "sw": 54.0}, seed=1),  # 58
        *rows_of("mnli", {"de": 61.0, "sw": 55.0}, seed=0),  # 58, gap 3
        *rows_of("mnli", {"de": 62.0, "sw": 56.0}, seed=1),  # 59, gap 1
    ]
    text = report(rows)
    row = main_row(text)
    assert row["direct"] == "56.5 ± 2.1"  # 3 / sqrt(2) = 2.12
    assert row["mnli"] == "58.5 ± 0.7"  # 1 / sqrt(2)
    # 3 and 1, paired: deviation sqrt(2); t = 12.706 at 1 degree of freedom; 12.706 sqrt(2 / 2)
    assert row["mnli - direct"] == "+2.0 ± 12.7"
    assert by_language(text)["sw"]["direct"] == "52.0 ± 2.8"  # 4 / sqrt(2)
    # 5 and 2: deviation 3 / sqrt(2), 12.706 * 3 / 2
    assert by_language(text)["sw"]["mnli - direct"] == "+3.5 ± 19.1"
    assert text.count("± of a score: sample standard deviation over seeds.\n") == 1
    assert text.count("± of a gap: half the width of its 95 % t-interval") == 1
    assert "In brackets" not in text


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([1.0, 2.0, 3.0], 4.302653 / math.sqrt(3)),  # t at 2 degrees of freedom, deviation 1
        ([0.0, 0.0, 0.0, 2.0], 3.182446 * 0.5),  # 3 degrees; deviation 1, over sqrt(4)
        ([0.0, 2.0] * 5, 2.262157 / 3),  # 9 degrees; deviation sqrt(10 / 9), over sqrt(10)
        ([-4.0, -4.0], 0.0),
        ([3.0], math.nan),
    ],
)
def test_half_the_width_of_a_t_interval(gaps, expected):
    assert half_width(gaps) == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert math.isnan(deviation(gaps)) == math.isnan(expected)


def test_a_mean_is_over_languages_first_and_then_over_seeds():
    rows = rows_of("direct", {"de": 60.0, "sw": 50.0}, seed=0)
    rows += rows_of("direct", {"de": 65.0}, seed=1)
    text = report(rows)
    # (55 + 65) / 2, where the mean of the three numbers would be 58.3
    assert main_row(text)["direct"] == "60.0 ± 7.1 (1-2)"
    assert by_language(text)["sw"]["direct"] == "50.0"
    assert "In brackets" in text


def test_a_gap_takes_common_languages_and_says_how_many():
    rows = rows_of("direct", {"de": 60.0, "sw": 50.0, "th": 40.0})
    rows += rows_of("mnli", {"sw": 53.0, "th": 41.0, "zh": 99.0})
    row = main_row(report(rows))
    assert row["languages"] == "4"
    assert row["direct"] == "50.0 (3)"
    assert row["mnli"] == "64.3 (3)"  # 193 / 3
    assert row["mnli - direct"] == "+2.0 (2)"  # (3 + 1) / 2
    languages = by_language(report(rows))
    assert languages["de"]["mnli"] == languages["de"]["mnli - direct"] == ""
    assert languages["th"]["mnli - direct"] == "+1.0"


def test_a_gap_takes_common_seeds_and_says_which():
    rows = [
        *rows_of("direct", {"de": 60.0}, seed=1),
        *rows_of("mnli", {"de": 50.0}, seed=0),
        *rows_of("mnli", {"de": 61.0}, seed=1),
        *rows_of("mnli", {"de": 66.0}, seed=2),
    ]
    row = main_row(report(rows))
    assert row["direct"] == "60.0 (seed 1)"
    assert row["mnli"] == "59.0 ± 8.2"  # 177 / 3; sqrt((81 + 4 + 49) / 2) = 8.19
    assert row["mnli - direct"] == "+1.0 (seed 1)"
    assert by_language(report(rows))["de"]["mnli - direct"] == "+1.0 (seed 1)"
    assert "± of a score" in report(rows)
    assert "± of a gap" not in report(rows)


def test_a_gap_pairs_only_numbers_of_the_same_examples():
    rows = [
        *rows_of("direct", {"de": 60.0, "sw": 50.0, "th": 40.0}),
        *rows_of("mnli", {"de": 70.0, "th": 60.0}, examples="first 30"),
        *rows_of("mnli", {"sw": 54.0}),
        *rows_of("direct", {"de": 30.0}, target="panx"),
        *rows_of("mnli", {"de": 31.0}, target="panx"),
    ]
    text = report(rows + [row | {"metric": "f1"} for row in rows])  # counted once for all metrics
    xnli, _, panx, _ = table(text, "## base")
    assert xnli["mnli"] == "61.3"  # 184 / 3
    assert xnli["mnli - direct"] == "+4.0 (1)"
    assert panx["mnli - direct"] == "+1.0"
    assert text.count("scored on other examples than after direct: languages of xnli 2.\n") == 1
    assert by_language(text)["de"]["mnli - direct"] == ""
    assert by_language(text)["sw"]["mnli - direct"] == "+4.0"


FIRST = rows_of("direct", {"de": 60.0, "sw": 50.0}, run="1e-5")
LATER = rows_of("direct", {"de": 64.0, "sw": 52.0}, run="3e-5")
LESS = rows_of("direct", {"de": 60.0, "sw": 50.0}, examples="first 30")
MORE = rows_of("direct", {"de": 66.0})


@pytest.mark.parametrize(
    ("rows", "only", "direct", "languages", "left_out"),
    [
        (FIRST + LATER, (), "58.0", 2, 2),  # the last counts
        (LATER + FIRST, (), "55.0", 2, 2),
        (FIRST + LATER[:1], (), "64.0", 1, 2),  # a mean over languages never mixes runs
        (FIRST + LATER[:1], keys(FIRST[:1]), "55.0", 2, 1),  # `sw` is of the run named in `de`
        (LESS + MORE, (), "58.0", 2, 1),  # more examples replace only their own number: 66 and 50
        (LESS + MORE, keys(LESS[:1]), "55.0", 2, 1),  # `only` names the examples too
        (LESS[:1] + MORE, [("other run", LESS[0]["data"])], "66.0", 1, 1),
        (FIRST + [row.copy() for row in FIRST], (), "55.0", 2, 0),  # no other setting
    ],
)
def test_one_setting_counts_and_the_others_are_counted(rows, only, direct, languages, left_out):
    text = report(rows, only)
    row = main_row(text)
    assert (row["direct"], row["languages"]) == (direct, str(languages))
    if left_out:
        assert f"Rows of other settings left out: {left_out}." in text
    else:
        assert "left out" not in text


def test_direct_comes_first_then_the_intermediate_tasks_by_name():
    rows = [
        row
        for name, value in (("squad", 63.0), ("anli", 58.0), ("direct", 60.0))
        for row in rows_of(name, {"de": value})
    ]
    text = report(rows)
    gaps = ["anli - direct", "squad - direct"]
    assert list(main_row(text))[3:] == ["direct", "anli", "squad", *gaps]
    assert [main_row(text)[name] for name in gaps] == ["-2.0", "+3.0"]
    # with two intermediate tasks the languages have no gap
    assert list(by_language(text)["de"]) == ["language", "direct", "anli", "squad"]


def test_without_direct_there_is_no_gap():
    text = report(rows_of("mnli", {"de": 61.0}) + rows_of("squad", {"de": 62.0}))
    assert list(main_row(text))[3:] == ["mnli", "squad"]
    assert list(by_language(text)["de"]) == ["language", "mnli", "squad"]


def sweep(intermediate: str, by_layer: list[dict[str, float]], published: int) -> list[Row]:
    rows = rows_of(intermediate, by_layer[published], target="tatoeba")
    for k, values in enumerate(by_layer):
        metric = f"accuracy@layer={k}"
        rows += rows_of(intermediate, values, target="tatoeba", metric=metric)
    return rows


def test_layers_have_a_table_of_their_own_with_a_star_at_the_published_one():
    direct = [{"de": 10.0, "sw": 5.0}, {"de": 20.0, "sw": 9.0}, {"de": 30.0, "sw": 9.0}]
    mnli = [{"de": 11.0, "sw": 5.0}, {"de": 20.0, "sw": 3.0}, {"de": 31.0, "sw": 6.0}]
    # layer 2 ties with layer 1 in one language, and layer 10 comes after layer 9
    direct += [{"de": 0.0, "sw": 0.0}] * 8
    mnli += [{"de": 0.0, "sw": 1.0}] * 8
    text = report(sweep("mnli", mnli, 1) + sweep("direct", direct, 1))
    assert main_row(text)["target"] == "tatoeba"  # the only row: no layer is in the main table
    layers = table(text, "### tatoeba, accuracy by layer, mean over languages")
    assert [row["layer"] for row in layers] == ["0", "1 *", *(str(k) for k in range(2, 11))]
    assert list(layers[0]) == ["layer", "direct", "mnli"]
    assert [row["direct"] for row in layers[:4]] == ["7.5", "14.5", "19.5", "0.0"]
    assert [row["mnli"] for row in layers[:4]] == ["8.0", "11.5", "18.5", "0.5"]
    assert "layer=" not in text
    assert text.count("*: the layer that counts as the task's accuracy.\n") == 1


def test_layers_that_cannot_be_told_apart_have_no_star():
    text = report(sweep("direct", [{"de": 10.0}, {"de": 10.0}, {"de": 12.0}], 1))
    layers = table(text, "### tatoeba, accuracy by layer")
    assert [row["layer"] for row in layers] == ["0", "1", "2"]
    assert "the layer that counts" not in text


def test_models_have_sections_of_their_own():
    rows = rows_of("direct", {"de": 60.0}) + rows_of("mnli", {"de": 70.0}, model="large")
    text = report(rows)
    assert table(text, "## base")[0]["direct"] == "60.0"
    assert table(text, "## large")[0]["mnli"] == "70.0"
    assert "mnli - direct" not in text


@pytest.mark.parametrize("exists", [True, False])
def test_no_results_are_a_sentence(exists, tmp_path):
    results = epath.Path(tmp_path) / "results.jsonl"
    if exists:
        results.write_text("")
    text = write_report(results.parent, results.parent)
    assert (tmp_path / "report.md").read_text() == (
        "# What intermediate tasks add to zero-shot transfer, and how that changes with model "
        "size\nThere are no results yet: no target task has been scored.\n"
    )
    assert text.startswith((tmp_path / "report.md").read_text())
    assert not list(tmp_path.glob("*.[sp][vn]g"))


def test_the_report_is_written_beside_the_results_file_and_links_its_pictures(tmp_path):
    results = epath.Path(tmp_path) / "results.jsonl"
    current, later = (rows_of("direct", {"de": v}, run=str(v)) for v in (60.0, 66.0))
    append_rows(results, current + later)
    text = write_report(results.parent, results.parent, only=keys(current))
    markdown = (tmp_path / "report.md").read_text()
    assert main_row(text)["direct"] == main_row(markdown)["direct"] == "60.0"
    assert main_row(write_report(results.parent, results.parent))["direct"] == "66.0"
    assert re.findall(r"!\[.+\]\((.+)\)", markdown) == ["scores.svg"]
    files = {"results.jsonl", "results.csv", "report.md", "report.html", "scores.svg", "scores.png"}
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_damaged_results_file_writes_no_report(tmp_path):
    results = epath.Path(tmp_path) / "results.jsonl"
    results.write_text(json.dumps({"model": "base"}) + "\n")
    with pytest.raises(DataError, match="lacks encoder_params"):
        write_report(results.parent, results.parent)
    assert not (tmp_path / "report.md").exists()
