"""Scores of answers against cases worked by hand and simple references, to 1e-9.

The official scorers' figures are in test_score.py.
"""

from __future__ import annotations

import math
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xt_jax.languages import MLQA
from xt_jax.tasks.metrics import mlqa
from xt_jax.tasks.metrics.squad import answer_scores, exact_match, f1, normalise
from xt_jax.tasks.metrics.squad_v2 import squad_v2_scores

TOLERANCE = 1e-9
NO_BREAK_SPACE, ZERO_WIDTH_NON_JOINER = "\u00a0", "\u200c"
unhurried = settings(deadline=None)

# --- SQuAD v1.1 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The  Quick, brown\tFOX!\n", "quick brown fox"),
        ("a cat and an owl", "cat and owl"),
        ("another theatre, a", "another theatre"),
        ("a-the b", "athe b"),  # punctuation goes before articles
        ("le der a.n", "le der"),
        ("«308»、don't", "«308»、dont"),  # of the punctuation only ASCII's
        ("“the”", "“ ”"),  # an article between quotes that stay
        (f"10{NO_BREAK_SPACE}000", "10 000"),
        (f"a{ZERO_WIDTH_NON_JOINER}b", f"{ZERO_WIDTH_NON_JOINER}b"),
        ("ÉCOLE ΑΒΓ", "école αβγ"),
        ("aé théa a", "aé théa"),  # letters beyond ASCII belong to the word
        ("The.", ""),
        ("", ""),
    ],
)
def test_normalise(text, normalised):
    assert normalise(text) == normalised


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "word_f1"),
    [
        ("the Cat!", ["cat"], 100, 100),
        ("", ["cat"], 0, 0),
        ("cat", ["the"], 0, 0),
        ("", ["the"], 100, 0),  # equal, and no word in common
        ("black cat", ["cat"], 0, 200 / 3),
        ("cat black", ["black cat"], 0, 100),
        ("cat cat dog", ["cat cat owl owl"], 0, 100 * 4 / 7),  # words count as often as they stand
        ("big black cat", ["cat", "black cat", "dog"], 0, 80),  # the best answer
        ("dog", ["cat", "dog"], 100, 100),
        ("一只猫", ["猫"], 0, 0),  # no segmentation
        ("cat", [], 0, 0),
    ],
)
def test_answers_by_hand(prediction, answers, em, word_f1):
    assert exact_match(prediction, answers) == em
    assert f1(prediction, answers) == pytest.approx(word_f1, abs=TOLERANCE)


def test_answer_scores_are_means_over_all_questions():
    answers = [["cat"], ["dog", "black dog"], ["owl"], ["fox"]]
    assert answer_scores(answers, ["a cat", "big black dog", "", None]) == pytest.approx(
        {"exact_match": 25, "f1": 45}, abs=TOLERANCE
    )
    with pytest.raises(ValueError, match="no question"):
        answer_scores([], [])
    with pytest.raises(ValueError, match=r"1 questions without a gold answer, e\.g\. 1"):
        answer_scores([["x"], []], ["x", "x"])
    with pytest.raises(ValueError):
        answer_scores([["x"]], [])


TEXTS = st.text(alphabet="aAbthe .'«é\u00a0", max_size=12)
ANSWERS = st.lists(TEXTS, min_size=1, max_size=3)


@unhurried
@given(TEXTS, ANSWERS, TEXTS)
def test_answer_properties(prediction, answers, another):
    assert normalise(normalise(prediction)) == normalise(prediction)
    assert 100 >= exact_match(prediction, [*answers, another]) >= exact_match(prediction, answers)
    assert 100 >= f1(prediction, [*answers, another]) >= f1(prediction, answers) >= 0
    assert exact_match(another, [*answers, another]) == 100
    if normalise(prediction):
        assert f1(prediction, answers) >= exact_match(prediction, answers)
        assert f1(prediction, [*answers, prediction]) == 100


# --- MLQA -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text", "normalised"),
    [
        ("en", "The «Big» cat—an owl", "big catan owl"),
        ("es", "El gato, la Una y unas", "gato y"),
        ("de", "Einer der DEN Dem-Hunde", "demhunde"),
        ("vi", "cái của Là Những con", "con"),
        ("hi", "a the एक। लड़का", "a the एक लड़का"),
        ("ar", "البيت، والبيت the", "بيت و بيت the"),  # the two letters go wherever they stand
        ("zh", "the 三 ABC四五，六。d", "the 三 abc 四 五 六 d"),
        # The range ends at U+9FA5, and is cut out of what it joins.
        ("zh", "㐀龥龦㐀", "㐀 龥 龦㐀"),
        ("en", "$a+b=c^d|`~<>", "abcd"),  # ASCII's symbols go with its punctuation
        ("en", "€ ° ±", "€ ° ±"),
        ("de", "٪ ؟ ¿ ・ ″ ’", ""),
    ],
)
def test_mlqa_normalise(language, text, normalised):
    assert mlqa.normalise(text, language) == normalised


