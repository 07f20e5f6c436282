"""Tests the tokenizer of the mini encoders: its pieces, their offsets, and its training text."""

from __future__ import annotations

import math
import shutil
import unicodedata
from collections import Counter

import pytest
from pieces import SENTENCES, folder_of_pieces, lines_of_words  # noqa: F401

from xt_jax.data.examples import SpanExample, TagExample
from xt_jax.data.tokenize import Template, load_tokenizer
from xt_jax.errors import ConfigError, DataError
from xt_jax.mini import tokenizer as mini_pieces
from xt_jax.mini.tokenizer import START, train_tokenizer, world_text
from xt_jax.tasks import spans, tags


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(str(folder))


def test_special_ids_and_templates_are_those_of_xlm_r(folder, tokenizer):
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained(str(folder))
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert opened.convert_tokens_to_ids(special) == [0, 1, 2, 3, len(opened) - 1]
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
