"""Everything wrong in the input ends before training, with place and remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from checking import edit
from etils import epath
from flax import nnx
from safetensors.numpy import load_file, save_file

from xt_jax import model as models
from xt_jax.config import Config, DataConfig, ModelConfig, parse_arg, unknown_field
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.errors import ConfigError, DataError, UserError, WeightsError
from xt_jax.model import pretrained as encoders
from xt_jax.study import build, runner

TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "tatoeba")  # those that the world has
LANGUAGES = ("en", "de")


@pytest.fixture
def data(world, tmp_path) -> Path:
    """A copy of the embedded world to damage."""
    return Path(shutil.copytree(world, tmp_path / "data"))


@pytest.fixture
def config(data, mini_tokenizer_folder) -> Config:
    return Config(
        model=ModelConfig("tiny", str(mini_tokenizer_folder)),
        data=DataConfig(dir=str(data)),
        targets=TARGETS,
        languages=LANGUAGES,
    )


@pytest.fixture
def opened(config, tmp_path, monkeypatch):
    """`run`, up to where training would begin."""

    def no_training(*_):
        raise AssertionError("training began")

    monkeypatch.setattr(runner, "run_job", no_training)

    def run(error: type[UserError] = DataError) -> UserError:
        with pytest.raises(error) as caught:
            runner.run(config, str(tmp_path / "work"))
        assert caught.value.where
        assert caught.value.remedy
        return caught.value

    return run


@pytest.mark.slow
def test_the_undamaged_world_reaches_training(config, tmp_path, monkeypatch):
    reached = []
    monkeypatch.setattr(runner, "run_job", lambda study, job, _: {reached.append(job)})
    runner.run(config, str(tmp_path / "work"))
    assert {job.intermediate for job in reached} == {"mnli"}
    assert {target for job in reached for target in job.targets} == set(TARGETS)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("xnli/test-de.tsv", "\tneutral", "\tneutrall"), ("udpos/train-en.tsv", "\tNOUN", "\tNOUNS")],
)
def test_a_label_that_is_not_in_the_list(data, opened, name, old, new):
    line = edit(data / name, old, new)
    error = opened()
    assert error.where == f"{data / name}:{line}"
    assert new.strip() in error.problem


def test_a_missing_language_names_its_file(data, config, opened, tmp_path, monkeypatch):
    for split in ("dev", "test"):
        (data / "panx" / f"{split}-de.tsv").unlink()
    error = opened()
    assert "panx" in error.problem
    assert " de" in error.problem
    assert str(data / "panx" / "test-de.tsv") in error.where
    assert "allow_missing" in error.remedy
    config.allow_missing = True
    seen = []
    monkeypatch.setattr(runner, "run_job", lambda study, *_: {seen.append(study)})
    runner.run(config, str(tmp_path / "work"))
    assert [d.language for d in seen[0].targets["panx"].scored] == ["en"]


def test_missing_training_data_leaves_the_task_out_only_when_allowed(data, config, opened):
    (data / "paws_x" / "train-en.tsv").unlink()
    assert str(data / "paws_x" / "train-en.tsv") in opened().where
    config.allow_missing = True
    study = build.build_study(config, epath.Path(data.parent / "work"))
    assert "pawsx" not in study.targets
    assert "xnli" in study.targets


def test_no_intermediate_data_with_allow_missing_is_not_a_silent_nothing(data, config, opened):
    (data / "mnli" / "train.tsv").unlink()
    config.allow_missing = True
    assert "mnli" in opened(ConfigError).problem


def test_an_unlabelled_training_file(data, opened):
    path = data / "udpos" / "train-en.tsv"
    words = (line.split("\t")[0] for line in path.read_text().split("\n"))
    path.write_text("\n".join(words))
    error = opened()
    assert error.where == str(path)
    assert "no example has a label" in error.problem


def test_a_partly_labelled_file(data, opened):
    path = data / "xquad" / "xquad.de.json"
    document = json.loads(path.read_text())
    question = document["data"][0]["paragraphs"][0]["qas"][0]
    question["answers"] = []
    path.write_text(json.dumps(document))
    error = opened()
    assert error.where == f"{path}:1"
    assert question["id"] in error.problem


def test_a_small_official_file_gives_way_to_a_stand_in_only_when_files_may_be_missing(
    data, config, tmp_path
):
    official = data / "paws_x" / "train-en.tsv"
    lines = official.read_text().splitlines(keepends=True)
    official.write_text("".join(lines[:4]))
    (data / "paws_x" / "paws_wiki").mkdir()
    rows = "".join(f"{i}\t{line}" for i, line in enumerate(lines))
    (data / "paws_x" / "paws_wiki" / "dev.tsv").write_text(
        "id\tsentence1\tsentence2\tlabel\n" + rows.replace("\r", "")
    )

    def rows_trained_on() -> int:
        study = build.build_study(config, epath.Path(tmp_path / "work"))
        return len(study.targets["pawsx"].train.examples)

    assert rows_trained_on() == 4
    config.allow_missing = True
    assert rows_trained_on() == len(lines)
    official.write_text("".join(lines[:40]))
    assert rows_trained_on() == 40


def test_fewer_examples_are_spaced_over_a_file_that_is_sorted_by_label(data, config, tmp_path):
    path = data / "mnli" / "train.tsv"
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text(header + "".join(sorted(lines, key=lambda line: line.split("\t")[-1])))
    config.data.max_train_examples = 30
    study = build.build_study(config, epath.Path(tmp_path / "work"))
    train = study.intermediates["mnli"].parts[0].train
    assert np.bincount(train.features.fields["label"]).tolist() == [10, 10, 10]


def test_a_damaged_cache_is_made_again(config, tmp_path):
    first = build.build_study(config, epath.Path(tmp_path / "work"))
    for path in (tmp_path / "work" / "cache").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    again = build.build_study(config, epath.Path(tmp_path / "work"))
    before, after = (s.targets["panx"].train.features for s in (first, again))
    np.testing.assert_array_equal(before.tokens["input_ids"], after.tokens["input_ids"])


def test_a_damaged_results_file(config, opened, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "results.jsonl").write_text('{"model": "tiny"}\n')
    assert opened().where == f"{tmp_path / 'work' / 'results.jsonl'}:1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("targets", ("xnlii",)),
        ("intermediates", ("mnlii",)),
        ("languages", ("xx",)),
        ("data.eval_split", "tset"),
        ("model.name", "giant"),
        ("model.remat", "some"),
        ("model.dtype", "float8"),
        ("train.model_axis", 3),
        ("train.sharding", "sometimes"),
        ("train.accumulate", 0),
        ("seeds", 0),
        ("data.max_train_examples", -1),
        ("target.warmup_ratio", 1.5),
        ("intermediate.learning_rate", -1.0),
        ("target.max_length", 40),
        ("target.batch_size", 0),
        ("data.source", "tape"),
        ("intermediates", ("mnli+direct",)),
        ("mixture.sampler", "random"),
        ("mixture.cap", 0),
        ("mixture.temperature", 0.0),
        ("mixture.weights", (-1.0,)),
        ("mixture.mlm_ratio", 1.0),
        ("mixture.mlm_exponent", -0.5),
    ],
)
def test_a_value_that_cannot_be(config, opened, field, value):
    *parents, name = field.split(".")
    section = config
    for parent in parents:
        section = getattr(section, parent)
    setattr(section, name, value)
    error = opened(ConfigError)
    shown = value if not isinstance(value, tuple) else value[0]
    assert str(shown).split("+")[-1] in str(error)


def test_a_misspelt_field_is_named_with_its_neighbours():
    error = unknown_field(["run.py", "--config=x.py", "--config.target.learnin_rate=1e-5"])
    assert error.where == "--config.target.learnin_rate"
    assert "target.learning_rate" in error.remedy


def test_options_of_a_page_are_closed_and_typed():
    assert parse_arg("size=large,seeds=3", size="base", seeds=1) == {"size": "large", "seeds": 3}
    with pytest.raises(ConfigError, match="no option `sizze`"):
        parse_arg("sizze=large", size="base")
    with pytest.raises(ConfigError, match="wants a int"):
        parse_arg("seeds=many", size="base", seeds=1)


@pytest.fixture
def weights(config, tmp_path, mini_tokenizer) -> Path:
    """A weights folder that the configuration names."""
    folder = tmp_path / "weights"
    preset = models.preset("tiny", len(mini_tokenizer)).config
    models.save(models.Encoder(preset, rngs=nnx.Rngs(0)), folder)
    config.model.name = str(folder)
    return folder


def test_a_weights_folder_that_fits_is_loaded(config, weights, tmp_path):
    study = build.build_study(config, epath.Path(tmp_path / "work"))
    encoder = study.trainer.pretrained.load(None, lambda path, array: jax.numpy.asarray(array))
    stored = load_file(weights / "model.safetensors")
    np.testing.assert_array_equal(
        jax.device_get(encoder.embeddings.word.embedding[...]),
        stored["embeddings.word_embeddings.weight"],
    )


@pytest.mark.parametrize("fault", ["missing", "extra"])
def test_a_weights_folder_with_a_missing_or_extra_tensor(weights, opened, fault):
    tensors = load_file(weights / "model.safetensors")
    name = "encoder.layer.1.output.dense.bias"
    if fault == "missing":
        del tensors[name]
    else:
        name = "encoder.layer.2.output.dense.bias"
        tensors[name] = np.zeros(64, np.float32)
    save_file(tensors, weights / "model.safetensors")
    error = opened(WeightsError)
    assert name in error.problem
    assert str(weights) in error.where


@pytest.mark.parametrize("more", [-10, 2000])
def test_a_tokenizer_that_does_not_fit_the_vocabulary(
    config, tmp_path, opened, mini_tokenizer, more
):
    folder = tmp_path / "weights"
    size = len(mini_tokenizer) + more
    models.save(models.Encoder(models.preset("tiny", size).config, rngs=nnx.Rngs(0)), folder)
    config.model.name = str(folder)
    error = opened(ConfigError)
    assert "model.tokenizer" in error.where
    assert str(size) in error.problem
    assert str(len(mini_tokenizer)) in error.problem


def test_a_weights_folder_without_a_tokenizer_gets_none_from_elsewhere(config, weights, opened):
    config.model.tokenizer = ""
    config.data.source = "mini"  # whose own tokenizer is for random weights only
    error = opened(ConfigError)
    assert error.where == f"--config.model.tokenizer={weights}"
    assert "sentencepiece.bpe.model" in error.problem


def test_the_datas_own_tokenizer_serves_random_weights_only():
    def chosen(name: str, tokenizer: str = "") -> str:
        return encoders._tokenizer_name(ModelConfig(name, tokenizer), models.preset(name), "mini")

    assert chosen("tiny") == "mini"
    assert chosen("base") == "FacebookAI/xlm-roberta-base"
    assert chosen("base", "mine") == chosen("tiny", "mine") == "mine"


def test_sentencepiece_files_are_xlm_r_whatever_config_json_says(shared, tmp_path):
    shutil.copy(shared / "tokenizer" / "xlm-roberta" / "sentencepiece.bpe.model", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = load_tokenizer(str(tmp_path))
    assert len(tokenizer) == 250_002
    assert tokenizer("Hello world!")["input_ids"] == [0, 35378, 8999, 38, 2]


def test_a_tokenizer_that_is_not_there(config, opened):
    config.model.tokenizer = "nowhere/at-all"
    assert "nowhere/at-all" in opened(ConfigError).where


def test_random_weights_without_a_tokenizer(config, opened):
    config.model.tokenizer = ""
    assert "tokenizer" in opened(ConfigError).where
