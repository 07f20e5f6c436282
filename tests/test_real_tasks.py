"""Every intermediate task trains on the real files, every target is scored on them."""

from __future__ import annotations

import json
from statistics import mean

import pytest
from etils import epath

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides
from xt_jax.model import pretrained as encoders
from xt_jax.records import results
from xt_jax.study import runner
from xt_jax.tasks.__main__ import table
from xt_jax.tasks.family import INTERMEDIATE, TARGET
from xt_jax.tasks.recipes import SOURCES
from xt_jax.tasks.table import TASKS, names

pytestmark = pytest.mark.slow

NINE = (
    "anli_plus mnli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa".split()
)  # Phang et al. (2020)
SUBSTITUTES = ("anli_plus", "ccg", "cosmos_qa")  # trained on other examples than the official ones
SPLITS = {"xquad": "test", "tydiqa": "test", "tatoeba": "test"}  # dev elsewhere


@pytest.fixture
def config(shared, xlmr_tokenizer, one_device, monkeypatch):
    """Returns a configuration that trains on a few examples until they are memorised."""
    monkeypatch.setattr(encoders, "load_tokenizer", lambda _: xlmr_tokenizer)  # loaded once
    recipe = RecipeOverrides(
        learning_rate=3e-3,
        epochs=20,
        batch_size=4,
        max_length=128,
        eval_every=1000,
        eval_examples=8,
    )
    return Config(
        model=ModelConfig("tiny", str(shared / "tokenizer" / "xlm-roberta")),
        data=DataConfig(dir=str(shared / "data"), max_train_examples=8, max_eval_examples=8),
        intermediate=recipe,
        target=recipe,
        allow_missing=True,
    )


def losses(workdir, phase: str) -> list[float]:
    (log,) = workdir.glob(f"phases/{phase}-*/log.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("task", NINE)
def test_the_training_loss_of_an_intermediate_task_falls_on_real_text(task, config, tmp_path):
    config.intermediates, config.targets, config.languages = (task,), ("tatoeba",), ("jv",)
    config.train.log_every = 1
    runner.run(config, str(tmp_path))
    seen = losses(tmp_path, task)
    assert mean(seen[-6:]) < 0.9 * mean(seen[:3])
    (*_, row) = results.read_rows(tmp_path / "results.jsonl")
    assert row.get("substitutes") == ("intermediate" if task in SUBSTITUTES else None)


@pytest.mark.parametrize("task", names(TARGET))
def test_a_target_is_scored_in_real_languages(task, config, tmp_path):
    languages = {"bucc": ("zh",), "mlqa_cross": ("de-es", "en-de"), "tatoeba": ("jv", "sw")}
    config.intermediates, config.targets = ("direct",), (task,)
    config.languages = languages.get(task, ("en", "zh" if task != "tydiqa" else "sw"))
    config.target.epochs = 1
    if task == "pawsx":  # of which there are four official examples
        config.target.batch_size = 8
    if task == "bucc":  # mined whole, else few partners would be left
        config.data.max_eval_examples = 0
    runner.run(config, str(tmp_path))
    rows = results.read_rows(tmp_path / "results.jsonl")
    assert {row["language"] for row in rows} == set(config.languages)
    assert {row.get("substitutes") for row in rows} == {"trained" if task == "pawsx" else None}
    assert {row["metric"] for row in rows if "@" not in row["metric"]} == set(TASKS[task].metrics)
    assert {row["split"] for row in rows} == {SPLITS.get(task, "dev")}
    assert all(0 <= row["value"] <= 100 for row in rows)
    assert (epath.Path(tmp_path) / "report.md").exists()


def test_the_paper_s_nine_and_every_row_have_a_recipe_with_its_source(repository):
    assert set(NINE) <= set(names(INTERMEDIATE))
    assert set(SOURCES) == set(TASKS)
    assert table() in (repository / "README.md").read_text()
