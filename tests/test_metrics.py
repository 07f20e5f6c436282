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
from xt_jax.tasks.metrics.tagging import SEQEVAL_VERSIONS, entity_scores, tag_accuracy

TOLERANCE = 1e-9
unhurried = settings(deadline=None)


def entity_f1(gold, predicted, **options):
    return entity_scores(gold, predicted, **options)["f1"]


# --- accuracy -------------------------------------------------------------------------------


def test_accuracy_counts_equal_labels():
    assert accuracy(["a", "b", "c", "c"], ["a", "c", "c", "c"]) == 75
    assert accuracy([0, 1], [1, 0]) == 0


def test_accuracy_errors():
    with pytest.raises(ValueError, match="3 gold labels but 2 predictions"):
        accuracy([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="3 gold labels but 2 predictions"):
        binary_f1(["1", "0", "1"], ["1", "0"])
    with pytest.raises(ValueError, match="no example"):
        accuracy([], [])


@unhurried
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_accuracy_properties(pairs):
    gold, predicted = map(list, zip(*pairs, strict=True))
    score = accuracy(gold, predicted)
    assert 0 <= score <= 100
    assert accuracy(gold, gold) == 100
    assert (score == 100) == (gold == predicted)
    assert score == accuracy(gold[::-1], predicted[::-1]) == accuracy(predicted, gold)


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
    found = set_scores(gold, [("a", "1"), ("a", "1"), ("b", "1"), ("c", "3")])
    assert found == pytest.approx(
        {"f1": 400 / 7, "precision": 200 / 3, "recall": 50}, abs=TOLERANCE
    )
    assert set_scores(gold, []) == {"f1": 0, "precision": 0, "recall": 0}
    assert set_scores([], gold) == {"f1": 0, "precision": 0, "recall": 0}


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
    ],
)
def test_entity_f1_by_hand(gold, predicted, score):
    assert entity_f1([gold.split()], [predicted.split()]) == pytest.approx(score, abs=TOLERANCE)


def test_entities_end_with_the_sentence():
    gold = [["B-PER"], ["I-PER"]]
    assert entity_f1(gold, [["I-PER"], ["B-PER"]]) == 100


def test_entity_f1_is_over_all_sentences():
    """3 gold entities, 2 predicted, 1 right: 2 / 5, not the mean of 100 and 0."""
    gold = [["B-PER"], ["B-PER", "B-LOC"]]
    predicted = [["B-PER"], ["B-LOC", "O"]]
    assert entity_f1(gold, predicted) == pytest.approx(40, abs=TOLERANCE)


def test_entity_f1_of_part_of_speech_tags_is_the_official_one():
    """The first letter counts as prefix: SCONJ and CCONJ are one type, a run of NOUN one entity."""
    assert entity_f1([["SCONJ", "X"]], [["CCONJ", "X"]]) == 100
    assert tag_accuracy([["SCONJ", "X"]], [["CCONJ", "X"]]) == 50
    gold, predicted = [["NOUN", "NOUN", "VERB"]], [["NOUN", "VERB", "VERB"]]
    assert entity_f1(gold, predicted) == 0
    assert tag_accuracy(gold, predicted) == pytest.approx(200 / 3, abs=TOLERANCE)


def test_the_older_seqeval_takes_the_whole_tag_for_the_type():
    gold, predicted = [["SCONJ", "X"]], [["CCONJ", "X"]]
    assert entity_f1(gold, predicted, seqeval="0.0.12") == 50
    # A second hyphen belongs to the type in 1.2.2 alone.
    gold, predicted = [["B-A-X"]], [["B-B-X"]]
    assert entity_f1(gold, predicted, seqeval="0.0.12") == 100
    assert entity_f1(gold, predicted, seqeval="1.2.2") == 0


def test_every_word_with_an_s_is_an_entity():
    gold, predicted = [["SYM", "SYM", "NOUN", "NOUN"]], [["SYM", "X", "NOUN", "NOUN"]]
    assert entity_scores(gold, predicted) == pytest.approx(
        {"f1": 200 / 3, "precision": 200 / 3, "recall": 200 / 3}, abs=TOLERANCE
    )


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


def test_sentences_may_be_tuples():
    gold, predicted = (("B-PER", "O"), ("B-LOC",)), (("B-PER", "O"), ("O",))
    assert entity_f1(gold, predicted) == pytest.approx(200 / 3, abs=TOLERANCE)


def test_tag_accuracy_weighs_tokens_not_sentences():
    assert tag_accuracy([["A"], ["A", "B", "C"]], [["B"], ["A", "B", "C"]]) == 75


@pytest.mark.parametrize("score", [entity_f1, tag_accuracy])
def test_tag_errors(score):
    with pytest.raises(ValueError, match="2 gold sentences but 1 predicted"):
        score([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="sentence 1 has 2 gold tags but 1 predicted"):
        score([["O"], ["O", "O"], ["O"]], [["O"], ["O"], ["O", "O"]])


NER_TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
TAG_PAIRS = st.lists(
    st.lists(st.tuples(NER_TAGS, NER_TAGS), min_size=1, max_size=6), min_size=1, max_size=4
)


@pytest.mark.parametrize("seqeval", SEQEVAL_VERSIONS)
@unhurried
@given(TAG_PAIRS)
def test_tag_score_properties(seqeval, sentences):
    gold = [[g for g, _ in sentence] for sentence in sentences]
    predicted = [[p for _, p in sentence] for sentence in sentences]
    scores = entity_scores(gold, predicted, seqeval)
    assert all(0 <= value <= 100 for value in scores.values())
    back = entity_scores(predicted, gold, seqeval)
    assert scores["f1"] == pytest.approx(back["f1"], abs=TOLERANCE)
    assert scores["precision"] == back["recall"]
    # With prefixes alone in use the versions agree.
    assert scores == entity_scores(gold, predicted)
    has_entity = any(tag != "O" for sentence in gold for tag in sentence)
    assert entity_f1(gold, gold) == (100 if has_entity else 0)
    assert 0 <= tag_accuracy(gold, predicted) <= 100
    assert tag_accuracy(gold, gold) == 100
