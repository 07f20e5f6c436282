"""The first ten lines of a report, from hand-made findings, against hand-written sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rows import rows_of
from synthetic import BRANCHES, THREE, analysed, phase_logs, study_rows

from xt_jax.report.answer import TITLE, answer
from xt_jax.report.document import to_markdown
from xt_jax.report.statistics.findings import Estimate, Findings, Gap, Slope, multiplicity
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import between, count, interval, listed, percent, points, size
from xt_jax.report.write import report


def lines_of(study: StudyResults) -> list[str]:
    return to_markdown(answer(study)).split("\n")


def paragraph(study: StudyResults) -> str:
    """Returns the paragraph below the title."""
    lines = lines_of(study)
    return lines[lines.index(f"# {TITLE}") + 1]


def number(value: float, half: float = 1.0, positive: float = 0.9, seeds: int = 5) -> Estimate:
    return Estimate(value, value - half, value + half, positive, seeds, True)


def studied(
    slope: Estimate, gaps: tuple[float, ...] = (3.0, 2.0, 1.0), names: tuple[str, ...] = ("mnli",)
) -> StudyResults:
    """Returns a study of one target and three sizes with these findings."""
    rows = [
        row
        for (model, params), gap in zip(THREE.items(), gaps, strict=True)
        for name in ("direct", *names)
        for row in rows_of(
            name,
            {"de": 50.0 + (gap if name != "direct" else 0.0), "en": 60.0},
            model=model,
            encoder_params=params,
        )
    ]
    made = [
        Gap(model, params, params, name, target, "accuracy", "", number(gap))
        for (model, params), gap in zip(THREE.items(), gaps, strict=True)
        for name in names
        for target in ("xnli", "")
    ]
    slopes = [Slope("mini", name, "", "encoder", 3, slope) for name in ("", *names)]
    return replace(analysed(rows), findings=Findings(tuple(made), tuple(slopes)))


def test_the_answer_is_in_the_first_ten_lines():
    whole = analysed(study_rows(), phases=phase_logs())
    lines = to_markdown(report(whole)).split("\n")[:10]
    assert lines[0] == "`python run.py --seed=0`"
    assert lines[1] == f"# {TITLE}"
    text = "\n".join(lines[2:])
    slope = whole.slope("mini", "", "")
    assert f"**The gap shrinks with model size.** It changes by {interval(slope.estimate)}" in text
    assert "the probability that it shrinks is over 99 %" in text
    assert "From 5 sizes (57 k to 6.3 M encoder parameters), 5 intermediate tasks, " in text
    assert "9 targets, 8 languages, 5 seeds." in text
    for name in BRANCHES[1:]:
        (line,) = (line for line in lines if line.startswith(f"- **{name}:**"))
        for model in ("mini-48", "mini-256"):
            gap = whole.gap(model, name, "")
            assert f"{interval(gap.estimate)}" in line
            assert model in line
        mine = whole.slope("mini", name, "").estimate
        assert f"{interval(mine)} per tenfold encoder parameters" in line
        assert f"above 0 with probability {percent(mine.positive)}" in line


@pytest.mark.parametrize(
    ("slope", "gaps", "expected", "probability"),
    [
        (number(-2.0, positive=0.03), (5.0, 3.0, 1.0), "The gap shrinks", "shrinks is 97 %"),
        (number(2.0, positive=0.96), (1.0, 3.0, 5.0), "The gap grows", "grows is 96 %"),
        (number(-2.0), (-1.0, -3.0, -5.0), "The gap falls further below zero", "zero is 10 %"),
        (number(2.0), (-5.0, -3.0, -1.0), "The gap rises from below zero", "zero is 90 %"),
        (number(-0.9), (1.0, 1.0, 0.5), "Whether the gap shrinks or grows", "shrinks is 10 %"),
        (number(0.9), (1.0, 1.0, 1.5), "Whether the gap shrinks or grows", "grows is 90 %"),
    ],
)
def test_what_happens_to_the_gap_in_words(slope, gaps, expected, probability):
    text = paragraph(studied(slope, gaps))
    assert text.startswith(f"**{expected} with model size")
    assert probability in text


def test_one_seed_has_gaps_without_intervals_and_no_certainty():
    one = analysed(study_rows(THREE, ("direct", "mnli"), seeds=1))
    text = "\n".join(lines_of(one))
    assert "How sure the change of the gap with model size is cannot be said from one seed." in text
    assert "There is one seed, so no number here has an interval." in text
    assert "nan" not in text
    assert "[" not in text.replace("[ ]", "")
    assert "probability" not in text


@pytest.mark.parametrize(
    ("sizes", "strong", "remedy"),
    [
        (1, "There is only one size, mini-48: these are the gaps.", "To see how they change with"),
        (2, "There are only 2 sizes: these are the gaps.", "takes 3: run the same command with"),
    ],
)
def test_too_few_sizes_for_a_slope_are_said_with_what_to_run(sizes, strong, remedy):
    few = dict(list(THREE.items())[:sizes])
    study = analysed(study_rows(few, ("direct", "mnli"), seeds=3))
    text = paragraph(study)
    assert text.startswith(f"**{strong}** To see how they change")
    assert remedy in text
    assert "run the same command with another `size=`" in text
    gap = interval(study.gap("mini-48", "mnli", "").estimate)
    assert f"\n- **mnli:** {gap} points with mini-48" in "\n".join(lines_of(study))


def test_sizes_without_a_common_target_have_no_slope():
    rows = [
        row
        for target, (model, params) in zip(("xnli", "panx", "pawsx"), THREE.items(), strict=True)
        for row in study_rows({model: params}, ("direct", "mnli"), (target,), 2)
    ]
    study = analysed(rows)
    study = StudyResults(study.models, replace(study.findings, slopes=()))
    assert paragraph(study).startswith("**How the gap changes with model size cannot be said.**")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (rows_of("mnli", {"de": 1.0}), "There is no direct fine-tuning to compare with: run the"),
        (rows_of("direct", {"de": 1.0}), "Only direct fine-tuning has been scored: run the same"),
        (
            rows_of("direct", {"de": 1.0}, seed=0) + rows_of("mnli", {"de": 1.0}, seed=1),
            "No intermediate task has a seed, target and language that direct fine-tuning was",
        ),
    ],
)
def test_without_a_gap_it_says_what_to_run(rows, expected):
    text = paragraph(analysed(rows))
    assert text.startswith("**No answer yet.** " + expected)
    assert "From 1 size (85 M encoder parameters), " in text


def test_collapsed_runs_are_counted_and_the_answer_is_given_without_them():
    base = studied(number(-2.0))
    bad = (("mini-48", "mnli", "xnli", 0), ("mini-64", "direct", "xnli", 0), ("other", "", "", 0))
    slopes = tuple(replace(s, without_collapsed=number(-0.4)) for s in base.findings.slopes)
    findings = replace(base.findings, slopes=slopes, collapsed=bad)
    text = paragraph(StudyResults(base.models, findings))
    assert "2 of 6 runs on a target are at chance in English" in text  # three sizes, two branches
    assert "without them it changes by -0.4 [-1.4, +0.6]." in text
    assert "at chance" not in paragraph(base)


def test_retrieval_is_no_run_that_could_collapse():
    rows = study_rows(THREE, ("direct", "mnli"), ("xnli", "tatoeba"), 2)
    rows = [r | {"value": 30.0} if r["target"] == "xnli" and not r["seed"] else r for r in rows]
    assert "6 of 12 runs on a target are at chance" in paragraph(analysed(rows))


def test_many_comparisons_are_said_plainly():
    text = "\n".join(lines_of(studied(number(-2.0), gaps=(3.0, 2.0, 0.5))))
    assert "not corrected for their number" in text
    assert (
        "Of 3 gaps (model, intermediate task, target), 2 have an interval that excludes 0" in text
    )
    assert "if no intermediate task did anything, fewer than one would" in text
    study = analysed(study_rows())
    whole = "\n".join(lines_of(study))
    kept = len(multiplicity(study.findings.gaps).kept)
    assert 0 < kept < 225
    assert f"Taken together, {kept} of them are kept at a false discovery rate of 5 %" in whole
    assert "Of 225 gaps" in whole
    assert "about 11 would" in whole  # 5 % of 225


def test_the_intervals_say_what_they_are_over():
    alone = analysed(study_rows(THREE, ("direct", "mnli"), seeds=2))
    for study, over in (
        (studied(number(-2.0)), "over seeds and test examples."),
        (alone, "over seeds alone, not over other test examples."),
    ):
        assert f"95 % interval, {over}" in "\n".join(lines_of(study))


def test_many_intermediate_tasks_still_fit_into_ten_lines():
    names = tuple(f"task{i}" for i in range(12))
    lines = lines_of(studied(number(-2.0), names=names))
    items = [i for i, line in enumerate(lines, start=1) if line.startswith("- ")]
    assert len(items) == 6
    assert items[-1] <= 10
    assert all(f"{name}:" in "\n".join(lines[:10]) for name in names)


def test_the_family_with_most_sizes_is_spoken_of_and_the_others_are_named():
    targets = ("xnli", "tatoeba")
    rows = study_rows(THREE, ("direct", "mnli"), targets, seeds=3)
    rows = [r for r in rows if (r["model"], r["target"]) != ("mini-64", "tatoeba")]
    rows += study_rows({"xlm-roberta-base": 85_000_000}, ("direct", "mnli"), targets, seeds=3)
    text = paragraph(analysed(rows))
    assert text.startswith(("**The gap", "**Whether"))
    assert "2 targets" in text  # though one size lacks one of them
    assert "From 3 sizes (57 k to 0.79 M encoder parameters)" in text
    assert "1 model of other families or without a gap: below." in text


def test_the_command_is_on_the_first_line():
    logs = phase_logs(("mini-48",))
    study = analysed(study_rows(THREE, ("direct", "mnli"), ("xnli",), seeds=2))

    def first_line(phases, command: str = "") -> str:
        return lines_of(replace(study, phases=tuple(phases), command=command))[0]

    other = [replace(logs[0], command="python run.py --seed=1"), *logs[1:]]
    assert first_line(other) == "`python run.py --seed=0` and 1 other command"
    shards = [f"python run.py --config.shard={i}/2 --workdir=w" for i in (1, 2)]
    parts = [replace(log, command=shards[i % 2]) for i, log in enumerate(logs)]
    assert first_line(parts) == "`python run.py --workdir=w`"  # the shards are one command
    assert first_line(other, "python run.py") == "`python run.py`"  # the last that ran the study
    assert first_line([]) == f"# {TITLE}"


def test_numbers_in_words():
    assert interval(Estimate(-0.02, math.nan, math.nan, math.nan, 1, False)) == "+0.0"
    assert interval(Estimate(2.04, -0.5, 3.0, 0.9, 3, False)) == "+2.0 [-0.5, +3.0]"
    assert interval(None) == ""
    probabilities = {0.999: "over 99 %", 0.5: "50 %", 0.004: "under 1 %", math.nan: ""}
    assert [percent(p) for p in probabilities] == [*probabilities.values()]
    sizes = {56_544: "57 k", 793_088: "0.79 M", 85_054_464: "85 M", 2_832_000_000: "2.8 B"}
    assert [size(n) for n in sizes] == [*sizes.values()]
    assert [count(n, "seed") for n in (1, 0, 1080)] == ["1 seed", "0 seeds", "1,080 seeds"]
    assert between([1, 3, 2], "seed") == "1-3 seeds"
    assert between([2, 2], "seed") == "2 seeds"
    lists = {"": "", "a": "a", "ab": "a and b", "abc": "a, b and c"}
    assert [listed(words) for words in lists] == [*lists.values()]
    assert points(-0.04) == "+0.0"
