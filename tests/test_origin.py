"""The pretraining run that an encoder comes from: recorded, named in rows, told apart."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

from configs import pretrain_mini
from xt_jax import model as models
from xt_jax.config import Config, DataConfig, ModelConfig, RecipeOverrides, TrainConfig
from xt_jax.errors import DataError
from xt_jax.model.origin import Origin, family_of, read, write
from xt_jax.model.pretrained import open_pretrained, table_name
from xt_jax.records.results import read_rows
from xt_jax.study import runner

WORDS = "the old cat dog bird house sees finds and then small green river".split()


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Plain text in the form of files, enough for a few steps."""
    folder = tmp_path_factory.mktemp("text")
    rng = np.random.default_rng(0)
    (folder / "mlm").mkdir()
    for split, count in (("train", 200), ("dev", 20)):
        lines = (" ".join(rng.choice(WORDS, 8)) for _ in range(count))
        (folder / "mlm" / f"{split}-en.txt").write_text("".join(f"{line}.\n" for line in lines))
    return folder


def pretrained(text, workdir, run: int):
    """Pretrains mini-24 for six steps and keeps two checkpoints; returns the phase's folder."""
    config = pretrain_mini.get_config(f"size=mini-24,steps=6,batch=8,run={run}")
    config.data.source, config.data.dir = "files", str(text)
    config.train = TrainConfig(keep_steps=(2, 4), save_every_steps=3, tensorboard=False)
    runner.run(config, str(workdir))
    (phase,) = (workdir / "phases").glob(f"mlm-s{run}-*")
    return phase


def weights(folder):
    return words(open_pretrained(ModelConfig(str(folder))))


def words(found):
    """Returns the word embeddings of an opened encoder."""
    encoder = found.load(None, lambda _, x: jax.numpy.array(x))
    return np.asarray(encoder.embeddings.word.embedding[...])


def test_pretraining_records_its_run_and_keeps_checkpoints(text, tmp_path):
    phase = pretrained(text, tmp_path, run=3)
    (best,) = (phase / "best").iterdir()
    steps = int(best.name.removeprefix("step-"))
    assert read(best) == Origin("mini-24-s3", "mini", "mini-24-s3", steps)
    assert sorted(path.name for path in (phase / "kept").iterdir()) == ["step-2", "step-4"]
    for step in (2, 4):
        folder = phase / "kept" / f"step-{step}"
        found = open_pretrained(ModelConfig(str(folder)))
        assert found.origin == Origin(f"mini-24-s3-{step}", "mini", "mini-24-s3", step)
        assert found.name == table_name(ModelConfig(str(folder))) == f"mini-24-s3-{step}"
    assert not np.array_equal(
        weights(phase / "kept" / "step-2"), weights(phase / "kept" / "step-4")
    )
    assert table_name(ModelConfig(str(best), alias="mine")) == "mine"


def test_runs_differ_in_their_first_weights():
    first, again, second = (
        open_pretrained(ModelConfig("mini-24", random_init=True, random_seed=seed))
        for seed in (0, 0, 1)
    )
    assert first.key == again.key != second.key
    np.testing.assert_array_equal(words(first), words(again))
    assert not np.array_equal(words(first), words(second))
    assert (first.name, second.name) == ("mini-24-random", "mini-24-random1")
    assert first.origin.family == "mini-random"


def test_presets_know_their_family():
    families = {
        name: open_pretrained(ModelConfig(name, tokenizer="", random_init=True)).origin.family
        for name in ("mini-24", "mini-64")
    }
    assert set(families.values()) == {"mini-random"}
    assert open_pretrained(ModelConfig("mini-24")).origin == Origin("mini-24", "mini", "mini-24")
    assert family_of("EuroBERT/EuroBERT-210m") == "EuroBERT"


@pytest.mark.parametrize(
    "content", ["{}", "[]", "null", '{"name": "a", "family": "b", "run": "c", "steps": "d"}']
)
def test_a_damaged_record_is_named(tmp_path, content):
    write(tmp_path, Origin("a", "b", "c", 7))
    assert read(tmp_path) == Origin("a", "b", "c", 7)
    path = tmp_path / "pretraining.json"
    assert json.loads(path.read_text()) == {"name": "a", "family": "b", "run": "c", "steps": 7}
    path.write_text(content)
    with pytest.raises(DataError, match="pretraining run") as error:
        read(tmp_path)
    assert error.value.where == str(path)
    path.unlink()
    assert read(tmp_path) is None


def test_a_record_is_read_once(tmp_path, monkeypatch, mini_tokenizer_folder):
    encoder = open_pretrained(ModelConfig("mini-24")).load(None, lambda _, x: jax.numpy.array(x))
    models.save(encoder, tmp_path)
    write(tmp_path, Origin("mini-24-s1", "mini", "mini-24-s1", 7))
    read_from = []

    def counted(folder):
        read_from.append(folder)
        return read(folder)

    monkeypatch.setattr("xt_jax.model.pretrained.read", counted)
    tokenizer = str(mini_tokenizer_folder)
    found = open_pretrained(ModelConfig(str(tmp_path), tokenizer))
    assert (found.name, found.origin.run) == ("mini-24-s1", "mini-24-s1")
    assert len(read_from) == 1
    fresh = open_pretrained(ModelConfig(str(tmp_path), tokenizer, random_init=True))
    assert (fresh.name, fresh.origin.run) == ("mini-24-s1-random", "mini-24-s1-random")
    assert len(read_from) == 2


def test_rows_say_what_their_scores_depend_on(world, tmp_path):
    recipe = RecipeOverrides(learning_rate=1e-3, epochs=1, max_length=96)
    config = Config(
        model=ModelConfig("mini-24"),
        data=DataConfig(dir=str(world), max_train_examples=32, max_eval_examples=10),
        languages=("en", "de"),
        intermediates=("direct", "squad"),
        targets=("xnli", "tatoeba"),
        intermediate=recipe,
        target=recipe,
        seeds=2,
    )
    runner.run(config, str(tmp_path))
    rows = read_rows(tmp_path / "results.jsonl")
    done = {
        path.parent.name.split("-s")[1][0]: json.loads(path.read_text())["best"]
        for path in (tmp_path / "phases").glob("squad-s*/done.json")
    }
    recipes = {}
    for row in rows:
        assert (row["family"], row["pretraining"]) == ("mini", row["model"])
        if row["intermediate"] == "direct":
            assert "intermediate_score" not in row
        else:
            assert row["intermediate_score"] == done[str(row["seed"])]
            assert row["intermediate_rate"] == 1e-3
        if row["target"] == "tatoeba":
            assert (row["layer_chosen"], "recipe" in row) == ("published", False)
            assert "learning_rate" not in row
        else:
            assert row["learning_rate"] == 1e-3
            recipes.setdefault(row["intermediate"], set()).add(row["recipe"])
    assert recipes["direct"] == recipes["squad"]
    assert len(recipes["direct"]) == 1
