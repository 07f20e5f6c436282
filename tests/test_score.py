"""`xt_jax.score` and the task metrics against the official scorers' figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from submissions import MADE_UP, STORED, TOLERANCE, assert_equal, made_up, ref, verdict

from xt_jax import score as command
from xt_jax.data.examples import MiningExample, PairExample, SpanExample, TagExample
from xt_jax.tasks.benchmarks import BENCHMARKS, XTREME
from xt_jax.tasks.metrics.squad_v2 import squad_v2_scores
from xt_jax.tasks.submission.official import score_file
from xt_jax.tasks.table import FAMILIES, TASKS

ENTRIES = {entry.folder: entry for entry in XTREME.entries}


def score(task, examples, predictions, language):
    return FAMILIES[task.family].scores(task, examples, predictions, language)


def task_names(folder):
    return "bucc" if folder == "bucc2018" else folder


# --- the official figures -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "verdict", "seqeval"),
    [
        ("mock", "expected.json", "1.2.2"),
        ("mock", "expected-seqeval-0.0.12.json", "0.0.12"),
        ("perturbed-1", "expected.json", "1.2.2"),
        ("perturbed-2", "expected.json", "1.2.2"),
    ],
)
def test_conformance(shared, tmp_path, capsys, sets, verdict, seqeval):
    root = shared / "conformance" / "xtreme" / sets
    output = tmp_path / "scores.json"
    command.main(
        [
            f"--predictions={root / 'predictions'}",
            f"--labels={root / 'labels'}",
            f"--output={output}",
            f"--seqeval={seqeval}",
        ]
    )
    expected = json.loads((root / verdict).read_text())
    found = json.loads(output.read_text())
    assert_equal(found, expected)
    assert list(found) == list(expected)
    assert f"all_task        {expected['all_task']:6.2f}" in capsys.readouterr().out


@pytest.fixture(scope="module", params=ref.KINDS)
def drawn(request, tmp_path_factory, shared):
    """(kind, files) of random predictions over the real labelled files."""
    folder = tmp_path_factory.mktemp(request.param)
    files = ref.write_sets(shared, folder, request.param)
    assert ref.digest(folder) == STORED["digests"][request.param], "the data or the draws changed"
    return request.param, files


@pytest.mark.parametrize("seqeval", ["1.2.2", "0.0.12"])
def test_real_labels_and_predictions_by_chance(drawn, seqeval):
    kind, files = drawn
    expected = ref.flat(STORED[f"seqeval-{seqeval}"][kind])
    found = {}
    for task, language, prediction, label in files:
        if seqeval == "0.0.12" and task not in ("udpos", "panx"):
            continue
        scores, _ = score_file(
            ENTRIES[ref.OFFICIAL.get(task, task)],
            language.split("-")[0],
            prediction,
            label,
            seqeval=seqeval,
        )
        if task == "udpos":
            assert 0 <= scores.pop("accuracy") <= 100
        found.update({(task, name, language): value for name, value in scores.items()})
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=0, abs=TOLERANCE)
    assert len({task for task, *_ in found}) == (2 if seqeval == "0.0.12" else 11)


def as_examples(task, gold):
    """Returns examples with these labels, in the types that the program reads."""
    if task == "bucc":
        partners = {}
        for foreign, english in gold:
            partners.setdefault(foreign, []).append(english)
        foreign = [MiningExample(k, "x", False, tuple(v)) for k, v in partners.items()]
        english = [MiningExample(k, "x", True, None) for _, k in gold]
        return [*english, MiningExample("zh-none", "x", False, ()), *foreign]
    if task in ("panx", "udpos"):
        return [TagExample("", ("x",) * len(tags), tuple(tags)) for tags in gold]
    if task in ref.QA:
        return [
            SpanExample(key, "?", context, tuple((a, context.index(a)) for a in answers))
            for key, context, answers in gold
        ]
    return [PairExample("", "x", "x", label) for label in gold]


def test_the_metrics_of_a_task(shared):
    """`score`, from examples and predictions in memory, with the noisy predictions."""
    expected = ref.flat(STORED["seqeval-1.2.2"]["noisy"])
    seen = set()
    for folder, language, gold in ref.read_gold(shared):
        name = task_names(folder)
        if name == "tatoeba":  # scored from embeddings
            continue
        predictions = ref.predict("noisy", folder, language, gold)
        if folder in ref.QA:
            # Those left out score 0, as does what no answer says.
            predictions = [predictions.get(key, "\u2400") for key, *_ in gold]
        found = score(TASKS[name], as_examples(name, gold), predictions, language)
        assert tuple(found) == TASKS[name].metrics
        for metric in set(found) - ({"accuracy"} if name == "udpos" else set()):
            value = pytest.approx(expected[folder, metric, language], rel=0, abs=TOLERANCE)
            assert found[metric] == value, (name, metric, language)
        seen.add(name)
    assert seen == {*"pawsx xnli panx udpos bucc squad xquad mlqa mlqa_cross tydiqa".split()}


@pytest.mark.parametrize("kind", ref.KINDS)
def test_squad_v2(shared, kind):
    gold = ref.read_squad_v2(shared)
    drawn = ref.predict_squad_v2(kind, gold)
    predictions = [tuple(drawn[key]) for key, *_ in gold]
    answers = [texts for *_, texts in gold]
    expected = STORED["squad_v2"][kind]
    assert_equal(squad_v2_scores(answers, predictions), expected["best_f1"])
    assert_equal(squad_v2_scores(answers, predictions, threshold=1.0), expected["default"])
    examples = [
        SpanExample(key, "?", context, tuple((t, context.index(t)) for t in texts))
        for key, context, texts in gold
    ]
    found = score(TASKS["squad_v2"], examples, predictions, "en")
    best = expected["best_f1"]
    assert found["best_f1"] == pytest.approx(best["best_f1"], rel=0, abs=TOLERANCE)
    assert found["best_exact"] == pytest.approx(best["best_exact"], rel=0, abs=TOLERANCE)


@pytest.fixture(params=["xtreme", "xtreme-r"])
def submission(request, tmp_path):
    """(version, folder) of predictions and labels for every task and language, all made up."""
    return request.param, made_up(tmp_path, request.param)


def test_a_whole_submission(submission):
    version, folder = submission
    found = verdict(folder, version)
    assert_equal(found.scores, MADE_UP[version])
    assert list(found.scores)[: 5 - (version == "xtreme-r")] == [
        *(["all_task"] if version == "xtreme" else []),
        *"classification tagging qa retrieval".split(),
    ]
    assert found.missing == {}
    assert set(found.unofficial["udpos"]["accuracy"]) == set(BENCHMARKS[version].languages["udpos"])


def test_qqp_has_its_second_metric():
    gold, predicted = list("1101000011"), list("1011100010")
    examples = [PairExample("", "x", "x", label) for label in gold]
    # Right: positions 0, 3, 5, 6, 7, 8; positive in both: 0, 3, 8 of 5 and 5.
    assert score(TASKS["qqp"], examples, predicted, "en") == {"accuracy": 60, "f1": 60}


def test_a_gold_tag_that_is_no_label_is_wrong():
    examples = [TagExample("", ("a", "b"), ("N/N", "(S\\NP)/rare")), TagExample("", ("c",), ("N",))]
    predicted = [["N/N", "N"], ["N"]]
    found = score(TASKS["ccg"], examples, predicted, "en")
    assert found == {"accuracy": pytest.approx(200 / 3, abs=TOLERANCE)}


# --- the command ----------------------------------------------------------------------------


def run_command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "xt_jax.score", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )


def test_the_command(submission, tmp_path_factory):
    version, folder = submission
    output = tmp_path_factory.mktemp("out") / "new" / "scores.json"
    done = run_command(
        f"--predictions={folder / 'predictions'}",
        f"--labels={folder / 'labels'}",
        f"--version={version}",
        f"--output={output}",
    )
    assert done.returncode == 0, done.stderr
    assert_equal(json.loads(output.read_text()), MADE_UP[version])
    for task, languages in BENCHMARKS[version].languages.items():
        assert not languages or f"\n{task}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    udpos = MADE_UP[version]["udpos"]["avg_f1"]
    assert f"f1 {udpos:.2f}" in done.stdout
    assert "accuracy* " in done.stdout
    assert done.stderr.count("note: ") == len(done.stderr.splitlines())


def test_the_command_fails_plainly(tmp_path):
    xtreme = made_up(tmp_path)
    (xtreme / "predictions" / "xnli" / "test-de.tsv").write_text("a\n")
    folders = f"--predictions={xtreme / 'predictions'}", f"--labels={xtreme / 'labels'}"
    done = run_command(*folders, f"--output={xtreme / 'scores.json'}")
    assert done.returncode == 1
    assert "error: 1 labels predicted, but 20 in the labels" in done.stderr
    assert f"{xtreme / 'predictions' / 'xnli' / 'test-de.tsv'}:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (xtreme / "scores.json").exists()
