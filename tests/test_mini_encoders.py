"""Tests the mini encoders: presets, pretraining without targets, and shipping."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pieces import folder_of_pieces, lines_of_words  # noqa: F401
from safetensors.numpy import load_file

from configs import pretrain_mini
from xt_jax import model as models
from xt_jax.config import Config, ModelConfig
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.errors import ConfigError, DataError, WeightsError
from xt_jax.ladder import ship as shipping
from xt_jax.mini import weights
from xt_jax.mini.tokenizer import train_tokenizer
from xt_jax.model import pretrained as encoders
from xt_jax.model.presets import MINI
from xt_jax.model.sharding import make_mesh
from xt_jax.study import build, runner
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import TASKS
from xt_jax.train.optim import make_optimizer


def test_the_ladder():
    sizes = (0.0144, 0.025, 0.057, 0.15, 0.336, 0.79, 2.7, 7.9)
    assert tuple(pretrain_mini.SIZES) == MINI
    for name, millions in zip(MINI, sizes, strict=True):
        config = models.preset(name, 1234).config
        encoder, _ = models.count_params(models.abstract_encoder(config))
        assert encoder / 1e6 == pytest.approx(millions, rel=0.02)
        assert (config.vocab_size, config.max_positions) == (1234, 514)
        assert config.dropout == config.attention_dropout == 0


def test_a_size_that_is_not_there_is_an_error_with_the_command(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(weights, "ENCODERS", tmp_path)
    with pytest.raises(ConfigError, match="mini-256 do not come") as error:
        encoders.open_pretrained(ModelConfig("mini-256"))
    assert "configs/pretrain_mini.py:size=mini-256" in error.value.remedy
    assert "xt_jax.ladder.ship" in error.value.remedy
    with pytest.raises(ConfigError, match="holds no tokenizer") as error:
        encoders.open_pretrained(ModelConfig("mini-256", random_init=True))
    assert "python -m xt_jax.mini.tokenizer" in error.value.remedy
    shutil.copytree(folder, tmp_path / "tokenizer")
    source = encoders.open_pretrained(ModelConfig("mini-48", random_init=True), "of the data")
    assert (source.name, source.folder) == ("mini-48-random", None)
    assert source.config.vocab_size == len(source.tokenizer) == len(load_tokenizer(str(folder)))
    with pytest.raises(ConfigError, match="`mini-40` is not a size"):
        pretrain_mini.get_config("size=mini-40")


def test_only_masked_language_modelling_has_another_second_moment():
    others = {task.recipe.adam_b2 for task in TASKS.values() if task.name != "mlm"}
    assert (TASKS["mlm"].recipe.adam_b2, others) == (0.98, {0.999})
    params = nnx.State({"kernel": nnx.Param(jnp.ones((2,)))})
    optimizer = make_optimizer(Recipe(adam_b2=0.75, clip_norm=0.0), 10)
    _, state = optimizer.update(params, optimizer.init(params), params)
    (second,) = jax.tree.leaves(next(part.nu for part in state if hasattr(part, "nu")))
    np.testing.assert_allclose(second, 0.25)


def pretraining(data: Path, folder: Path, arg: str = "size=mini-48,steps=5,batch=8") -> Config:
    config = pretrain_mini.get_config(arg)
    config.data.source, config.data.dir = "files", str(data)
    config.model.tokenizer = str(folder)
    config.intermediate.eval_every = 2
    return config


@pytest.fixture(scope="module")
def text(lines, tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("text")
    (data / "mlm").mkdir()
    for language, first in (("en", 0), ("zh", 150)):
        chosen = lines[30:][first : first + 150]
        (data / "mlm" / f"train-{language}.txt").write_text("\n".join(chosen[:100]) + "\n")
        (data / "mlm" / f"dev-{language}.txt").write_text("\n".join(chosen[100:]) + "\n")
    return data


@pytest.fixture(scope="module")
def trained(text, folder, tmp_path_factory) -> tuple[Path, str]:
    """Pretrains a small encoder; returns (the phase's folder, the run's output)."""
    workdir = tmp_path_factory.mktemp("pretraining")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "make_mesh", lambda _: make_mesh(1, jax.devices()[:1]))
        printed = runner.run(pretraining(text, folder), str(workdir))
    (phase,) = (workdir / "phases").iterdir()
    return phase, printed


def test_a_study_without_targets_trains_the_intermediate_phase_alone(trained):
    phase, printed = trained
    (best,) = (phase / "best").iterdir()
    assert printed == f"mini-48-random after mlm, seed 0: {best} (best neg_loss on dev)"
    names = {path.name for path in best.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not (phase.parent.parent / "results.jsonl").exists()
    done, record = (json.loads((phase / name).read_text()) for name in ("done.json", "phase.json"))
    assert done["steps"] == record["steps"] == 5
    assert (record["model"], record["phase"], record["seed"]) == ("mini-48-random", "mlm", "0")
    rows, length = record["rows"]["mlm"]
    assert 0.5 * 5 * rows * length < record["tokens"] <= 5 * rows * length
    assert record["recipe"]["adam_b2"] == 0.98


def test_no_target_goes_with_intermediate_tasks_only(text, folder, tmp_path):
    for intermediates, targets in ((("direct",), ("none",)), (("mlm",), ("none", "xnli"))):
        config = pretraining(text, folder)
        config.intermediates, config.targets = intermediates, targets
        with pytest.raises(ConfigError, match="No target is to be trained") as error:
            runner.run(config, str(tmp_path))
        assert "targets" in error.value.where
        assert all(name in error.value.problem for name in (*intermediates, *targets))


def shipped(run, text, folder, output, **changes) -> Path:
    given = {"trained": run[0], "name": "mini-48", "data_dir": text, "tokenizer": folder}
    return Path(shipping.ship(**{**given, "output": output, **changes}))


def test_what_is_shipped_is_found_by_its_name(trained, text, folder, tmp_path, monkeypatch):
    target = shipped(trained, text, folder, tmp_path)
    assert {p.name for p in target.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    (best,) = (trained[0] / "best").iterdir()
    half, full = (load_file(each / "model.safetensors") for each in (target, best))
    assert set(half) == set(full)
    assert "lm_head.dense.weight" in half
    for name, array in half.items():
        assert array.dtype == np.float16
        np.testing.assert_array_equal(array, full[name].astype(np.float16))

    monkeypatch.setattr(weights, "ENCODERS", tmp_path)
    shutil.copytree(folder, tmp_path / "tokenizer")
    source = encoders.open_pretrained(ModelConfig("mini-48"), "of the data")
    assert (source.name, Path(source.folder)) == ("mini-48", target)
    assert source.config.dropout == source.config.attention_dropout == 0
    model, _ = models.load_model(source.folder)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {np.dtype("float32")}
    saved = tmp_path / "again"
    models.save(model, saved, dtype="float16")
    assert (saved / "model.safetensors").read_bytes() == (target / "model.safetensors").read_bytes()


def test_the_card_says_how_it_was_made_and_the_losses(trained, text, folder, tmp_path):
    """A model that knows nothing has a loss of log V on every token."""
    target = shipped(trained, text, folder, tmp_path)
    card = (target / "README.md").read_text()
    record = json.loads((trained[0] / "phase.json").read_text())
    tokenizer = load_tokenizer(str(folder))
    losses = shipping.dev_losses(target, tokenizer, text, 64)
    assert set(losses) == {"en", "zh"}
    wanted = [record["command"], "| seed | 0 |", f"{record['tokens']:,}", "56,544", "CPU cores"]
    wanted += [f"| {language} | {loss:.3f} |" for language, loss in losses.items()]
    assert [words for words in wanted if words not in card] == []
    model, _ = models.load_model(target)
    words = model.encoder.config.vocab_size
    model.encoder.embeddings.word.embedding[...] = jnp.zeros((words, 48))
    model.head.bias[...] = jnp.zeros((words,))
    models.save(model, tmp_path / "blank")
    losses = shipping.dev_losses(tmp_path / "blank", tokenizer, text, 64)
    np.testing.assert_allclose(list(losses.values()), np.log(words), rtol=1e-6)


def test_what_cannot_be_shipped_leaves_the_earlier_one(
    trained, text, folder, lines, tmp_path, tmp_path_factory
):
    target = shipped(trained, text, folder, tmp_path)
    before = {p.name: p.read_bytes() for p in target.iterdir()}
    unfinished = tmp_path_factory.mktemp("phases") / "mlm-s0-1"
    shutil.copytree(trained[0], unfinished)
    (unfinished / "done.json").unlink()
    other = train_tokenizer(lines, tmp_path_factory.mktemp("other"), 190)
    for error, message, changes in (
        (ConfigError, "not the dimensions of mini-64", {"name": "mini-64"}),
        (ConfigError, "not the dimensions of mini-48", {"tokenizer": other}),
        (ConfigError, "no done.json", {"trained": unfinished}),
        (DataError, "no text to measure the losses on", {"data_dir": folder}),
    ):
        with pytest.raises(error, match=message):
            shipped(trained, text, folder, tmp_path, **changes)
        assert {p.name: p.read_bytes() for p in target.iterdir()} == before
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} == {"mini-48"}


def test_another_tokenizer_of_the_same_size_is_noticed(trained, text, folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    pieces = json.loads((other / "tokenizer.json").read_text())
    pieces["model"]["vocab"][10][1] -= 1.0
    (other / "tokenizer.json").write_text(json.dumps(pieces))
    with pytest.raises(ConfigError, match="another tokenizer"):
        shipped(trained, text, folder, tmp_path, tokenizer=other)


def test_the_clock_of_a_phase_that_was_killed_counts_on():
    lines = [{"seconds": s} for s in (1.0, 5.0, 2.0, 4.0, 3.5)]
    assert shipping._seconds(lines) == 5.0 + 4.0 + 3.5


def test_numbers_too_large_for_float16_are_an_error(tmp_path):
    encoder = models.Encoder(models.preset("mini-48", 10).config, rngs=nnx.Rngs(0))
    encoder.embeddings.word.embedding[...] = jnp.full((10, 48), 7e4)
    with pytest.raises(WeightsError, match=r"word_embeddings.* float16 cannot"):
        models.save(encoder, tmp_path / "m", dtype="float16")
    assert not (tmp_path / "m").exists()
    models.save(encoder, tmp_path / "m")
