"""Tests the embedded world's questions, choices, tags, translations and splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import drawn as meanings
import pytest
from events import could_answer, verdict

from xt_jax.mini import concepts as world
from xt_jax.mini.languages import LANGUAGES, say, text
from xt_jax.mini.scenes import Scene, draw_scene, is_text, possible
from xt_jax.mini.tasks import choices, drawing, entailment, parallel, passages, tags
from xt_jax.mini.tasks.plain_text import draw_story
from xt_jax.mini.words import write

ENGLISH = LANGUAGES["en"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_answers_are_the_words_asked_for_where_they_stand(code):
    language = LANGUAGES[code]
    both = (passages.draw_passage_or_none, passages.draw_passage)
    drawn = [passage for draw in both for passage in meanings.drawn(draw, 60)]
    examples = passages.span_examples(language, drawn)
    asked = [(passage, question) for passage in drawn for question in passage.questions]
    for example, (passage, (said, k)) in zip(examples, asked, strict=True):
        assert example.question == text(language, said)
        assert example.context == passages.passage_text(language, passage.sentences)
        if k is None:
            assert example.answers == ()
            continue
        ((answer, start),) = example.answers
        assert example.context[start : start + len(answer)] == answer
        roles = {"thing", "number"} if said.asked == "thing" else {said.asked}
        words = say(language, passage.sentences[k])
        assert answer == write([w for w in words if w.role in roles], language.spaces)[0]
        before = len(passages.passage_text(language, passage.sentences[:k]))
        assert before <= start < before + 1 + len(text(language, passage.sentences[k]))


def test_a_question_in_another_language_is_the_same_question():
    drawn = meanings.drawn(passages.draw_passage, 20)
    mixed = passages.span_examples(LANGUAGES["de"], drawn, LANGUAGES["hi"])
    german, hindi = (passages.span_examples(LANGUAGES[code], drawn) for code in ("de", "hi"))
    assert mixed == [a._replace(question=b.question) for a, b in zip(german, hindi, strict=True)]


@pytest.mark.parametrize("draw", [passages.draw_passage, passages.draw_passage_or_none])
def test_one_sentence_answers_the_question_or_none_does(draw):
    rivals = 0
    for passage in meanings.drawn(draw, 300):
        scenes = [scene for sentence in passage.sentences for scene in sentence.scenes]
        assert len(scenes) == len(passage.sentences) == len({scene.agent for scene in scenes})
        for said, k in passage.questions:
            (question,) = said.scenes
            told = [(i, scene) for i, scene in enumerate(scenes) if not scene.negated]
            able = [i for i, scene in told if could_answer(question, said.asked, scene)]
            assert able == ([] if k is None else [k]), passage
            rivals += sum(scene.verb == question.verb for scene in scenes) > 1
        unanswered = sum(k is None for _, k in passage.questions)
        assert unanswered == (draw is passages.draw_passage_or_none)
    assert rivals > 170


@pytest.mark.parametrize(("asked", "question", "told"), [
    ("agent", Scene("Max", "buy", "apple", 3), Scene("Eva", "sell", "apple", 3, None, "Nora")),
    ("person", Scene("Max", "meet", person="Eva"), Scene("Nora", "meet", person="Max")),
    ("place", Scene("Max", "go", place="park"), Scene("Max", "travel", place="Cairo")),
])  # fmt: skip
def test_what_is_told_in_other_words_can_answer_too(asked, question, told):
    assert could_answer(question, asked, told)
    assert drawing.knowable(question, told, asked)
    assert not drawing.knowable(question._replace(time="night"), told._replace(time="2015"), asked)


def test_an_ending_is_a_habit_and_the_others_never_happen():
    happens = defaultdict(set)
    rng = Random("habits")
    for turn in range(40_000):
        scene = draw_scene(rng, for_text=turn % 2 == 0)
        happens[scene.agent].add(scene.thing)
    for turn, (context, _, endings, label) in enumerate(meanings.drawn(choices.draw_ending, 800)):
        agent = context[0].scenes[0].agent
        assert label == turn % 4
        assert {ending.agent for ending in endings} == {agent}
        assert len({ending.thing for ending in endings}) == 4
        assert [e.thing in happens[agent] for e in endings] == [i == label for i in range(4)]


def test_a_passage_bears_out_one_answer():
    drawn = meanings.drawn(choices.draw_reading, 120)
    for turn, (context, said, answers, label) in enumerate(drawn):
        (question,) = said.scenes
        parts = ("thing", "number", "look") if said.asked == "thing" else (said.asked,)
        claims = [question._replace(**{p: getattr(a, p) for p in parts}) for a in answers]
        told = [scene for sentence in context for scene in sentence.scenes]
        true = [verdict(told, claim) == "entailment" for claim in claims]
        assert true == [i == label for i in range(4)], (context, said, answers)
        assert label == turn % 4


def test_everybody_knows_one_of_the_answers():
    likes, homes = defaultdict(set), {}
    rng = Random("likes")
    for turn in range(100_000):
        scene = draw_scene(rng, for_text=turn % 2 == 0)
        if scene.verb == "like":
            likes[scene.agent].add(scene.thing)
        if scene.verb == "live":
            homes[scene.agent] = scene.place
    drawn = meanings.drawn(choices.draw_knowledge, 800)
    for turn, (context, said, answers, label) in enumerate(drawn):
        assert context == ()
        assert label == turn % 5
        actual = [
            answer.place == homes[answer.agent]
            if said.asked == "place"
            else answer.thing in likes[answer.agent]
            for answer in answers
        ]
        assert actual == [i == label for i in range(5)]


@pytest.mark.parametrize("draw", ["draw_ending", "draw_reading", "draw_knowledge"])
def test_choices_are_all_different_in_every_language(draw):
    drawn = meanings.drawn(getattr(choices, draw), 200)
    for language in LANGUAGES.values():
        for choice, example in zip(drawn, choices.choice_examples(language, drawn), strict=True):
            assert len({*example.choices}) == len(choice.choices)
            assert example.label == str(choice.label)
            asked = choice.question and text(language, choice.question)
            if choice.context:
                assert example.text == passages.passage_text(language, choice.context)
                assert all(option.startswith(asked or "") for option in example.choices)
            else:
                assert example.text == asked


@pytest.mark.parametrize("code", ["de", "ru", "zh"])
def test_mined_pairs_are_translations_and_no_others_are(code):
    language, (corpora, more) = LANGUAGES[code], parallel.draw_corpora("mining", 60, 150, 2)
    examples = parallel.mining_examples(language, corpora)
    assert not {u for pair in corpora.lines for u in pair if u} & {u for p in more.lines for u in p}
    meanings = {
        **{text(ENGLISH, u): frozenset(u.scenes) for _, u in corpora.lines if u},
        **{text(language, u): frozenset(u.scenes) for u, _ in corpora.lines if u},
    }
    english = {e.id: meanings[e.text] for e in examples if e.english}
    foreign = [e for e in examples if not e.english]
    assert len(english) == len(foreign) == 210
    assert len({e.text for e in examples}) == 420
    gold = {(e.id, partner) for e in foreign for partner in e.partners}
    same = {(e.id, id_) for e in foreign for id_ in english if english[id_] == meanings[e.text]}
    assert gold == same
    assert len(gold) == 60
    shared = {meaning for e in foreign if e.partners for meaning in [meanings[e.text]]}
    alone = [u.scenes for pair in corpora.lines if None in pair for u in pair if u]
    near = sum(any(_one_part(scenes, pair) for pair in shared) for scenes in alone)
    assert 0.4 < near / len(alone) < 0.6


def _one_part(scenes: tuple[Scene, ...], pair: frozenset[Scene]) -> bool:
    rest, others = {*scenes} - pair, pair - {*scenes}
    if len(rest) != 1 or len(others) != 1:
        return False
    return sum(a != b for a, b in zip(*rest, *others, strict=True)) == 1


def test_tags_are_those_of_the_words():
    said = meanings.drawn(drawing.draw_utterance, 100)
    for language in LANGUAGES.values():
        for kind in ("upos", "ner"):
            examples = tags.tag_examples(language, said, kind)
            for utterance, example in zip(said, examples, strict=True):
                words = say(language, utterance)
                assert example.words == tuple(word.text for word in words)
                assert example.tags == tuple(getattr(word, kind) for word in words)
    assert 0.1 < sum(bool(utterance.asked) for utterance in said) / 100 < 0.3


def test_no_scene_of_a_task_is_one_of_the_text():
    of_pairs = (entailment.draw_nli, *meanings.PARAPHRASES.values())
    drawn = [u for draw in of_pairs for pair in meanings.drawn(draw, 300) for u in pair[:2]]
    drawn += [u for p in meanings.drawn(passages.draw_passage, 300) for u in p.sentences]
    none = meanings.drawn(passages.draw_passage_or_none, 300)
    drawn += [question.said for passage in none for question in passage.questions]
    drawn += [u for pair in parallel.draw_corpora("x", 100, 300, 1)[0].lines for u in pair if u]
    drawn += meanings.drawn(drawing.draw_utterance, 300)
    assert not [scene for utterance in drawn for scene in utterance.scenes if is_text(scene)]


def test_the_text_denies_the_same_deeds_again_and_again_and_half_of_that_loudly():
    drawn = [u for story in meanings.drawn(draw_story, 20000) for u in story]
    singles = [u for u in drawn if len(u.scenes) == 1 and not u.asked]
    denied = Counter(u.exclaimed for u in singles if u.scenes[0].negated)
    assert 0.45 < denied[True] / denied.total() < 0.55
    assert not any(u.exclaimed for u in singles if not u.scenes[0].negated)
    by_habit = defaultdict(Counter)
    for scene in (u.scenes[0] for u in singles if u.scenes[0].time is None):
        by_habit[scene.agent, scene.verb][scene.negated] += 1
    shares = [c[True] / c.total() for c in by_habit.values() if c.total() >= 20]
    assert len(shares) > 50
    assert all(share < 0.35 or share > 0.55 for share in shares)  # hardly ever in between
    assert 0.05 < sum(share > 0.55 for share in shares) / len(shares) < 0.3


def test_organisations_trade_and_nobody_acts_on_themselves():
    for scene in meanings.drawn(lambda rng, _: draw_scene(rng), 3000):
        assert possible(scene)
        if scene.agent in world.ORGANISATIONS:
            assert scene.verb in ("buy", "sell", "have")
        assert scene.person != scene.agent
        if scene.person in world.ORGANISATIONS:
            assert scene.verb == "sell"


def test_no_meaning_is_in_two_splits():
    turns = []

    def draw(rng: Random, turn: int) -> int:
        turns.append(turn)
        return rng.randrange(40)

    splits = drawing.distinct(draw, "seed", [20, 15], key=lambda value: value)
    assert [len(split) for split in splits] == [20, 15]
    assert len({value for split in splits for value in split}) == 35
    assert set(turns) == set(range(20))
