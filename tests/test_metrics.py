"""Scores against the official XTREME scorer (1e-9, fixed) and against cases worked by hand."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xt_jax.evaluate.metrics import accuracy
from xt_jax.evaluate.squad import exact_match, f1, normalise, squad_scores
from xt_jax.evaluate.tagging import entity_f1, tag_accuracy

TOLERANCE = 1e-9
CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance" / "xtreme"
NO_BREAK_SPACE, ZERO_WIDTH_NON_JOINER = "\u00a0", "\u200c"


# --- the official scorer's verdicts ---------------------------------------------------------


def read_labels(path):
    return path.read_text(encoding="utf-8").split()


def read_sentences(path):
    text = path.read_text(encoding="utf-8").strip("\n")
    return [sentence.split("\n") for sentence in text.split("\n\n")]


def read_answers(path):
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    return {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def accuracies(gold, predicted):
    return {"accuracy": accuracy(read_labels(gold), read_labels(predicted))}


def entity_f1s(gold, predicted):
    return {"f1": entity_f1(read_sentences(gold), read_sentences(predicted))}


def answer_scores(gold, predicted):
    return squad_scores(read_answers(gold), read_json(predicted))


SCORERS = {
    "pawsx": (7, accuracies),
    "xnli": (15, accuracies),
    "panx": (40, entity_f1s),
    "udpos": (33, entity_f1s),
    "xquad": (11, answer_scores),
    "tydiqa": (9, answer_scores),
}


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason=f"no conformance sets at {CONFORMANCE}")
@pytest.mark.parametrize("task", SCORERS)
@pytest.mark.parametrize("predictions", ["mock", "perturbed-1", "perturbed-2"])
def test_equals_the_official_scorer(predictions, task):
    root = CONFORMANCE / predictions
    n_languages, scorer = SCORERS[task]
    got: dict[str, dict[str, float]] = {}
    for gold in sorted((root / "labels" / task).iterdir()):
        for metric, score in scorer(gold, root / "predictions" / task / gold.name).items():
            got.setdefault(metric, {})[gold.stem.removeprefix("test-")] = score
    expected = read_json(root / "expected.json")[task]
    for metric, scores in got.items():
        assert len(scores) == n_languages
        assert scores == pytest.approx(expected[metric], rel=0, abs=TOLERANCE)


# --- accuracy -------------------------------------------------------------------------------


def test_accuracy_counts_equal_labels():
    assert accuracy(["a", "b", "c", "c"], ["a", "c", "c", "c"]) == 75
    assert accuracy([0, 1], [1, 0]) == 0


def test_accuracy_errors():
    with pytest.raises(ValueError, match="3 gold labels but 2 predictions"):
        accuracy([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="no example"):
        accuracy([], [])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_accuracy_properties(pairs):
    gold, predicted = map(list, zip(*pairs, strict=True))
    score = accuracy(gold, predicted)
    assert 0 <= score <= 100
    assert accuracy(gold, gold) == 100
    assert (score == 100) == (gold == predicted)
    assert score == accuracy(gold[::-1], predicted[::-1]) == accuracy(predicted, gold)


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


def test_entity_f1_does_not_warn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        entity_f1([["NOUN", "VERB"]], [["NOUN", "NOUN"]])
        entity_f1([["O"]], [["O"]])
    assert not caught


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


@given(TAG_PAIRS)
def test_tag_score_properties(sentences):
    gold = [[g for g, _ in sentence] for sentence in sentences]
    predicted = [[p for _, p in sentence] for sentence in sentences]
    assert 0 <= entity_f1(gold, predicted) <= 100
    assert entity_f1(gold, predicted) == pytest.approx(entity_f1(predicted, gold), abs=TOLERANCE)
    has_entity = any(tag != "O" for sentence in gold for tag in sentence)
    assert entity_f1(gold, gold) == (100 if has_entity else 0)
    assert 0 <= tag_accuracy(gold, predicted) <= 100
    assert tag_accuracy(gold, gold) == 100


# --- answers --------------------------------------------------------------------------------


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


def test_squad_scores_are_means_over_all_gold_questions():
    gold = {"1": ["cat"], "2": ["dog", "black dog"], "3": ["owl"], "4": ["fox"]}
    predicted = {"1": "a cat", "2": "big black dog", "3": "", "of another set": "fox"}
    assert squad_scores(gold, predicted) == pytest.approx(
        {"exact_match": 25, "f1": 45}, abs=TOLERANCE
    )
    assert squad_scores(gold, {}) == {"exact_match": 0, "f1": 0}


def test_squad_errors():
    with pytest.raises(ValueError, match="no question"):
        squad_scores({}, {})
    with pytest.raises(ValueError, match=r"1 questions without a gold answer, e\.g\. q2"):
        squad_scores({"q1": ["x"], "q2": []}, {"q1": "x"})


TEXTS = st.text(alphabet="aAbthe .'«é\u00a0", max_size=12)
ANSWERS = st.lists(TEXTS, min_size=1, max_size=3)


@given(st.lists(st.tuples(TEXTS, ANSWERS), min_size=1, max_size=5))
def test_squad_properties(questions):
    gold = {str(i): answers for i, (_, answers) in enumerate(questions)}
    predicted = {str(i): prediction for i, (prediction, _) in enumerate(questions)}
    assert all(0 <= score <= 100 for score in squad_scores(gold, predicted).values())
    best = squad_scores(gold, {key: answers[-1] for key, answers in gold.items()})
    assert best["exact_match"] == 100
    if all(normalise(answers[-1]) for answers in gold.values()):
        assert best["f1"] == 100


@given(TEXTS, ANSWERS, TEXTS)
def test_answer_properties(prediction, answers, another):
    assert normalise(normalise(prediction)) == normalise(prediction)
    assert exact_match(prediction, [*answers, another]) >= exact_match(prediction, answers)
    assert f1(prediction, [*answers, another]) >= f1(prediction, answers)
    if normalise(prediction):
        assert f1(prediction, answers) >= exact_match(prediction, answers)
