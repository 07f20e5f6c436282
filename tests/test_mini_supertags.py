"""Tests that the embedded world's supertags combine to a sentence, and some of them by hand."""

from __future__ import annotations

from random import Random

import pytest
from combinatory import parses, read

from xt_jax.mini import concepts as world
from xt_jax.mini.languages import LANGUAGES, ORDERS, Utterance
from xt_jax.mini.scenes import Scene, draw_scene, negate
from xt_jax.mini.tasks.drawing import draw_utterance, roles_of
from xt_jax.mini.tasks.tags import supertag_examples

ADVERB = r"(S\NP)\(S\NP)"
GIFT = Scene("teacher", "give", "book", 2, "old", "Emma Wolf", "library", "Monday")
HELP = Scene("Karim", "help", person="nurse", place="Cairo")
# utterance, its words and as many categories; `_` is the category of an adverb
BY_HAND = [
    (
        Utterance((GIFT._replace(number=1),)),
        "The teacher gave Emma Wolf an old book in the library on Monday .",
        r"NP[nb]/N N ((S[dcl]\NP)/NP)/NP N/N N NP[nb]/N N/N N _/NP NP[nb]/N N _/NP N .",
    ),
    (
        Utterance((GIFT,), "shift"),
        "The teacher gave two old books to Emma Wolf in the library on Monday .",
        r"NP[nb]/N N ((S[dcl]\NP)/PP)/NP N/N N/N N PP/NP N/N N _/NP NP[nb]/N N _/NP N .",
    ),
    (
        Utterance((GIFT,), "front", "person"),
        "On Monday , who did the teacher give two old books to in the library ?",
        r"(S/S)/NP N , S[wq]/(S[q]/NP) (S[q]/(S[b]\NP))/NP NP[nb]/N N ((S[b]\NP)/PP)/NP N/N N/N N"
        r" PP/NP _/NP NP[nb]/N N .",
    ),
    (
        Utterance((GIFT._replace(place=None, time=None),), "plain", "number"),
        "How many old books did the teacher give to Emma Wolf ?",
        r"((S[wq]/(S[q]/NP))/N)/(N/N) N/N N/N N (S[q]/(S[b]\NP))/NP NP[nb]/N N ((S[b]\NP)/PP)/NP"
        r" PP/NP N/N N .",
    ),
    (
        Utterance((negate(HELP), Scene("Max", "wait", person="Eva"))),
        "Karim did not help the nurse in Cairo , but Max waited for Eva .",
        r"N (S[dcl]\NP)/(S[b]\NP) _ (S[b]\NP)/NP NP[nb]/N N _/NP N , conj N (S[dcl]\NP)/PP PP/NP"
        r" N .",
    ),
    (
        Utterance((Scene("Max", "go", place="park", time="last week"),), "plain", "place"),
        "Where did Max go last week ?",
        r"S[wq]/S[q] (S[q]/(S[b]\NP))/NP N S[b]\NP _/N N .",
    ),
    (
        Utterance((Scene("Max", "meet", person="Eva", time="yesterday"),), "front", "agent"),
        "Yesterday , who met Eva ?",
        r"S/S , S[wq]/(S[dcl]\NP) (S[dcl]\NP)/NP N .",
    ),
]


@pytest.mark.parametrize(("utterance", "words", "categories"), BY_HAND, ids=lambda value: None)
def test_supertags_by_hand(utterance, words, categories):
    (example,) = supertag_examples(LANGUAGES["en"], [utterance])
    by_hand = (
        f"({ADVERB}){c[1:]}" if c.startswith("_/") else c.replace("_", ADVERB)
        for c in categories.split()
    )
    assert " ".join(example.words) == words
    assert list(example.tags) == list(by_hand)


def test_every_sentence_combines():
    rng = Random("supertags")
    scenes = {scene.verb: scene for scene in (draw_scene(rng) for _ in range(3000))}
    assert set(scenes) == set(world.VERBS)
    said = [draw_utterance(rng) for _ in range(500)]
    for scene in scenes.values():
        for order in ORDERS:
            said += [Utterance((one,), order) for one in (scene, negate(scene))]
            said += [Utterance((scene,), order, role) for role in roles_of(scene)]
    for utterance, example in zip(said, supertag_examples(LANGUAGES["en"], said), strict=True):
        whole = "S[wq]" if utterance.asked else "S[dcl]"
        assert parses(example.tags) == {read(whole)}, (example.words, example.tags)


@pytest.mark.parametrize(("categories", "whole"), [
    (r"N S[dcl]\NP .", "S[dcl]"),
    (r"N (S[dcl]\NP)/NP N", "S[dcl]"),
    (r"N (S[dcl]\NP)/NP", ""),
    (r"N (S[dcl]\NP)/NP PP", ""),
    (r"N S[dcl]\NP (S\NP)\(S\NP)", "S[dcl]"),
    (r"(S/S)/NP N , N S[dcl]\NP", "S[dcl]"),
    (r"S[wq]/(S[q]/NP) S[q]/(S[b]\NP) (S[b]\NP)/NP (S\NP)\(S\NP)", "S[wq]"),
    (r"S[wq]/(S[q]/NP) S[q]/(S[dcl]\NP) (S[b]\NP)/NP", ""),
    (r"S[wq]/(S[q]/NP) S[q]/(S[b]\NP) ((S[b]\NP)/PP)/NP PP/NP N", "S[wq]"),
    (r"S[wq]/(S[q]/NP) S[q]/(S[b]\NP) (S[b]\NP)/PP PP/NP N", ""),
    (r"N S[dcl]\NP , conj N S[dcl]\NP", "S[dcl]"),
])  # fmt: skip
def test_the_parser_by_hand(categories, whole):
    assert parses(categories.split()) == ({read(whole)} if whole else set())
