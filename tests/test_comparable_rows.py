"""Which rows are compared: of the last checkpoint, one recipe, and one choice of the layer."""

from __future__ import annotations

from small_study import MODELS, Study, gaps_of

from xt_jax.report.statistics.findings import find
from xt_jax.report.study_results import results_of


def test_only_the_last_checkpoint_of_a_pretraining_run_counts():
    study, earlier = Study(13), Study(24)
    for row in study.rows:
        row |= {"pretraining": f"{row['model']}-s0", "pretraining_steps": 200}
    for row in earlier.rows:
        run = f"{row['model']}-s0"
        study.rows.append(
            {**row, "model": f"{run}-50", "pretraining": run, "pretraining_steps": 50}
        )
    whole = results_of(study.rows, lambda run, data: None)
    last = results_of([r for r in study.rows if r["pretraining_steps"] == 200], lambda *_: None)
    assert whole.findings == last.findings
    assert [model.name for model in whole.models] == list(MODELS)
    assert set(whole.checkpoints["pretraining_steps"]) == {50, 200}
    assert last.checkpoints.empty


def test_retrieval_has_a_contrast_for_each_choice_of_its_layer():
    study, other = Study(13), Study(25)
    alone = [results_of(one.rows, lambda run, data: None) for one in (study, other)]
    for row in study.rows:
        if row["target"] == "tatoeba":
            row |= {"layer": 1, "layer_chosen": "published"}
    for row in other.rows:
        if row["target"] == "tatoeba":
            key = {"run": f"dev {row['run']}", "layer": 2, "layer_chosen": "dev", "recipe": "dev"}
            study.rows.append({**row, **key})
    found = results_of(study.rows, lambda run, data: None)
    fits = {fit.contrast: fit for fit in found.findings.scalings}
    assert list(fits) == [
        "trained targets",
        "retrieval, published layer",
        "retrieval, layer chosen on dev",
        "best intermediate task per target",
    ]
    for name, expected in zip(list(fits)[1:3], alone, strict=True):
        (retrieval,) = (f for f in expected.findings.scalings if f.contrast == "retrieval")
        assert fits[name].units == retrieval.units
        assert fits[name].slope == retrieval.slope
    assert fits["trained targets"] == alone[0].findings.scalings[0]


def test_unlike_recipes_are_not_compared():
    study = Study(9)
    for row in study.rows:
        other = (row["intermediate"], row["target"], row["language"]) == ("mnli", "panx", "de")
        row["recipe"] = "other" if other else "same"
    found = gaps_of(find(study.rows, lambda run, data: None))
    assert ("mini-48", "mnli", "panx", "de") not in found
    assert ("mini-48", "squad", "panx", "de") in found
