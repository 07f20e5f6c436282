"""Tests of whole studies: the real data they read, what they save and how often they compile."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import jax
import numpy as np
import pytest
from etils import epath

from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides
from xt_jax.errors import ConfigError, DataError
from xt_jax.model.sharding import make_mesh
from xt_jax.preemption import Preempted
from xt_jax.records import results
from xt_jax.study import build, job, runner
from xt_jax.study.phases import Checkpoint, Member
from xt_jax.study.schedule import Planner
from xt_jax.tasks.table import FAMILIES, TASKS
from xt_jax.train import loop

pytestmark = pytest.mark.slow


@pytest.fixture
def real(shared, tmp_path):
    """A configuration for the real data."""
    tokenizer = str(shared / "tokenizer" / "xlm-roberta")
    return Config(
        model=ModelConfig("tiny", tokenizer),
        data=DataConfig(dir=str(shared / "data"), cache_dir=str(tmp_path / "cache")),
        allow_missing=True,
    )


@pytest.fixture
def mini(world, mini_tokenizer_folder):
    recipe = RecipeOverrides(learning_rate=1e-3, epochs=2, max_length=96, eval_every=3)
    return Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(world), max_train_examples=128, max_eval_examples=20),
        languages=("en", "de", "tr"),
        targets=("xnli",),
        intermediates=("direct",),
        intermediate=recipe,
        target=recipe,
    )


def test_every_labelled_language_of_the_real_data_is_scored(real, tmp_path):
    study = build.build_study(real, epath.Path(tmp_path / "work"))
    scored = {name: {d.language for d in data.scored} for name, data in study.targets.items()}
    missing = {name: set(TASKS[name].languages) - langs for name, langs in scored.items()}
    assert {name: langs for name, langs in missing.items() if langs} == {
        "panx": {"th"},
        "bucc": {"de", "fr", "ru"},
    }
    assert len(scored["xnli"]) == 15
    assert len(scored["tatoeba"]) == 36
    splits = {d.language: d.split for d in study.targets["udpos"].scored}
    assert {lang for lang, split in splits.items() if split == "test"} == {"kk", "th", "tl", "yo"}
    assert {d.split for d in study.targets["xnli"].scored} == {"dev"}
    assert {d.split for d in study.targets["xquad"].scored} == {"test"}
    # the four official PAWS-X training rows are less than one batch
    assert len(study.targets["pawsx"].train.examples) == 3000


def test_the_scored_split_can_be_forced(mini, tmp_path):
    for split in ("dev", "test"):
        mini.data.eval_split = split
        study = build.build_study(mini, epath.Path(tmp_path / split))
        assert {d.split for d in study.targets["xnli"].scored} == {split}
    mini.targets = ("xquad",)
    mini.data.eval_split = "dev"
    with pytest.raises(DataError, match="no labelled dev data"):
        build.build_study(mini, epath.Path(tmp_path / "xquad"))


def test_dev_examples_for_selection_are_spaced(real, tmp_path):
    real.targets = ("panx",)
    dev = build.build_study(real, epath.Path(tmp_path / "work")).targets["panx"].dev
    ids = [int(example.id) for example in dev.examples]
    assert len(ids) == 500
    assert (ids[0], ids[-1]) == (0, 999)


def test_a_phase_compiles_one_step_and_one_prediction(mini, tmp_path, monkeypatch):
    """Training, evaluation on dev in between, then three languages of one shape."""
    traces = {"loss": 0, "predict": 0}
    family = FAMILIES["pairs"]

    def counted(name):
        function = getattr(family, name)

        def wrapped(*args):
            traces[name] += 1
            return function(*args)

        return wrapped

    changed = dataclasses.replace(family, loss=counted("loss"), predict=counted("predict"))
    monkeypatch.setitem(FAMILIES, "pairs", changed)
    runner.run(mini, str(tmp_path))
    assert traces["loss"] == 1
    assert traces["predict"] == 2  # the shape of dev, and that of the three languages


def test_what_is_left_is_scored_as_it_would_have_been(mini, tmp_path, monkeypatch):
    whole = tmp_path / "results.jsonl"
    runner.run(mini, str(tmp_path))
    expected = whole.read_bytes()
    lines = expected.decode().splitlines(keepends=True)
    whole.write_text("".join(lines[:1]))
    monkeypatch.setattr(Planner, "plan_anew", None)  # what is trained is not planned again
    runner.run(mini, str(tmp_path))
    assert whole.read_bytes() == expected


def test_an_untrained_encoder_is_scored_once_for_all_seeds(mini, tmp_path, monkeypatch):
    loaded, load = [], job.load_scorer
    monkeypatch.setattr(job, "load_scorer", lambda *args: loaded.append(args) or load(*args))
    mini.seeds, mini.targets = 3, ("tatoeba",)
    runner.run(mini, str(tmp_path))
    assert len(loaded) == 1
    rows = results.read_rows(tmp_path / "results.jsonl")
    by_seed = [[{**row, "seed": 0} for row in rows if row["seed"] == seed] for seed in range(3)]
    assert by_seed[0]
    assert by_seed[0] == by_seed[1] == by_seed[2]


def test_a_done_phase_keeps_one_best_folder_with_its_tokenizer(mini, tmp_path):
    runner.run(mini, str(tmp_path))
    (best,) = tmp_path.glob("phases/*/best/*")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in best.iterdir()
    }
    again = dataclasses.replace(mini, model=ModelConfig(str(best)))
    build.build_study(again, epath.Path(tmp_path / "again"))


def test_bests_that_a_saved_state_names_are_kept(tmp_path):
    for step in (2, 4, 6):
        (tmp_path / "best" / f"step-{step}").mkdir(parents=True)
    Member(0, 0, Checkpoint(""), "", epath.Path(tmp_path)).keep_bests({2, 6})
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == ["step-2", "step-6"]


@pytest.mark.parametrize("layout", ["replicated", "fsdp"])
def test_a_study_on_eight_devices_scores_like_on_one(mini, tmp_path, layout, monkeypatch):
    """Small scores differ by whole examples; test_train compares losses."""
    mini.train.sharding = layout
    mini.targets = ("tatoeba",)
    mini.intermediates = ("direct",)
    values = []
    for devices in (1, 8):
        mesh = make_mesh(1, jax.devices()[:devices])
        monkeypatch.setattr(build, "make_mesh", lambda _, mesh=mesh: mesh)
        runner.run(mini, str(tmp_path / str(devices)))
        rows = results.read_rows(tmp_path / str(devices) / "results.jsonl")
        values.append([row["value"] for row in rows])
    np.testing.assert_allclose(values[0], values[1])


def test_a_study_goes_on_on_fewer_devices(mini, tmp_path, monkeypatch, caplog):
    """A study stopped on four devices continues on two with the same batches."""
    mini.intermediates, mini.train.rows_multiple = ("mnli",), 4
    mini.train.save_every_steps, mini.target.epochs = 2, 3
    mini.train.log_every = 1
    caplog.set_level("INFO", "absl")
    keys, losses = [], []
    for name, counts in (("whole", (4,)), ("moved", (4, 2))):
        for devices in counts:
            mesh = make_mesh(1, jax.devices()[:devices])
            monkeypatch.setattr(build, "make_mesh", lambda _, mesh=mesh: mesh)
            with monkeypatch.context() as patch, contextlib.suppress(Preempted):
                if devices == 4 and name == "moved":
                    patch.setattr(loop, "_is_due", stop_after(4, "xnli"))
                runner.run(mini, str(tmp_path / name))
        rows = results.read_rows(tmp_path / name / "results.jsonl")
        keys.append([(row["run"], row["language"], row["metric"]) for row in rows])
        (log,) = tmp_path.glob(f"{name}/phases/xnli-*/log.jsonl")
        losses.append({line["step"]: line["loss"] for line in lines_of(log) if "loss" in line})
    assert keys[0] == keys[1]
    assert losses[0].keys() == losses[1].keys()
    np.testing.assert_allclose(*(list(of_step.values()) for of_step in losses), rtol=1e-4)
    assert "carrying on after step 4" in caplog.text
    mini.train.rows_multiple = 3
    with pytest.raises(ConfigError, match="multiples of 3 do not divide over 2 devices"):
        runner.run(mini, str(tmp_path / "odd"))


def lines_of(log) -> list[dict]:
    return list(map(json.loads, log.read_text().splitlines()))


def stop_after(steps: int, phase: str):
    """Stops after a step as if requested; in the loop's `_is_due`, once the step is made."""

    is_due = loop._is_due

    def stopping(run, step: int) -> bool:
        if next(iter(run.folders)).startswith(phase) and step == steps:
            raise Preempted
        return is_due(run, step)

    return stopping
