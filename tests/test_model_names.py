"""A model's name in tables, and random weights in the place of trained ones."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from xt_jax import model as xm
from xt_jax.config import Config, DataConfig, ModelConfig
from xt_jax.errors import ConfigError, WeightsError
from xt_jax.mini.weights import tokenizer_folder, weights_folder
from xt_jax.model.pretrained import open_pretrained, table_name
from xt_jax.study import runner
from xt_jax.study.check import check
from xt_jax.study.forecast import architecture_of


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of trained weights with their tokenizer."""
    target = Path(shutil.copytree(weights_folder("mini-24"), tmp_path / "trained"))
    shutil.copytree(tokenizer_folder(), target, dirs_exist_ok=True)
    return target


def load(config: ModelConfig) -> np.ndarray:
    encoder = open_pretrained(config).load(None, lambda path, array: jax.numpy.asarray(array))
    return np.asarray(encoder.embeddings.word.embedding[...])


def test_random_weights_of_a_folder(folder):
    """A preset's random weights of the same architecture are the independent right value."""
    trained, random = (ModelConfig(str(folder), random_init=r) for r in (False, True))
    first, second = open_pretrained(trained), open_pretrained(random)
    assert (first.name, second.name) == ("trained", "trained-random")
    assert first.key != second.key
    preset = open_pretrained(ModelConfig("mini-24", random_init=True))
    assert preset.name == "mini-24-random"
    fields = ("hidden_size", "num_layers", "num_heads", "intermediate_size", "vocab_size")
    for field in fields:
        assert getattr(second.config, field) == getattr(first.config, field)
    weights = load(random)
    assert not np.array_equal(weights, load(trained))
    encoder = xm.Encoder(second.config, rngs=nnx.Rngs(0))
    expected = encoder.embeddings.word.embedding[...]
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-7)
    (folder / "model.safetensors").unlink()
    np.testing.assert_array_equal(load(random), weights)


def test_random_weights_of_a_hub_id_fetch_config_json_alone(folder, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot(hub_id, allow_patterns):
        asked.append((hub_id, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    config = ModelConfig("owner/some-model", str(folder), random_init=True)
    assert open_pretrained(config).name == "some-model-random"
    assert asked == [("owner/some-model", ["config.json"])]
    assert architecture_of("owner/some-model").hidden_size == 24


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base", "xlm-roberta-base"),
        ("minilm-l6", "mMiniLMv2-L6-H384-distilled-from-XLMR-Large"),
        ("facebook/xlm-roberta-xl", "xlm-roberta-xl"),
        ("owner/name", "name"),
        ("some/folder/here/", "here"),
        ("/some/folder/here", "here"),
        ("gs://bucket/folder/here/", "here"),
        ("./", Path.cwd().name),
        ("tiny", "tiny"),
    ],
)
def test_the_last_part_is_the_name(name, expected):
    assert table_name(ModelConfig(name)) == expected
    assert table_name(ModelConfig(name, alias="Mine")) == "Mine"


@pytest.mark.parametrize(
    "alias", ["a/b", "a\\b", ".hidden", "a\nb", "a\tb", "=1+1", "x" * 101, " "]
)
def test_an_alias_that_cannot_be(alias):
    with pytest.raises(ConfigError, match="cannot be") as error:
        check(Config(model=ModelConfig(alias=alias)))
    assert error.value.where == "--config.model.alias"


def test_two_models_of_a_study_with_one_name():
    for names, alias in ((("a/same", "b/same"), ""), (("tiny", "small"), "mine")):
        config = Config(model=ModelConfig(names[0], alias=alias), models=names)
        with pytest.raises(ConfigError, match=" and |, ".join(names)) as error:
            check(config)
        assert "--config.model.alias" in error.value.where
    check(Config(model=ModelConfig("a/one"), models=("a/one", "a/two")))


@pytest.fixture
def study(folder, tmp_path):
    """A study without training: Tatoeba of two languages with the encoder as it is."""
    data = DataConfig(source="mini", max_train_examples=64, max_eval_examples=20)
    model = ModelConfig(str(folder), alias="Mine")
    return Config(
        model=model,
        data=dataclasses.replace(data, cache_dir=str(tmp_path / "cache")),
        targets=("tatoeba",),
        intermediates=("direct",),
        languages=("de",),
    )


def rows_of(workdir: Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]


def test_one_name_for_one_model_of_a_workdir(study, tmp_path, one_device):
    work = tmp_path / "work"
    assert "Mine" in runner.run(study, str(work))
    assert {row["model"] for row in rows_of(work)} == {"Mine"}
    trained = {row["run"] for row in rows_of(work)}

    again = dataclasses.replace(study, model=dataclasses.replace(study.model, random_init=True))
    with pytest.raises(ConfigError, match=r"Mine .*another model: .*/trained\.") as error:
        runner.run(again, str(work))
    assert "alias" in error.value.remedy
    random = dataclasses.replace(study, model=ModelConfig(study.model.name, random_init=True))
    runner.run(random, str(work))
    rows = [row for row in rows_of(work) if row["model"] == "trained-random"]
    assert rows
    assert not trained & {row["run"] for row in rows}
    runner.run(study, str(work))  # the first one goes on


@pytest.mark.parametrize("random_init", [False, True])
def test_a_damaged_config_is_named_before_the_tokenizer_is_opened(folder, random_init):
    (folder / "config.json").write_text("[1, 2]")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsError, match="must hold a JSON object") as error:
        open_pretrained(ModelConfig(str(folder), random_init=random_init))
    assert error.value.where == str(folder / "config.json")