def test_mlqa_knows_its_languages():
    assert mlqa.normaliser("zh")("三四") == "三 四"
    with pytest.raises(ValueError, match="'fr'"):
        mlqa.normaliser("fr")


@unhurried
@given(st.text(alphabet="aAthe 三四、d.«é\u00a0\u3000ال9", max_size=14))
def test_mlqa_properties(text):
    for language in MLQA:
        clean = mlqa.normalise(text, language)
        assert not any(unicodedata.category(c).startswith("P") for c in clean)
        assert clean == " ".join(clean.split()) == clean.lower()
    # Without articles to remove, Chinese differs from Hindi in its spaces alone.
    chinese, hindi = mlqa.normalise(text, "zh"), mlqa.normalise(text, "hi")
    assert chinese.replace(" ", "") == hindi.replace(" ", "")
    assert not re.search(r"[三四]\S|\S[三四]", chinese)


# --- SQuAD v2.0 -----------------------------------------------------------------------------


def test_squad_v2_by_hand():
    answers = [["cat"], ["black dog"], [], []]
    predictions = [("the cat", -3.0), ("dog", -1.0), ("owl", -2.0), ("", -2.5)]
    found = squad_v2_scores(answers, predictions)
    # In the order of the odds: cat +1, nothing 0, owl -1, dog +2/3; 2 without any answer.
    names = "exact f1 total HasAns_exact HasAns_f1 HasAns_total NoAns_exact NoAns_f1 NoAns_total"
    names += " best_exact best_exact_thresh best_f1 best_f1_thresh"
    values = (75, 75, 4, 50, 50, 2, 100, 100, 2, 75, -3.0, 75, -3.0)
    expected = dict(zip(names.split(), values, strict=True))
    assert found == pytest.approx(expected, abs=TOLERANCE)
    everything = squad_v2_scores(answers, predictions, threshold=math.inf)
    assert everything["exact"] == 50
    assert everything["f1"] == pytest.approx(100 * (1 + 2 / 3 + 1) / 4, abs=TOLERANCE)
    assert everything["NoAns_f1"] == 50
    assert squad_v2_scores(answers, predictions, threshold=-4.0)["exact"] == 50


def test_squad_v2_passes_over_gold_answers_without_a_word():
    for answers, text, exact in (
        (["the", "cat"], "a", 0),
        (["the", "cat"], "cat", 100),
        (["the"], "a", 100),
        (["the"], "cat", 0),
    ):
        found = squad_v2_scores([answers], [(text, 0.0)], threshold=1.0)
        assert found["HasAns_exact"] == found["HasAns_f1"] == exact


def test_squad_v2_without_one_kind_of_question():
    found = squad_v2_scores([["cat"]], [("cat", 0.5)])
    assert found["best_f1_thresh"] == 0.5
    assert not any(name.startswith("NoAns") for name in found)
    found = squad_v2_scores([[]], [("cat", 0.5)])
    assert (found["f1"], found["best_f1_thresh"]) == (100, 0)
    assert not any(name.startswith("HasAns") for name in found)


def test_squad_v2_errors():
    for answers, predictions in (([], []), ([["x"]], [("x", math.nan)]), ([["x"]], [])):
        with pytest.raises(ValueError):
            squad_v2_scores(answers, predictions)


ODDS = st.integers(-3, 3).map(float)


@unhurried
@given(st.lists(st.tuples(st.sampled_from(["", "x", "x y", "z"]), ODDS, st.booleans()), min_size=1))
def test_squad_v2_thresholds_are_the_best(questions):
    """Compares with every threshold; between equal odds the script may stop early."""
    answers = [["x"] if has else [] for *_, has in questions]
    predictions = [(text, odds) for text, odds, _ in questions]
    found = squad_v2_scores(answers, predictions)
    everywhere = [squad_v2_scores(answers, predictions, t)["f1"] for t in (-9.0, *range(-3, 4))]
    assert found["best_f1"] >= max(everywhere) - TOLERANCE
    if len({odds for _, odds in predictions}) == len(predictions):
        assert found["best_f1"] == pytest.approx(max(everywhere), abs=TOLERANCE)
        if found["best_f1_thresh"] != 0:
            assert found["f1"] == pytest.approx(found["best_f1"], abs=TOLERANCE)
