"""The first page of a report, from hand-made findings, against hand-written sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rows import rows_of
from synthetic import THREE, analysed, phase_logs, study_rows

from xt_jax.report.answer import TITLE, answer
from xt_jax.report.document import to_markdown
from xt_jax.report.statistics.bootstrap import RUNS, SIZES
from xt_jax.report.statistics.combined import TRAINED
from xt_jax.report.statistics.findings import Estimate, multiplicity
from xt_jax.report.statistics.scaling import Prediction, Scaling
from xt_jax.report.study_results import StudyResults
from xt_jax.report.text import between, count, interval, listed, points, size
from xt_jax.report.write import report


def lines_of(study: StudyResults) -> list[str]:
    return to_markdown(answer(study)).split("\n")


def paragraph(study: StudyResults) -> str:
    """Returns the paragraph below the title."""
    lines = lines_of(study)
    return lines[lines.index(f"# {TITLE}") + 1]


def number(value: float, half: float = 1.0, unit: str = RUNS) -> Estimate:
    return Estimate(value, value - half, value + half, 0.9, 5, True, unit)


def fit(slope: Estimate, means: tuple[float, ...] = (1.0, 2.0, 3.0), lack: float = 0.6) -> Scaling:
    """Returns the fit of the trained targets over three sizes."""
    return Scaling(
        *("mini", TRAINED, ("mnli",), ("xnli",), tuple(THREE), tuple(THREE.values())),
        means=tuple(number(mean) for mean in means),
        units=tuple((mean,) for mean in means),
        slope=slope,
        lack_of_fit=lack,
        band=(),
        errors={},
        left_out=(Prediction("mini-48", 1.0, 2.0, 0.0, 3.0), Prediction("x", 1.0, 2.0, 1.5, 3.0)),
    )


def studied(*fits: Scaling, not_learnt: dict | None = None) -> StudyResults:
    """Returns a study of one target and three sizes with these fits."""
    study = analysed(study_rows(THREE, ("direct", "mnli"), ("xnli",), seeds=2))
    findings = replace(study.findings, scalings=fits, not_learnt=not_learnt or {})
    return replace(study, findings=findings)


def test_the_answer_comes_first():
    whole = analysed(study_rows(), phases=phase_logs())
    lines = to_markdown(report(whole)).split("\n")
    assert lines[0] == "`python run.py --seed=0`"
    assert lines[1] == f"# {TITLE}"
    sentences = [line for line in lines[2:6] if line.startswith("- **")]
    assert [s.split("**")[1] for s in sentences] == [
        "Trained targets:",
        "Retrieval:",
        "Best intermediate task per target:",
    ]
    for sentence, found in zip(sentences, whole.scalings("mini"), strict=True):
        assert f"changes by {interval(found.slope)} points for ten times" in sentence
    text = "\n".join(lines)
    assert text.index("| points") < text.index("From 5 sizes (57 k to 6.3 M encoder parameters)")
    assert "5 intermediate tasks, 9 targets, 8 languages, 5 seeds." in text
    assert "| trained targets" in text
    assert "of a slope over sizes, with 3 degrees of freedom" in text
    assert "probability" not in text.split("\n## ")[0]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (fit(number(-2.0)), "it falls by -2.0 [-3.0, -1.0] points for ten times the encoder"),
        (fit(number(2.0)), "it rises by +2.0 [+1.0, +3.0] points for ten times the encoder"),
        (fit(number(0.5)), "no change with size is shown: +0.5 [-0.5, +1.5] points for ten"),
        (fit(number(2.0), lack=0.01), "but the sizes do not lie on a line (p = 0.01), so no slope"),
        (fit(number(2.0, unit=SIZES)), "the line through the 3 sizes changes by +2.0 [+1.0, +3.0]"),
    ],
)
def test_what_happens_to_the_gap_in_words(found, sentence):
    text = paragraph(studied(found))
    assert text.startswith("- **Trained targets:** ")
    assert sentence in text
    assert "gap is +1.0 points with mini-48 and +3.0 with mini-128" in text
    words = "it rises" in text, "it falls" in text
    assert any(words) == (sentence.startswith("it "))


def test_what_is_beside_the_sentences():
    text = "\n".join(lines_of(studied(fit(number(2.0)), not_learnt={"qqp": ["mini-48"]})))
    assert "| trained targets | +1.0 [+0.0, +2.0] | +2.0 [+1.0, +3.0] |" in text
    assert "| +2.0 [+1.0, +3.0] | 0.6            | 1 of 2 inside" in text
    assert "Not learnt, and so in none of the contrasts: qqp (mini-48); the dev score is" in text
    assert "Not learnt" not in "\n".join(lines_of(studied(fit(number(2.0)))))


def test_one_seed_has_gaps_without_intervals():
    one = analysed(study_rows(THREE, ("direct", "mnli"), seeds=1))
    text = "\n".join(lines_of(one))
    assert "of a gap none; of a slope over sizes, with 1 degree of freedom." in text
    assert "nan" not in text
    two_sizes = analysed(study_rows(dict(list(THREE.items())[:2]), ("direct", "mnli"), seeds=1))
    text = "\n".join(lines_of(two_sizes))
    assert "There is one seed, so no number here has an interval." in text
    assert "[" not in text.replace("[ ]", "")


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


def test_many_comparisons_are_said_plainly():
    study = analysed(study_rows())
    text = "\n".join(lines_of(study))
    found = multiplicity(study.findings)
    # 5 sizes x 5 tasks x 9 targets, and the slopes of these, of the tasks, targets and the whole
    assert found.tested == 5 * 5 * 9 + (5 + 1) * (9 + 1)
    assert 0 < len(found.kept) < found.tested
    assert "not corrected for their number" in text
    assert f"Of 285 gaps and slopes on single targets and in the mean, {found.excluding}" in text
    assert "about 14 would" in text  # 5 % of 285
    kept = len(found.kept)
    assert f"Taken together, {kept} of them are kept at a false discovery rate of 5 %" in text


def test_the_intervals_say_what_they_are_over():
    rows = study_rows(THREE, ("direct", "mnli"), seeds=2)
    assert "of a gap over seeds; of a slope over sizes" in "\n".join(lines_of(analysed(rows)))
    for i, row in enumerate(study_rows(THREE, ("direct", "mnli"), seeds=2, noise=2.0)):
        rows.append(row | {"model": f"{row['model']}-s1", "value": min(99.0, row["value"] + i % 2)})
    for row in rows:
        row |= {"family": "mini", "pretraining": row["model"], "pretraining_steps": 10}
    text = "\n".join(lines_of(analysed(rows)))
    assert "of a gap over pretraining runs; of a slope over the pretraining runs, 2 or" in text


def test_the_family_with_most_sizes_is_spoken_of_and_the_others_are_named():
    targets = ("xnli", "tatoeba")
    rows = study_rows(THREE, ("direct", "mnli"), targets, seeds=3)
    rows = [r for r in rows if (r["model"], r["target"]) != ("mini-64", "tatoeba")]
    rows += study_rows({"xlm-roberta-base": 85_000_000}, ("direct", "mnli"), targets, seeds=3)
    text = "\n".join(lines_of(analysed(rows)))
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
    sizes = {56_544: "57 k", 793_088: "0.79 M", 85_054_464: "85 M", 2_832_000_000: "2.8 B"}
    assert [size(n) for n in sizes] == [*sizes.values()]
    assert [count(n, "seed") for n in (1, 0, 1080)] == ["1 seed", "0 seeds", "1,080 seeds"]
    assert between([1, 3, 2], "seed") == "1-3 seeds"
    assert between([2, 2], "seed") == "2 seeds"
    lists = {"": "", "a": "a", "ab": "a and b", "abc": "a, b and c"}
    assert [listed(words) for words in lists] == [*lists.values()]
    assert points(-0.04) == "+0.0"
