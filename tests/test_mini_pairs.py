"""Tests the labels of the embedded world's pairs against a model of possible events."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from random import Random

import bag_of_words
import pytest
from drawn import PARAPHRASES, drawn
from events import verdict

from xt_jax.data.examples import PairExample
from xt_jax.mini import concepts as world
from xt_jax.mini.languages import LANGUAGES, Utterance, text
from xt_jax.mini.scenes import Scene, draw_scene, is_text, negate, possible
from xt_jax.mini.tasks import drawing, entailment, paraphrase
from xt_jax.tasks.table import NLI, TASKS

ENGLISH = LANGUAGES["en"]


def _words(utterance: Utterance) -> Counter[str]:
    return Counter(re.findall(r"[\w:]+", text(ENGLISH, utterance).lower()))


@pytest.mark.parametrize("task", entailment.LENGTHS)
def test_nli_labels_hold_in_every_possible_world(task):
    pairs = drawn(entailment.drawer(task), 300)
    assert [pair.label for pair in pairs] == [NLI[turn % 3] for turn in range(300)]
    for first, second, label in pairs:
        assert len(first.scenes) in entailment.LENGTHS[task]
        (hypothesis,) = second.scenes
        for exactly in (True, False):  # whether three apples are three or at least three
            assert verdict(first.scenes, hypothesis, exactly=exactly) == label, (first, second)


def test_what_follows_is_what_the_model_says_of_any_two_scenes():
    rng = Random("relation")
    actual = Counter()
    for _ in range(4000):
        scene = draw_scene(rng)
        premise, hypothesis = (_changed(rng, scene) for _ in range(2))
        if not entailment.debatable([premise], hypothesis):
            label = entailment.relation([premise], hypothesis)
            actual[label] += 1
            for exactly in (True, False):
                assert verdict([premise], hypothesis, exactly=exactly) == label
    assert min(actual.values()) > 400


def _changed(rng: Random, scene: Scene) -> Scene:
    """Draws a variant of the scene: less or other detail, another agent, negated or not."""
    for part in ("look", "place", "time"):
        if getattr(scene, part) and rng.random() < 0.3:
            scene = scene._replace(**{part: None})
    kind = world.KIND_OF.get(scene.thing or "")
    if kind in world.HYPERNYMS and rng.random() < 0.3:
        scene = scene._replace(thing=kind)
    if scene.number and rng.random() < 0.3:
        scene = scene._replace(number=rng.choice((None, 1, 2, 3)))
    if rng.random() < 0.1:
        scene = scene._replace(agent=rng.choice(world.HUMANS))
    return negate(scene) if rng.random() < 0.5 else scene


@pytest.mark.parametrize(("scene", "other"), [
    (Scene("Nora", "buy", "apple", 3), Scene("Nora", "buy", "apple", 4)),
    (Scene("Nora", "buy", "apple"), Scene("Nora", "buy", "apple", 2)),
    (Scene("Nora", "buy", "apple", 1), Scene("Nora", "buy", "apple")),
    (Scene("Nora", "rest", place="park"), Scene("Nora", "rest", place="hotel")),
    (Scene("Nora", "meet", person="Max"), Scene("Max", "meet", person="Nora")),
    (Scene("Nora", "sell", "rose", 1, person="Max"), Scene("Max", "buy", "rose", 1)),
    (Scene("Max", "buy", "rose", 1), Scene("Nora", "sell", "rose", 1, person="Max")),
    (Scene("Nora", "travel", place="Cairo"), Scene("Nora", "go", place="Cairo")),
])  # fmt: skip
def test_what_a_reader_could_take_for_another_version_is_no_hypothesis(scene, other):
    assert entailment.debatable([Scene("Eva", "rest"), scene], other)
    strange = scene._replace(agent="Leila"), other._replace(agent="Hugo")
    assert not entailment.debatable(strange[:1], strange[1])


def test_the_model_of_truth_by_hand():
    apples = Scene("Nora", "buy", "apple", 3, "fresh", place="market")
    sale = Scene("Max", "sell", "apple", 3, None, "Nora")
    for premise, hypothesis, label in (
        (apples, apples._replace(number=None, look=None), "entailment"),
        (apples, apples._replace(thing="fruit"), "entailment"),
        (apples, apples._replace(thing="animal"), "neutral"),
        (apples._replace(thing="fruit"), apples, "neutral"),
        (apples, apples._replace(time="Monday"), "neutral"),
        (apples._replace(number=None), apples, "neutral"),
        (apples, negate(apples._replace(place=None)), "contradiction"),
        (apples, negate(apples._replace(place="park")), "neutral"),
        (negate(apples._replace(look=None)), apples, "contradiction"),
        (negate(apples._replace(thing="fruit")), negate(apples), "entailment"),
        (negate(apples), apples._replace(look=None), "neutral"),
        (Scene("Nora", "like", "apple"), Scene("Nora", "like", "fruit"), "neutral"),
        (Scene("Nora", "meet", person="Max"), Scene("Max", "meet", person="Nora"), "entailment"),
        (sale, Scene("Nora", "buy", "fruit"), "entailment"),
    ):
        assert verdict((premise,), hypothesis) == label, (premise, hypothesis)
    six = apples._replace(number=6)
    assert verdict((six,), apples) == "neutral"
    assert verdict((six,), apples, exactly=False) == "entailment"


def test_the_kinds_of_the_hypothesis_do_not_tell_the_label():
    pairs = drawn(entailment.draw_nli, 1800)
    for cue in (
        lambda pair: pair.second.scenes[0].negated,
        lambda pair: len(pair.first.scenes),
        lambda pair: pair.second.scenes[0].number is None,
        lambda pair: pair.second.scenes[0].place is None,
        lambda pair: pair.second.order,
    ):
        counts = defaultdict(Counter)
        for pair in pairs:
            counts[cue(pair)][pair.label] += 1
        guessed = sum(max(labels.values()) for labels in counts.values())
        assert guessed / len(pairs) < 0.38
    for value in (True, False):
        assert 0.45 < sum(p.second.scenes[0].negated == value for p in pairs) / len(pairs) < 0.55


def test_paraphrases_have_the_same_words_and_the_label_says_if_the_same_meaning():
    pairs = drawn(paraphrase.draw_paraphrase, 600)
    assert [pair.label for pair in pairs] == ["0", "1"] * 300
    for first, second, label in pairs:
        assert _words(first) == _words(second), text(ENGLISH, first)
        assert text(ENGLISH, first) != text(ENGLISH, second)
        assert _same(first.scenes, second.scenes) == (label == "1"), (first, second)


def test_duplicate_questions_have_the_same_words_and_others_another_answer():
    pairs = drawn(paraphrase.draw_duplicate, 600)
    assert [pair.label for pair in pairs] == ["0", "1"] * 300
    for first, second, label in pairs:
        assert text(ENGLISH, first) != text(ENGLISH, second)
        assert first.asked == second.asked
        (one,), (two,) = first.scenes, second.scenes
        if label == "1":
            assert _words(first) == _words(second), text(ENGLISH, first)
            assert one == two
        else:
            assert not drawing.knowable(one, two, first.asked), (one, two)
            assert not drawing.knowable(two, one, first.asked), (one, two)
    others = [pair for pair in pairs if pair.label == "0"]
    exchanged = sum(_words(pair.first) == _words(pair.second) for pair in others)
    assert 0.25 < exchanged / len(others) < 0.35


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code in TASKS["pawsx"].languages])
def test_paraphrases_are_two_sentences_in_the_languages_that_have_them(code):
    pairs = drawn(paraphrase.draw_paraphrase, 1500)
    alike = [a for a, b, _ in pairs if text(LANGUAGES[code], a) == text(LANGUAGES[code], b)]
    assert len(alike) < 8  # German keeps some names apart by one order only


def _same(first: tuple[Scene, ...], second: tuple[Scene, ...]) -> bool:
    """Returns whether two utterances entail each other."""
    pairs = itertools.chain(
        ((first, scene) for scene in second), ((second, scene) for scene in first)
    )
    return all(verdict(premise, scene) == "entailment" for premise, scene in pairs)


def test_what_the_same_words_do_not_tell_is_exchanged():
    chairs = [Scene("Nora", "buy", "chair", 1, "old", None, "market", t) for t in world.TIMES]
    one = next(scene for scene in chairs if not is_text(scene))
    two = Scene("Max", "sell", "table", 1, "ugly", "Eva", "park", "2015")
    exchanged = drawing.exchanges(one, two, paraphrase.EXCHANGED)
    assert all(possible(scene) and not is_text(scene) for pair in exchanged for scene in pair)

    def options(others: list[Scene], part: str) -> list:
        return [pair for other in others for pair in drawing.exchanges(one, other, (part,))]

    people = [one._replace(agent=person) for person in world.PEOPLE]
    assert options([o._replace(verb=verb) for o in people for verb in world.DEEDS], "agent")
    assert not options(people, "agent")  # who did the same
    tables = [two._replace(time=time) for time in world.TIMES]
    assert options(tables, "look")
    assert not options([table._replace(number=None) for table in tables], "look")  # `an` is new
    resting = [Scene(m, "rest", place=site) for m in world.MEN for site in world.SITES]
    assert options(resting, "place")
    assert not options([scene._replace(verb="go") for scene in resting], "place")  # `to` is new


def test_a_bag_of_words_finds_what_single_words_tell():
    rng = Random("cue")
    sentences = [text(ENGLISH, drawing.draw_statement(rng)) for _ in range(2500)]
    examples = [PairExample("", s, "Who?", str(int("not" in s.split()))) for s in sentences]
    assert bag_of_words.accuracy(examples[:2000], examples[2000:]) > 95
    assert bag_of_words.accuracy(examples[:2000], examples[2000:], "b") < 70  # the larger class


@pytest.mark.parametrize("task", ["mnli", "pawsx", "qqp"])
def test_a_bag_of_words_does_not_find_the_label(task):
    draw = PARAPHRASES.get(task, entailment.draw_nli)
    size = 4000 if task == "qqp" else 6000
    examples = entailment.pair_examples(ENGLISH, drawn(draw, size + 2000))
    limits = {"mnli": {"ab": 42, "b": 38}, "pawsx": {"ab": 56}, "qqp": {"ab": 61, "b": 56}}[task]
    for sides, limit in limits.items():
        assert bag_of_words.accuracy(examples[:size], examples[size:], sides) < limit
