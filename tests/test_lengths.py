"""The lengths that the check of the data reports: those of the features, or of words."""

from __future__ import annotations

import numpy as np
import pytest

from xt_jax import check_data
from xt_jax.data.examples import ChoiceExample, SpanExample, TagExample
from xt_jax.data.lengths import lengths, tokens_ruler, words_ruler
from xt_jax.data.sources import open_source
from xt_jax.data.tokenize import load_tokenizer
from xt_jax.tasks.table import FAMILIES, TASKS


@pytest.mark.parametrize(
    ("task", "language"), [("xnli", "tr"), ("pawsx", "de"), ("panx", "de"), ("tatoeba", "tr")]
)
def test_lengths_are_those_of_the_features(world, mini_tokenizer_folder, task, language):
    tokenizer = load_tokenizer(str(mini_tokenizer_folder))
    row = TASKS[task]
    examples = open_source("files", str(world)).find(task, "test", language)[0].read(row.labels)
    features = FAMILIES[row.family].tokenize(
        examples, tokenizer, row.labels, max_length=10_000, doc_stride=128
    )
    ruler = tokens_ruler(load_tokenizer(str(mini_tokenizer_folder)), "mini")
    limit = int(np.median(features.lengths))
    found = lengths(examples, ruler, limit)
    p50, p95 = np.percentile(features.lengths, (50, 95), method="higher")
    assert (found.p50, found.p95, found.max) == (p50, p95, max(features.lengths))
    assert found.over == np.mean(features.lengths > limit)
    assert 0 < found.over < 1


def test_lengths_count_the_whole_context_and_the_longest_choice(mini_tokenizer):
    ruler = tokens_ruler(mini_tokenizer, "mini")
    questions = [SpanExample(str(n), "who runs ?", "the dog " * n, ()) for n in (1, 9, 40)]
    whole = [len(mini_tokenizer(e.question, e.context)["input_ids"]) for e in questions]
    found = lengths(questions, ruler, whole[1])
    assert (found.p50, found.max) == (whole[1], whole[2])
    assert found.over == pytest.approx(1 / 3)
    choices = ("runs .", "the dog sees the cat .", "sleeps .")
    example = ChoiceExample("0", "the dog", choices, "1")
    whole = [len(mini_tokenizer(example.text, choice)["input_ids"]) for choice in choices]
    found = lengths([example], ruler, 1000)
    assert found.p50 == found.max == max(whole) > whole[0]


def test_words_are_counted_only_where_no_tokenizer_is_asked_for(world, tmp_path, capsys):
    arguments = [f"--data_dir={world}", "--task=xnli", "--language=en"]
    assert check_data.main([*arguments, f"--tokenizer={tmp_path}"]) == 2
    assert f"--tokenizer={tmp_path}" in capsys.readouterr().err
    assert check_data.main([*arguments, "--tokenizer=words"]) == 0
    assert "white-space words" in capsys.readouterr().out


def test_words_are_counted_between_white_space():
    assert words_ruler().count(["a b  c", "", "d"]) == [3, 0, 1]
    example = TagExample("0", ("a", "", "b"), None)  # a word without tokens is the unknown one
    assert lengths([example], words_ruler(), 100).max == 3
