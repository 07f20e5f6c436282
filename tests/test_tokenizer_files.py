"""Tokenizer folders: which files count, what they keep, and errors that name the file."""

from __future__ import annotations

import json
import shutil

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from xt_jax.data.examples import TagExample
from xt_jax.data.tokenize import load_tokenizer, subwords
from xt_jax.errors import ConfigError, DataError
from xt_jax.tasks import tags

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CASED = [*SPECIAL, "[unused1]", "a", "hello", "Hello", "wor", "Wor", "##ld", "##é"]


def write_vocabulary(folder, entries) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries))
    return str(folder)


def test_a_cased_vocabulary_keeps_case(tmp_path):
    tokenizer = load_tokenizer(write_vocabulary(tmp_path / "cased", CASED))
    assert tokenizer.tokenize("Hello hello Worldé") == ["Hello", "hello", "Wor", "##ld", "##é"]
    lower = [entry for entry in CASED if entry == entry.lower() or entry in SPECIAL]
    tokenizer = load_tokenizer(write_vocabulary(tmp_path / "uncased", lower))
    assert tokenizer.tokenize("HELLO World") == ["hello", "wor", "##ld"]


@pytest.mark.parametrize("lower", [False, True])
def test_tokenizer_config_decides_the_case(tmp_path, lower):
    folder = write_vocabulary(tmp_path / "m", CASED)
    (tmp_path / "m/tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    assert load_tokenizer(folder).tokenize("Hello") == ["hello" if lower else "Hello"]


def test_tokenizer_json_alone_keeps_case_and_token_types(tmp_path):
    """Whatever class config.json names; `transformers` would lower-case for model type bert."""
    whole = load_tokenizer(write_vocabulary(tmp_path / "whole", CASED))
    whole.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.tokenize("Hello hello") == ["Hello", "hello"]
    assert tokenizer("a", "a")["token_type_ids"] == [0, 0, 0, 1, 1]
    for name in ("pad", "unk", "cls", "sep", "mask"):
        assert getattr(tokenizer, f"{name}_token") == f"[{name.upper()}]"


def test_tokenizer_json_beside_sentencepiece_is_used(tmp_path, mini_tokenizer, shared):
    """The mini tokenizer beside XLM-R's model: the first counts, without tokenizer_config.json."""
    shutil.copy(shared / "tokenizer/xlm-roberta/sentencepiece.bpe.model", tmp_path)
    mini_tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(str(tmp_path))
    text = "The bread on Ａ table"
    assert tokenizer(text, text)["input_ids"] == mini_tokenizer(text, text)["input_ids"]
    assert "token_type_ids" not in tokenizer(text, text)
    for name in ("pad_token_id", "unk_token_id", "mask_token_id"):
        assert getattr(tokenizer, name) == getattr(mini_tokenizer, name) is not None


def test_the_real_tokenizer_from_its_json(tmp_path, xlmr_tokenizer):
    xlmr_tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(str(tmp_path))
    texts = ["Hello world!", "Ａﬁ ①", "ภาษาไทย"]
    assert subwords(tokenizer, texts, True) == subwords(xlmr_tokenizer, texts, True)
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (1, 250_001)


@pytest.mark.parametrize(
    "config", [{}, {"tokenizer_class": "BertTokenizer"}, {"pad_token": "[PAD]"}]
)
def test_tokenizer_json_is_taken_as_it_is(tmp_path, config):
    """`transformers` would build a BertTokenizer, which lower-cases unless the config says not."""
    whole = load_tokenizer(write_vocabulary(tmp_path / "whole", CASED))
    whole.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.tokenize("Hello hello") == ["Hello", "hello"]
    assert tokenizer("a", "a")["token_type_ids"] == [0, 0, 0, 1, 1]
    assert (tokenizer.pad_token, tokenizer.mask_token_id) == ("[PAD]", 4)


def test_saved_tokenizers_are_the_same(tmp_path, xlmr_tokenizer):
    bert = load_tokenizer(write_vocabulary(tmp_path / "whole", CASED))
    for tokenizer in (xlmr_tokenizer, bert):
        tokenizer.save_pretrained(str(tmp_path / "saved"))
        again = load_tokenizer(str(tmp_path / "saved"))
        text = "Hello, a ﬁ wor ⑨"
        assert again(text, text) == tokenizer(text, text)
        assert again.all_special_ids == tokenizer.all_special_ids


@pytest.fixture
def byte_level(tmp_path):
    """The folder of a tokenizer of RoBERTa's kind, where `Ġ` is the blank in front of a word."""
    entries = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "Ġ", "Ġa", "Ġb", "ab", "Ġab"]
    ids = {entry: i for i, entry in enumerate(entries)}
    tokenizer = Tokenizer(
        models.BPE(ids, [("Ġ", "a"), ("Ġ", "b"), ("a", "b"), ("Ġa", "b")], unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return load_tokenizer(str(tmp_path))


def test_words_of_robertas_kind_stand_after_a_blank(byte_level):
    example = TagExample("1", ("ab", "a", "b"), ("X", "X", "X"))
    features = tags.tokenize([example], byte_level, ("X",), max_length=16)
    whole = byte_level(" ab a b")["input_ids"]
    assert features.tokens["input_ids"].tolist() == whole == [0, 11, 8, 9, 2]


def test_a_blank_changes_nothing_for_the_other_kinds(xlmr_tokenizer, mini_tokenizer, tmp_path):
    bert = load_tokenizer(write_vocabulary(tmp_path / "m", CASED))
    words = ["Hello", "Ａ", "don't", "中文", "…", "ภาษา", "a", "'s", "\u200dx", "¼", "-", "é"]
    for tokenizer in (xlmr_tokenizer, mini_tokenizer, bert):
        assert subwords(tokenizer, [f" {word}" for word in words]) == subwords(tokenizer, words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS pointer"),
        (b"<html>", "a page of HTML"),
        (b"", "empty"),
        (b"\n\x05\n\x01", "SentencePiece model"),
    ],
)
def test_a_damaged_sentencepiece_model(tmp_path, content, message):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_tokenizer(str(tmp_path))
    assert error.value.where == str(tmp_path / "sentencepiece.bpe.model")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_broken_json_is_named_by_line(tmp_path, mini_tokenizer_folder, name):
    shutil.copytree(mini_tokenizer_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_text('{\n"a": 1,\n')
    with pytest.raises(DataError, match="broken JSON") as error:
        load_tokenizer(str(tmp_path))
    assert error.value.where.startswith(f"{tmp_path / name}:3:")


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": {"type": "Unigram", "unk_id": 9, "vocab": [["a", 0.0]]}},
        {"added_tokens": [{"id": -1}]},
        {"post_processor": {"type": "Unknown"}},
        {"pre_tokenizer": 5},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}},
    ],
)
def test_a_tokenizer_json_that_cannot_be(tmp_path, mini_tokenizer_folder, change):
    shutil.copytree(mini_tokenizer_folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=r"from tokenizer\.json: ") as error:
        load_tokenizer(str(tmp_path))
    assert error.value.where == f"--config.model.tokenizer={tmp_path}"


def test_a_tokenizer_that_fails_in_use(tmp_path):
    """A WordPiece model without its unknown token, which only an unknown character shows."""
    tokenizer = Tokenizer(models.WordPiece({"a": 0, "<pad>": 1, "<unk>": 2}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"\[UNK\]"):
        load_tokenizer(str(tmp_path))


def test_names_that_no_file_system_takes():
    for name in ("x" * 5000, "a\0b", "no such/folder at all"):
        with pytest.raises(ConfigError, match="No tokenizer could be loaded") as error:
            load_tokenizer(name)
        assert error.value.where == f"--config.model.tokenizer={name}"
