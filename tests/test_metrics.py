"""Scores of labels, sets, ranks and tags against hand-worked cases and seqeval; 1e-9, fixed.

The official scorers' figures are in test_score.py.
"""

from __future__ import annotations

import warnings

import pytest
import seqeval.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.tasks.metrics.basic import accuracy, binary_f1, mean_reciprocal_rank, set_scores
from xt_jax.tasks.metrics.tagging import entity_scores, tag_accuracy

TOLERANCE = 1e-9
unhurried = settings(deadline=None)


def entity_f1(gold, predicted, **options):
    return entity_scores(gold, predicted, **options)["f1"]


# --- accuracy -------------------------------------------------------------------------------


def test_accuracy_counts_equal_labels():
    assert accuracy(["a", "b", "c", "c"], ["a", "c", "c", "c"]) == 75
    for score in (accuracy, binary_f1):
        with pytest.raises(ValueError, match="3 gold labels but 2 predictions"):
            score(["1", "0", "1"], ["1", "0"])
    with pytest.raises(ValueError, match="no example"):
        accuracy([], [])


@unhurried
@given(st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("01")), max_size=30))
def test_binary_f1_is_that_of_the_positive_label(pairs):
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    right = pairs.count(("1", "1"))
    wrong = pairs.count(("1", "0")) + pairs.count(("0", "1"))
    expected = 200 * right / (2 * right + wrong) if right else 0
    assert binary_f1(gold, predicted) == pytest.approx(expected, abs=TOLERANCE)


def test_set_scores_count_repetitions_once():
    gold = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]
    scores = set_scores(gold, [("a", "1"), ("a", "1"), ("b", "1"), ("c", "3")])
    assert scores == pytest.approx(
        {"f1": 400 / 7, "precision": 200 / 3, "recall": 50}, abs=TOLERANCE
    )
    nothing = {"f1": 0, "precision": 0, "recall": 0}
    assert set_scores(gold, []) == set_scores([], gold) == nothing


def test_mean_reciprocal_rank():
    ranked = [["x", "a"], ["b"], ["x", "y"], ["x"] * 20 + ["d"], ["x"] * 19 + ["e", "e"]]
    assert mean_reciprocal_rank("abcde", ranked) == pytest.approx(31, abs=TOLERANCE)
    assert mean_reciprocal_rank("abcde", ranked, k=1) == pytest.approx(20, abs=TOLERANCE)
    with pytest.raises(ValueError, match="no mention"):
        mean_reciprocal_rank([], [])


# --- tags -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "predicted", "score"),
    [
        # One of two entities found, none invented: precision 1, recall 1/2.
        ("B-PER I-PER O B-LOC", "B-PER I-PER O O", 200 / 3),
        # A boundary off by one makes both the gold and the predicted entity wrong.
        ("B-PER I-PER O", "B-PER O O", 0),
        ("B-PER", "B-ORG", 0),
        # An I- tag without its B- begins an entity.
        ("O B-PER I-PER", "O I-PER I-PER", 100),
        # B- splits neighbours of one type, I- joins them.
        ("B-PER B-PER", "B-PER I-PER", 0),
        ("B I-_", "B-_ I-_", 100),  # no type is the type _
        ("O O", "O O", 0),
        ("O B-LOC", "O O", 0),
        # Entities end with the sentence.
        ("B-PER / I-PER", "I-PER / B-PER", 100),
        # Over all sentences: 3 gold, 2 predicted, 1 right, not the mean of 100 and 0.
        ("B-PER / B-PER B-LOC", "B-PER / B-LOC O", 40),
        # The first letter counts as prefix: a run of NOUN is one entity, each SYM is one.
        ("NOUN NOUN VERB", "NOUN VERB VERB", 0),
        ("SYM SYM NOUN NOUN", "SYM X NOUN NOUN", 200 / 3),
    ],
)
def test_entity_f1_by_hand(gold, predicted, score):
    sides = [tuple(tuple(s.split()) for s in side.split(" / ")) for side in (gold, predicted)]
    assert entity_f1(*sides) == pytest.approx(score, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("gold", "predicted", "newer", "older"),
    [
        ("SCONJ X", "CCONJ X", 100, 50),  # one type; the older takes the whole tag for the type
        ("B-A-X", "B-B-X", 0, 100),  # a second hyphen belongs to the type in the newer alone
    ],
)
def test_the_versions_of_seqeval_differ_in_the_type(gold, predicted, newer, older):
    sides = [gold.split()], [predicted.split()]
    assert entity_f1(*sides) == entity_f1(*sides, seqeval="1.2.2") == newer
    assert entity_f1(*sides, seqeval="0.0.12") == older


STRANGE_TAGS = st.sampled_from(
    "O B-A I-A E-A S-A B-B I-B B I E S B-A-B I- . .A NOUN SCONJ CCONJ SYM INTJ _ O-A É".split()
)


@unhurried
@given(
    st.lists(st.lists(st.tuples(STRANGE_TAGS, STRANGE_TAGS), max_size=8), min_size=1, max_size=4)
)
def test_entity_scores_are_those_of_seqeval(sentences):
    """The installed version, 1.2.2, is another implementation of the same rules."""
    gold = [[g for g, _ in sentence] for sentence in sentences]
    predicted = [[p for _, p in sentence] for sentence in sentences]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            name: 100 * getattr(seqeval.metrics, f"{name}_score")(gold, predicted)
            for name in ("f1", "precision", "recall")
        }
    assert entity_scores(gold, predicted) == pytest.approx(expected, abs=TOLERANCE)


def test_tag_accuracy_weighs_tokens_not_sentences():
    assert tag_accuracy([["A"], ["A", "B", "C"]], [["B"], ["A", "B", "C"]]) == 75
    assert tag_accuracy([["SCONJ", "X"]], [["CCONJ", "X"]]) == 50


@pytest.mark.parametrize("score", [entity_f1, tag_accuracy])
def test_tag_errors(score):
    with pytest.raises(ValueError, match="2 gold sentences but 1 predicted"):
        score([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="sentence 1 has 2 gold tags but 1 predicted"):
        score([["O"], ["O", "O"], ["O"]], [["O"], ["O"], ["O", "O"]])
