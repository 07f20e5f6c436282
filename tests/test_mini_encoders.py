"""The mini encoders: tokenizer, presets, pretraining without targets, shipping."""

from __future__ import annotations

import json
import math
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open

from configs import pretrain_mini
from xt_jax import encoders
from xt_jax import model as models
from xt_jax.config import Config, MixtureConfig, ModelConfig
from xt_jax.data.examples import SpanExample, TagExample
from xt_jax.data.packing import Features, plan_training
from xt_jax.data.tokenize import Template, load_tokenizer
from xt_jax.errors import ConfigError, DataError, WeightsError
from xt_jax.ladder import ship as shipping
from xt_jax.mini import ladder
from xt_jax.mini import tokenizer as mini_pieces
from xt_jax.mini.tokenizer import START, train_tokenizer, world_text
from xt_jax.sharding import make_mesh
from xt_jax.study import runner
from xt_jax.study.mixing import plan_phase
from xt_jax.study.prepare import Phase, TaskData
from xt_jax.study.reader import Dataset
from xt_jax.tasks import spans, tags
from xt_jax.tasks.recipes import Recipe
from xt_jax.tasks.table import TASKS
from xt_jax.train.optim import make_optimizer

# text, its words, and one answer in it
SENTENCES = {
    "en": ("Anna's cat (2015) saw it.", "Anna 's cat ( 2015 ) saw it .", "cat"),
    "es": ("¿Dónde está Ana?", "¿ Dónde está Ana ?", "Dónde está"),
    "tr": ("Emre Türkiye'de 7:30 içti.", "Emre Türkiye'de 7:30 içti .", "Türkiye"),
    "ar": ("قرأت مريم كتابا جديدا؟", "قرأت مريم كتابا جديدا ؟", "كتابا"),
    "hi": ("राम दिल्ली में है।", "राम दिल्ली में है ।", "दिल्ली"),
    "zh": ("我喜欢北京，2015年。", "我 喜欢 北京 ， 2015 年 。", "北京"),
}
WORDS = {
    "en": "the red ball gave took saw quickly Anna's under over teacher doctor tea bread 12 a , .",
    "zh": "老师 医生 喜欢 北京 上海 的 在 面包 茶 2015 年 ， 。",
}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Words in many orders, as far as the samples; each Chinese word between spaces."""
    rng = np.random.default_rng(0)
    made = [words for _, words, _ in SENTENCES.values()] * 5
    for words in WORDS.values():
        made += [" ".join(rng.permutation(words.split())) for _ in range(150)]
    return made


@pytest.fixture(scope="module")
def folder(lines, tmp_path_factory) -> Path:
    return Path(train_tokenizer(lines, tmp_path_factory.mktemp("pieces") / "tokenizer", 300))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(str(folder))


def test_special_ids_and_templates_are_those_of_xlm_r(folder, tokenizer):
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained(str(folder))
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert opened.convert_tokens_to_ids(special) == [0, 1, 2, 3, len(opened) - 1]
    assert (opened.pad_token_id, opened.unk_token_id, opened.mask_token_id) == (
        1,
        3,
        len(opened) - 1,
    )
    assert max(opened.get_vocab().values()) == len(opened) - 1 < 300
    pieces = opened.convert_ids_to_tokens(opened("the ball", "a <mask>")["input_ids"])
    assert pieces == ["<s>", "▁the", "▁ball", "</s>", "</s>", "▁a", "<mask>", "</s>"]
    assert Template.of(tokenizer) == Template([0], [2, 2], [2])


def test_whole_words_become_pieces_and_no_character_is_unknown(lines, tokenizer):
    assert tokenizer.tokenize("the teacher gave bread") == ["▁the", "▁teacher", "▁gave", "▁bread"]
    assert tokenizer.tokenize("a the 2015") == ["▁a", "▁the", "2015"]
    assert tokenizer.tokenize("7:30年") == ["7", ":", "30", "年"]
    ids = [i for line in [*lines, "XYZ~#"] for i in tokenizer(line)["input_ids"]]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer("ß")["input_ids"][-2] == tokenizer.unk_token_id
    private = {mini_pieces._BETWEEN, mini_pieces._AGAIN}
    assert not private & set("".join(tokenizer.get_vocab()))


def test_words_of_one_letter_take_the_place_of_the_least_probable_longer_pieces(mini_tokenizer):
    learned = {"<s>": 0.0, "▁the": -1.0, "▁": -2.0, "a": -3.0, "▁tea": -5.0}
    pieces = mini_pieces._with_words_of_one_letter(learned, Counter({"▁a": 3, "▁the": 1}))
    assert pieces == {"<s>": 0.0, "▁the": -1.0, "▁": -2.0, "a": -3.0, "▁a": math.log(0.75)}
    assert mini_tokenizer.tokenize("Ana a в") == ["▁Ana", "▁a", "▁в"]


@pytest.mark.parametrize("language", SENTENCES)
def test_pieces_of_text_are_those_of_its_words(language, tokenizer):
    text, words, _ = SENTENCES[language]
    split = tokenizer([words.split()], is_split_into_words=True, add_special_tokens=False)
    alone = [tokenizer.tokenize(word) for word in words.split()]
    assert tokenizer.tokenize(text) == [piece for word in alone for piece in word]
    assert tokenizer.convert_ids_to_tokens(split["input_ids"][0]) == tokenizer.tokenize(text)
    assert split.word_ids(0) == [i for i, word in enumerate(alone) for _ in word]


@pytest.mark.parametrize("language", SENTENCES)
def test_offsets_are_the_characters_of_the_piece(language, tokenizer):
    text = SENTENCES[language][0]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    end = 0
    for piece, (first, last) in zip(
        tokenizer.convert_ids_to_tokens(encoded["input_ids"]),
        encoded["offset_mapping"],
        strict=True,
    ):
        if piece == START:  # it stands for the letter after it
            assert text[first:last] == text[first]
            continue
        assert unicodedata.normalize("NFKC", text[first:last]) == piece.removeprefix(START)
        assert not text[end:first].strip()
        end = last
    assert end == len(text)


@pytest.mark.parametrize("language", SENTENCES)
def test_answers_and_tags_fall_on_their_pieces(language, tokenizer):
    text, words, answer = SENTENCES[language]
    example = SpanExample("1", "?", text, ((answer, text.index(answer)),))
    features = spans.tokenize([example], tokenizer, (), max_length=512, doc_stride=128)
    first, last = features.fields["start"][0], features.fields["end"][0]
    begin, end = features.host["begin"][first], features.host["end"][last]
    assert text[begin:end] == answer

    of_words = tuple(f"T{i}" for i in range(len(words.split())))
    tagged = TagExample("1", tuple(words.split()), of_words)
    features = tags.tokenize([tagged], tokenizer, of_words, max_length=512)
    gold = features.tokens["labels"]
    assert gold[gold >= 0].tolist() == list(range(len(of_words)))
    starts = tokenizer.convert_ids_to_tokens(features.tokens["input_ids"][gold >= 0])
    assert all(
        unicodedata.normalize("NFKC", word).startswith(piece.removeprefix(START))
        for word, piece in zip(words.split(), starts, strict=True)
    )


def test_a_vocabulary_too_small_for_the_characters_is_an_error(lines, tmp_path):
    with pytest.raises(ConfigError, match="60 entries are too few") as error:
        train_tokenizer(lines, tmp_path / "t", 60)
    least = int(error.value.remedy.split()[-1])
    assert len(load_tokenizer(str(train_tokenizer(lines, tmp_path / "t", least)))) == least


def test_chinese_text_is_divided_by_the_words_of_the_tagged_files(tmp_path):
    (tmp_path / "mlm").mkdir()
    (tmp_path / "udpos").mkdir()
    (tmp_path / "mlm" / "train-zh.txt").write_text("我喜欢北京。\n")
    (tmp_path / "mlm" / "train-en.txt").write_text("I like it.\n")
    (tmp_path / "udpos" / "dev-zh.tsv").write_text("我\tPRON\n喜欢\tVERB\n\n")
    (tmp_path / "udpos" / "test-zh.tsv").write_text("北京\tPROPN\n。\tPUNCT\n\n")
    split = [line.split() for line in world_text(tmp_path)]
    assert split == [["I", "like", "it."], ["我", "喜欢", "北京", "。"]]
    shutil.rmtree(tmp_path / "mlm")
    with pytest.raises(DataError, match="no text to train on"):
        world_text(tmp_path)


def test_the_ladder():
    sizes = {"mini-48": 0.057, "mini-64": 0.15, "mini-128": 0.79, "mini-192": 2.7, "mini-256": 7.9}
    assert ladder.NAMES == tuple(sizes) == tuple(pretrain_mini.SIZES)
    for name, millions in sizes.items():
        config = models.preset(name, 1234).config
        encoder, _ = models.count_params(models.abstract_encoder(config))
        assert encoder / 1e6 == pytest.approx(millions, rel=0.02)
        assert (config.vocab_size, config.max_positions) == (1234, 514)
        assert config.dropout == config.attention_dropout == 0


def test_a_size_that_is_not_there_is_an_error_with_the_command(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(ladder, "ENCODERS", tmp_path)
    monkeypatch.setattr(mini_pieces, "ENCODERS", tmp_path)
    with pytest.raises(ConfigError, match="mini-256 do not come") as error:
        encoders.open_source(ModelConfig("mini-256"), "")
    assert "configs/pretrain_mini.py:size=mini-256" in error.value.remedy
    assert "xt_jax.ladder.ship" in error.value.remedy
    with pytest.raises(ConfigError, match="holds no tokenizer") as error:
        encoders.open_source(ModelConfig("mini-256", random_init=True), "")
    assert "python -m xt_jax.mini.tokenizer" in error.value.remedy
    shutil.copytree(folder, tmp_path / "tokenizer")
    source = encoders.open_source(ModelConfig("mini-48", random_init=True), "of the data")
    assert (source.name, source.folder) == ("mini-48-random", None)
    assert source.config.vocab_size == len(source.tokenizer) == len(load_tokenizer(str(folder)))
    with pytest.raises(ConfigError, match="`mini-32` is no size"):
        pretrain_mini.get_config("size=mini-32")


def test_only_masked_language_modelling_has_another_second_moment():
    others = {task.recipe.adam_b2 for task in TASKS.values() if task.name != "mlm"}
    assert (TASKS["mlm"].recipe.adam_b2, others) == (0.98, {0.999})
    params = nnx.State({"kernel": nnx.Param(jnp.ones((2,)))})
    optimizer = make_optimizer(Recipe(adam_b2=0.75, clip_norm=0.0), 10)
    _, state = optimizer.update(params, optimizer.init(params), params)
    second = [leaf for path, leaf in nnx.to_flat_state(_nu(state)) if path == ("kernel",)]
    np.testing.assert_allclose(second[0][...], 0.25)


def _nu(state):
    return next(part.nu for part in state[1] if hasattr(part, "nu"))


@pytest.mark.parametrize("name", ["mlm", "xnli"])
def test_steps_in_place_of_epochs_are_exact(name):
    lengths = np.full(50, 9, np.int32)
    dataset = Dataset("train", "en", Features(lengths, {}, {}), "", (50,), list)
    recipe = Recipe(steps=7, epochs=2, batch_size=16)
    phase = Phase(name, (TaskData(TASKS[name], recipe, dataset, None),), recipe)
    order, (plan,) = plan_phase(phase, MixtureConfig(), 0, plan_training)
    assert len(order) == plan.steps == 7
    assert np.diff(plan.splits).tolist() == [16] * 7
    by_epochs = Recipe(epochs=2, batch_size=16)
    part = TaskData(TASKS[name], by_epochs, dataset, None)
    assert (
        len(plan_phase(Phase(name, (part,), by_epochs), MixtureConfig(), 0, plan_training)[0]) == 7
    )


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
        mine = lines[30:][first : first + 150]
        (data / "mlm" / f"train-{language}.txt").write_text("\n".join(mine[:100]) + "\n")
        (data / "mlm" / f"dev-{language}.txt").write_text("\n".join(mine[100:]) + "\n")
    return data


@pytest.fixture(scope="module")
def trained(text, folder, tmp_path_factory) -> tuple[Path, str]:
    """(the phase's folder, what the run printed)."""
    workdir = tmp_path_factory.mktemp("pretraining")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "make_mesh", _one_device)
        printed = runner.run(pretraining(text, folder), str(workdir))
    (phase,) = (workdir / "phases").iterdir()
    return phase, printed


