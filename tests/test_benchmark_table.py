"""XTREME's averages from rows, published figures, and the table of languages."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from rows import rows_of
from synthetic import analysed, study_rows

from xt_jax.languages import LANGUAGES, UNKNOWN, language
from xt_jax.mini.languages import LANGUAGES as MINI
from xt_jax.report import benchmark
from xt_jax.report.benchmark import GROUPS, benchmark_tables, published_table
from xt_jax.report.gap_tables import group_table, with_groups
from xt_jax.report.published import PUBLISHED, published
from xt_jax.tasks.benchmarks import BENCHMARKS, XTREME
from xt_jax.tasks.table import TARGETS, TASKS


def row_of(study, model: str, intermediate: str) -> dict[str, str]:
    table = benchmark_tables(study)[0].rows
    (row,) = [row for row in table[1:] if row[:2] == [model, intermediate]]
    return dict(zip(table[0], row, strict=True))


def test_groups_are_the_official_ones():
    ours = [{XTREME.tasks[task].folder for task in group} for group in GROUPS.values()]
    assert ours == [set(group.folders) for group in XTREME.groups]
    assert {task for group in GROUPS.values() for task in group} == set(TARGETS)


def test_a_task_is_the_mean_over_languages_and_of_questions_also_over_both_metrics():
    rows = rows_of("direct", {"de": 60.0, "sw": 50.0})
    rows += rows_of("direct", {"de": 40.0, "en": 60.0}, target="xquad", metric="f1")
    rows += rows_of("direct", {"de": 20.0, "en": 50.0}, target="xquad", metric="exact_match")
    rows += rows_of("direct", {"de": 90.0}, target="udpos", metric="f1")
    rows += rows_of("direct", {"de": 95.0}, target="udpos", metric="accuracy")
    scores = benchmark.task_scores(analysed(rows).models[0]).loc["direct", 0].dropna()
    assert scores.to_dict() == {"xnli": 55.0, "xquad": 42.5, "udpos": 90.0}


def test_averages_of_groups_and_of_all_nine():
    rows = []
    for i, target in enumerate(TARGETS):
        for metric in XTREME.tasks[target].metrics:
            for seed in (0, 1):
                value = {"de": 10.0 * i + seed}
                rows += rows_of("direct", value, target=target, metric=metric, seed=seed)
    row = row_of(analysed(rows), "base", "direct")
    assert row["pawsx"] == "10.5"
    means = {"sentence pairs": 5.5, "structured": 25.5, "QA": 50.5, "retrieval": 75.5, "mean": 40.5}
    for name, mean in means.items():  # of pairs 0 and 10, then 1 and 11
        assert row[name] == f"{mean} ± 0.7"


def test_a_group_that_lacks_a_task_has_no_average():
    rows = study_rows({"mini-48": 56_544}, ("direct", "mnli"), seeds=1, second_metrics=True)
    rows = [r for r in rows if (r["intermediate"], r["target"]) != ("mnli", "bucc")]
    study = analysed(rows)
    row = row_of(study, "mini-48", "mnli")
    assert row["bucc"] == row["retrieval"] == row["mean"] == ""
    assert row["sentence pairs"]
    assert row_of(study, "mini-48", "direct")["mean"]
    scores = pd.DataFrame({"xnli": [1.0, 5.0], "pawsx": [math.nan, 7.0]}, columns=list(TARGETS))
    assert benchmark.with_averages(scores)["sentence pairs"].dropna().to_dict() == {1: 6.0}


def test_questions_without_exact_match_have_no_score():
    rows = rows_of("direct", {"de": 60.0})
    rows += rows_of("direct", {"de": 40.0}, target="mlqa", metric="f1")
    assert "mlqa" not in row_of(analysed(rows), "base", "direct")


def test_languages_that_are_missing_are_counted():
    texts = [block.text for block in benchmark_tables(analysed(rows_of("direct", {"de": 1.0})))[1:]]
    assert texts[-1] == "Fewer languages than the official list: xnli 1 of 15."


def test_published_figures_stand_beside_published_models_only():
    name = "FacebookAI/xlm-roberta-large"
    rows = rows_of("direct", {"de": 78.0, "en": 88.0}, model=name)
    rows += rows_of("direct", {"de": 60.0}, model=name, target="tatoeba")
    (table, note) = published_table(analysed(rows))
    source = "RemBERT, arXiv 2010.12821, table 16"
    assert table.rows[1:] == [[name, "xnli", "accuracy", "2 of 15", "83.0", "79.2", source]]
    assert "as published" in note.text
    assert published_table(analysed(rows_of("direct", {"de": 1.0}, model="mini-48"))) == []
    assert published_table(analysed(rows_of("mnli", {"de": 1.0}, model=name))) == []


def test_published_figures_are_of_tasks_and_metrics_that_there_are():
    for each in PUBLISHED:
        assert each.source
        for (target, metric), value in each.scores.items():
            assert metric in TASKS[target].metrics
            assert target not in GROUPS["retrieval"]
            assert 20 < value < 100
    assert published("some/where/xlm-roberta-base/").model == "xlm-roberta-base"
    assert published("xlm-roberta-xl") is None


def test_every_language_of_xtreme_and_the_mini_world_is_in_the_table():
    official = {code for codes in BENCHMARKS["xtreme-r"].languages.values() for code in codes}
    official |= {code for task in TARGETS for code in TASKS[task].languages}
    assert official <= set(LANGUAGES)
    assert set(MINI) <= set(LANGUAGES)
    for code, mini in MINI.items():
        assert LANGUAGES[code].name == mini.name


@pytest.mark.parametrize(
    ("code", "script", "family"),
    [("ur", "Arabic", "Indo-Aryan"), ("kk", "Cyrillic", "Turkic"), ("eu", "Latin", "isolate")],
)
def test_scripts_and_families(code, script, family):
    assert (language(code).script, language(code).family) == (script, family)


def test_a_language_that_is_not_in_the_table_is_unknown():
    assert language("de-en") == ("de-en", UNKNOWN, UNKNOWN)
    codes = pd.Series(["de-en", "de", "en"])
    gains = pd.DataFrame({"language": codes, "script": [language(c).script for c in codes]})
    assert with_groups(gains, "script")["group"].tolist() == ["unknown", "Latin", "(English)"]


def test_gains_of_groups_are_means_over_their_languages_without_english():
    values = {"en": 60.0, "de": 61.0, "es": 64.0, "ru": 52.0}
    rows = rows_of("direct", dict.fromkeys(values, 50.0)) + rows_of("mnli", values)
    for name, value in (("direct", 50.0), ("mnli", 53.0)):
        rows += rows_of(name, {"de": value}, target="panx")
    (table,) = group_table(analysed(rows), "script")
    assert table.rows == [
        ["model", "script", "languages", "mnli"],
        ["base", "(English)", "en", "+10.0"],
        ["base", "Cyrillic", "ru", "+2.0"],
        ["base", "Latin", "de es", "+10.5"],  # (11 + 3) / 2 and 14
    ]
