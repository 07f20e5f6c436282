"""The three variants of the paper (mixtures, plain text, translations), and submissions."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from xt_jax.config import Config, DataConfig, MixtureConfig, ModelConfig, RecipeOverrides
from xt_jax.data import formats
from xt_jax.data.sources import open_source
from xt_jax.errors import ConfigError, DataError
from xt_jax.mini import formats as mini_formats
from xt_jax.records import results
from xt_jax.study import build, runner
from xt_jax.study.check import check
from xt_jax.study.train import new_models, train_phase
from xt_jax.tasks.submission.official import evaluate
from xt_jax.tasks.table import NLI, TASKS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(world, tmp_path_factory) -> Path:
    """A copy of the embedded world with other plain text and MNLI in German."""
    root = Path(shutil.copytree(world, tmp_path_factory.mktemp("variants") / "data"))
    shutil.rmtree(root / "mlm")
    (root / "mlm").mkdir()
    for language in ("en", "de", "tr"):
        pairs = open_source("files", str(root)).find("xnli", "test", language)[0].read(NLI)
        count = {"en": 150, "de": 60, "tr": 20}[language]
        text = "".join(f"{pair.text_a} {pair.text_b}\n" for pair in pairs[:count])
        (root / "mlm" / f"{language}.txt").write_text(text)
        (root / "mlm" / f"dev-{language}.txt").write_text(text)
    german = root / "translated" / "de" / "mnli"
    german.mkdir(parents=True)
    dev = open_source("files", str(root)).find("xnli", "dev", "de")[0].read(NLI)
    mini_formats.write_mnli(german / "train.tsv", dev)
    return root


@pytest.fixture
def config(data, mini_tokenizer_folder, one_device) -> Config:
    recipe = RecipeOverrides(
        learning_rate=1e-3, epochs=1, batch_size=16, max_length=96, eval_every=20, eval_examples=20
    )
    return Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(data), max_train_examples=160, max_eval_examples=20),
        languages=("en", "de"),
        targets=("xnli",),
        intermediate=recipe,
        target=recipe,
    )


def opened(config: Config, name: str):
    """Returns a study that is not run, and its intermediate phase."""
    config.intermediates = (name,)
    study = build.build_study(config, epath.Path(config.data.dir).parent / "opened")
    return study, study.intermediates[name]


def planned(study, phase, **mixture):
    planner = study.trainer.planner
    return dataclasses.replace(planner, mixture=MixtureConfig(**mixture)).plan_anew(phase, 0)


def test_three_interleaved_tasks_are_sampled_as_the_rule_says(config):
    config.data.max_train_examples = 0
    study, phase = opened(config, "mnli+squad+mlm")
    sizes = [len(part.train.features) for part in phase.parts]
    order, plans = planned(study, phase, sampler="proportional", steps=1000, mlm_ratio=0.3)
    supervised = np.array(sizes[:2]) / sum(sizes[:2]) * 0.7
    counts = np.bincount(order) / len(order)
    np.testing.assert_allclose(counts, [*supervised, 0.3], rtol=0.01)
    for part, plan, count in zip(phase.parts, plans, np.bincount(order), strict=True):
        assert plan.steps == count
        assert (np.diff(plan.splits) == part.recipe.batch_size).all()


def test_a_mixture_has_the_steps_of_its_recipes_and_text_comes_on_top(config):
    study, phase = opened(config, "mnli+squad+mlm")
    alone = [len(part.train.features) / 16 for part in phase.parts[:2]]
    steps = sum(map(np.ceil, alone))
    order, _ = planned(study, phase, mlm_ratio=0.5)
    assert len(order) == steps / 0.5
    capped, _ = planned(study, phase, mlm_ratio=0.5, cap=80)
    assert len(capped) == (5 + 5) / 0.5
    assert np.bincount(capped).tolist() == [5, 5, 10]


def test_text_is_drawn_by_smoothed_languages(config):
    study, phase = opened(config, "mnli+mlm")
    _, (_, plan) = planned(study, phase, steps=400, mlm_ratio=0.5, mlm_exponent=0.3)
    sizes = phase.parts[1].train.sizes
    assert phase.parts[1].train.language == "de+en+tr"
    which = np.searchsorted(np.cumsum(sizes), plan.feature, side="right")
    weights = np.array(sizes) ** 0.3
    shares = np.bincount(which) / len(which)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=1 / len(which))


def test_a_mixture_with_text_trains_selects_and_serves_a_target(config, tmp_path):
    config.train.log_every = 5
    config.intermediates = ("mnli+squad+mlm",)
    table = runner.run(config, str(tmp_path / "work"))
    assert "mnli+squad+mlm" in table
    (log,) = (tmp_path / "work" / "phases").glob("mnli+squad+mlm-*/log.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    logged = {name for line in lines for name in line if name.startswith("loss/")}
    assert logged == {"loss/mnli", "loss/squad", "loss/mlm"}
    rows = results.read_rows(tmp_path / "work" / "results.jsonl")
    assert {row["intermediate"] for row in rows} == {"mnli+squad+mlm"}


def test_text_alone_is_selected_by_its_dev_loss(config):
    study, phase = opened(config, "mlm")
    start = study.trainer.pretrained_checkpoint()
    (trained,) = train_phase(study.trainer, phase, [start], "", [0])
    assert trained.selected_by == "neg_loss on dev"
    assert (trained.folder / "config.json").exists()
    architecture = json.loads((trained.folder / "config.json").read_text())["architectures"]
    assert architecture == ["XLMRobertaForMaskedLM"]


def test_text_alone_without_dev_text_says_so(config, data, tmp_path):
    config.data.dir = str(shutil.copytree(data, tmp_path / "data"))
    for path in (tmp_path / "data" / "mlm").glob("dev-*"):
        path.unlink()
    opened(config, "mnli+mlm")
    with pytest.raises(DataError, match="mlm: no labelled dev data"):
        opened(config, "mlm")


def test_translated_data_joins_the_english(config):
    config.data.max_train_examples = 0
    _, english = opened(config, "mnli")
    config.data.intermediate_languages = ("en", "de")
    _, both = opened(config, "mnli")
    (english,), (both,) = english.parts, both.parts
    assert both.train.language == "en+de"
    assert len(both.train.features) == len(english.train.features) + 150
    assert both.dev.key == english.dev.key
    assert any("ı" not in e.text_a and e.text_a for e in both.train.examples[-150:])
    config.data.intermediate_languages = ("en", "tr")
    with pytest.raises(DataError, match="no labelled train data for tr"):
        opened(config, "mnli")


def test_tasks_with_the_same_labels_can_share_a_head(config):
    study, _ = opened(config, "mnli")
    tasks = [TASKS[name] for name in ("mnli", "squad", "snli")]
    for shared, names in ((True, {"mnli", "squad"}), (False, {"mnli", "squad", "snli"})):
        trainer = dataclasses.replace(study.trainer, shared_heads=shared)
        models = new_models(trainer, tasks, None, 0)
        assert set(models.params["heads"]) == names
    assert models.heads == {"mnli": "mnli", "squad": "squad", "snli": "snli"}


def test_shared_heads_do_not_rename_what_has_one_head(config):
    study, phase = opened(config, "mnli")
    mixed = opened(config, "mnli+squad")[1]

    def key(phase, shared: bool) -> str:
        trainer = dataclasses.replace(study.trainer, shared_heads=shared)
        return trainer.member(phase, trainer.pretrained_checkpoint(), 0, "").key

    assert key(phase, True) == key(phase, False)
    assert key(mixed, True) != key(mixed, False)


def test_mixtures_that_cannot_be_are_named(config):
    for name, match in (("mnli+mnli", "mnli"), ("mnli+direct", "`direct`"), ("mnli+x", "`x`")):
        config.intermediates = (name,)
        with pytest.raises(ConfigError, match=match):
            check(config)
    study, phase = opened(config, "mnli+squad")
    for match, mixture in (
        (r"1 weights \(1.0,\) for the 2 tasks", {"sampler": "given", "weights": (1.0,)}),
        ("sampler capped", {"weights": (1.0, 2.0)}),
        (r"0\.0, 0\.0", {"sampler": "given", "weights": (0.0, 0.0)}),
    ):
        config.mixture = MixtureConfig(**mixture)
        with pytest.raises(ConfigError, match=match):
            check(config)
    with pytest.raises(ConfigError, match="squad gets none"):
        planned(study, phase, sampler="given", weights=(1.0, 0.0), steps=10)


def test_test_sets_that_are_not_scored_are_predicted_and_written(config, data, tmp_path):
    config.data.dir = str(shutil.copytree(data, tmp_path / "data"))
    examples = {}
    for language in ("en", "de"):
        path = tmp_path / "data" / "xnli" / f"test-{language}.tsv"
        examples[language] = formats.xtreme_pairs([path], language, NLI)
    # With the labels of one language, dev is the split that more languages have.
    mini_formats.write_xtreme_pairs(path, [e._replace(label=None) for e in examples["de"]])
    config.intermediates = ("direct",)
    config.model.alias = "Mine"
    runner.run(config, str(tmp_path / "work"))
    rows = results.read_rows(tmp_path / "work" / "results.jsonl")
    assert {row["split"] for row in rows} == {"dev"}
    (folder,) = (tmp_path / "work" / "submissions").iterdir()
    assert folder.name == "Mine-direct-s0"
    for language in ("en", "de"):
        written = (folder / "xnli" / f"test-{language}.tsv").read_text().splitlines()
        assert len(written) == len(examples[language])
        assert set(written) <= set(NLI)
    before = (tmp_path / "work" / "results.jsonl").read_bytes()
    shutil.rmtree(folder)
    runner.run(config, str(tmp_path / "work"))
    assert (folder / "xnli" / "test-de.tsv").exists()
    assert (tmp_path / "work" / "results.jsonl").read_bytes() == before
    config.submission = False
    runner.run(config, str(tmp_path / "other"))
    assert not list((tmp_path / "other").glob("submissions/*/*/*"))


def test_the_official_score_of_a_submission_is_that_of_the_rows(config, tmp_path):
    config.intermediates, config.targets = ("direct",), ("xnli", "panx", "xquad", "tatoeba")
    config.target.eval_every, config.data.max_eval_examples = 1000, 0
    runner.run(config, str(tmp_path / "work"))
    work = tmp_path / "work"
    verdict = evaluate(
        work / "submissions" / "tiny-direct-s0", work / "labels", "xtreme", allow_missing=True
    )
    rows = results.read_rows(work / "results.jsonl")
    key = ("target", "metric", "language")
    compared = {tuple(r[k] for k in key): r["value"] for r in rows if "@" not in r["metric"]}
    assert len(compared) == 2 + 2 + 2 * 2 + 1
    for (target, metric, language), value in compared.items():
        assert verdict.scores[target][metric][language] == pytest.approx(value, rel=0, abs=1e-9)


def test_what_is_trained_alike_is_trained_once(config, tmp_path):
    """SQuAD as an intermediate task is what XQuAD trains on directly."""
    config.intermediates, config.targets = ("direct", "squad"), ("xquad",)
    runner.run(config, str(tmp_path))
    names = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.glob("phases/squad-*"))
    assert names == ["squad-after-squad-s0", "squad-s0"]
    rows = results.read_rows(tmp_path / "results.jsonl")
    assert {row["intermediate"] for row in rows} == {"direct", "squad"}
    assert len({row["run"] for row in rows}) == 2