def _one_device(_: int):
    import jax

    return make_mesh(1, jax.devices()[:1])


def test_a_study_without_targets_trains_the_intermediate_phase_alone(trained):
    phase, printed = trained
    (best,) = (phase / "best").iterdir()
    assert printed == f"mini-48-random after mlm, seed 0: {best} (best neg_loss on dev)"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in best.iterdir()
    }
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
    with (
        safe_open(target / "model.safetensors", "np") as half,
        safe_open(best / "model.safetensors", "np") as full,
    ):
        assert set(half.keys()) == set(full.keys())
        assert "lm_head.dense.weight" in half.keys()  # noqa: SIM118
        for name in half.keys():  # noqa: SIM118
            wanted = full.get_tensor(name).astype(np.float16)
            assert half.get_tensor(name).dtype == np.float16
            np.testing.assert_array_equal(half.get_tensor(name), wanted)

    monkeypatch.setattr(ladder, "ENCODERS", tmp_path)
    monkeypatch.setattr(mini_pieces, "ENCODERS", tmp_path)
    shutil.copytree(folder, tmp_path / "tokenizer")
    source = encoders.open_source(ModelConfig("mini-48"), "of the data")
    assert (source.name, Path(source.folder)) == ("mini-48", target)
    assert source.config.dropout == source.config.attention_dropout == 0
    model, _ = models.load_model(source.folder)
    assert {leaf.dtype for leaf in nnx.to_flat_state(nnx.state(model)).leaves} == {
        np.dtype("float32")
    }
    saved = tmp_path / "again"
    models.save(model, saved, dtype="float16")
    assert (saved / "model.safetensors").read_bytes() == (target / "model.safetensors").read_bytes()


def test_the_card_says_how_it_was_made(trained, text, folder, tmp_path):
    target = shipped(trained, text, folder, tmp_path)
    card = (target / "README.md").read_text()
    record = json.loads((trained[0] / "phase.json").read_text())
    losses = shipping.dev_losses(target, load_tokenizer(str(folder)), text, 64)
    assert set(losses) == {"en", "zh"}
    wanted = [record["command"], "| seed | 0 |", f"{record['tokens']:,}", "56,544", "CPU cores"]
    wanted += [f"| {language} | {loss:.3f} |" for language, loss in losses.items()]
    assert [words for words in wanted if words not in card] == []


def test_losses_are_means_over_masked_tokens(trained, text, folder, tmp_path):
    """A model that knows nothing has log V on every token."""
    (best,) = (trained[0] / "best").iterdir()
    model, _ = models.load_model(best)
    words = model.encoder.config.vocab_size
    model.encoder.embeddings.word.embedding[...] = jnp.zeros((words, 48))
    model.head.bias[...] = jnp.zeros((words,))
    models.save(model, tmp_path / "blank")
    losses = shipping.dev_losses(tmp_path / "blank", load_tokenizer(str(folder)), text, 64)
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
        (DataError, "no text to take the losses on", {"data_dir": folder}),
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
