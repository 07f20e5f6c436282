"""Tests the languages of the embedded world: sentences by hand, and properties of all sentences."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from random import Random

import pytest
from spoken import SENTENCES, UTTERANCES

from xt_jax.mini import concepts as world
from xt_jax.mini.languages import LANGUAGES, ORDERS, Utterance, say, text
from xt_jax.mini.languages.turkish import suffix
from xt_jax.mini.scenes import ROLES, Scene, draw_scene, negate, possible, swap_roles
from xt_jax.mini.tasks.drawing import draw_utterance, roles_of
from xt_jax.mini.tasks.entailment import draw_nli
from xt_jax.mini.tasks.paraphrase import draw_duplicate, draw_paraphrase
from xt_jax.mini.tasks.plain_text import draw_story
from xt_jax.mini.words import CLOSING, Language, Words, write
from xt_jax.tasks.table import ENTITIES, UPOS

SHIRTS = Utterance(
    (Scene("Paul Keller", "buy", "shirt", 2, "red", None, "Rio de Janeiro", "7:30"),)
)
SALE = Utterance(
    (Scene("Luna Books", "sell", "apple", 12, "fresh", "nurse", "station", "2015"),), asked="place"
)
TAGGED = SENTENCES.parent / "tagged"  # words, parts of speech and entities of the two, by hand
# between two clauses that are both affirmed or both denied, and others
BETWEEN = {
    "en": (", and ", ", but "),
    "de": (" und ", ", aber "),
    "es": (", y ", ", pero "),
    "ru": (", а ", ", но "),
    "ar": ("، و", "، بينما "),
    "tr": (" ve ", " ama "),
    "hi": (" और ", ", लेकिन "),
    "zh": ("，马", "，但是"),
}
FAR = ("airport", "village")
HARMONY = [
    *(("park", "DA", "ta"), ("köy", "DA", "de"), ("Hong Kong", "DA", "da")),
    *(("Buenos Aires", "DA", "te"), ("Madrid", "DA", "de"), ("Kuala Lumpur", "DA", "da")),
    *(("Leyla", "YI", "yı"), ("Hugo", "YI", "yu"), ("Rosa", "YlA", "yla")),
    *(("Karim", "YlA", "le"), ("öğrenci", "YlA", "yle"), ("Leyla", "YA", "ya")),
    *(("Peter", "YA", "e"), ("Umut", "YI", "u"), ("gül", "YI", "ü"), ("Murat", "YI", "ı")),
    *(("oku", "DI", "du"), ("sat", "DI", "tı"), ("gör", "DI", "dü"), ("kaybet", "DI", "ti")),
    *(("ara", "mADI", "madı"), ("göster", "mADI", "medi")),
    *(("Nora", "NIn", "nın"), ("Viktor", "NIn", "un"), ("ördek", "SI", "i"), ("lale", "SI", "si")),
    *(("araba", "lArI", "ları"), ("kedi", "lArYI", "leri"), ("kale", "DA", "de")),
]
# The values that each part of a scene can have, in a scene where all of them are possible.
FRAMES = {
    "agent": (Scene("Nora", "buy", "apple", 3), world.AGENTS),
    "thing": (Scene("Nora", "buy", "apple", 3), (*world.THINGS, *world.HYPERNYMS)),
    "number": (Scene("Nora", "buy", "apple", 3, "big"), (None, 1, *world.NUMBERS)),
    "person": (Scene("Nora", "thank", person="Eva"), tuple(h for h in world.HUMANS if h != "Nora")),
    "place": (Scene("Nora", "rest", place="park"), (None, *world.PLACES)),
    "time": (Scene("Nora", "rest", time="night"), (None, *world.TIMES)),
}


def _verbs() -> dict[str, Scene]:
    """Returns a scene of every verb, with all the parts that it can have."""
    bare = Scene("Nora", "like", "rose")
    told = bare._replace(place="market", time="evening")
    roses = told._replace(number=3, look="red")
    scenes = {"like": bare, "have": Scene("Nora", "have", "rose", 3, "red")}
    scenes["live"] = Scene("Nora", "live", place="Cairo")
    scenes |= dict.fromkeys(world.DEEDS, roses)
    scenes |= {verb: roses._replace(person="Eva") for verb in world.TRANSFERS}
    scenes |= {verb: told._replace(thing=None, person="Eva") for verb in world.SOCIAL}
    scenes |= {verb: told._replace(thing=None) for verb in (*world.MOVES, *world.ACTIVITIES)}
    assert set(scenes) == set(world.VERBS)
    return {verb: scene._replace(verb=verb) for verb, scene in scenes.items()}


VERBS = _verbs()


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    """Draws utterances of the tasks, and adds every verb in every form."""
    rng = Random("languages")
    drawn = [*UTTERANCES, *(u for scene in VERBS.values() for u in _ways(scene))]
    for turn in range(300):
        drawn += [draw_utterance(rng), *draw_nli(rng, turn)[:2], *draw_story(rng)]
        drawn += [*draw_paraphrase(rng, turn)[:2], *draw_duplicate(rng, turn)[:2]]
    return drawn


@pytest.fixture(scope="module")
def variants() -> list[Utterance]:
    """Every concept where it can be, every look of a thing, and scenes that differ in one part."""
    rng = Random("neighbours")
    scenes = [f._replace(**{part: v}) for part, (f, values) in FRAMES.items() for v in values]
    for thing, kind in world.KIND_OF.items():
        for look, number in itertools.product((None, *world.KINDS[kind][1]), (1, 2)):
            scenes.append(Scene("Nora", "lose", thing, number, look))
    for _ in range(150):
        scene = draw_scene(rng)
        scenes += [scene, *_neighbours(rng, scene)]
    return [Utterance((scene,), order) for scene in scenes for order in ORDERS]


def _ways(scene: Scene) -> Iterator[Utterance]:
    """Returns the scene affirmed, negated and as every question, in every order."""
    for order in ORDERS:
        yield from (Utterance((s,), order) for s in (scene, negate(scene)))
        yield from (Utterance((scene,), order, role) for role in roles_of(scene))


@pytest.mark.parametrize("code", LANGUAGES)
def test_sentences_as_they_were_written_by_hand(code):
    lines = (SENTENCES / f"{code}.txt").read_text("utf-8").splitlines()
    assert [text(LANGUAGES[code], utterance) for utterance in UTTERANCES] == lines


def test_the_sentences_by_hand_show_every_part_of_a_scene():
    assert {path.stem for path in SENTENCES.iterdir()} == set(LANGUAGES)
    assert {u.asked for u in UTTERANCES} == {"", *ROLES}
    assert {u.order for u in UTTERANCES} == set(ORDERS)
    scenes = [scene for u in UTTERANCES for scene in u.scenes]
    for group in ("DEEDS", "TRANSFERS", "SOCIAL", "MOVES", "ACTIVITIES", "STATES"):
        assert {scene.verb for scene in scenes} & {*getattr(world, group)}, group


@pytest.mark.parametrize("code", LANGUAGES)
def test_tags_by_hand(code):
    columns = [
        " ".join(column)
        for utterance in (SHIRTS, SALE)
        for column in list(zip(*say(LANGUAGES[code], utterance), strict=True))[:3]
    ]
    assert columns == (TAGGED / f"{code}.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(("word", "pattern", "expected"), HARMONY)
def test_vowel_harmony(word, pattern, expected):
    assert suffix(word, pattern) == expected


@pytest.mark.parametrize("code", LANGUAGES)
def test_different_meanings_read_differently(code, utterances, variants):
    said = defaultdict(set)
    for utterance in (*utterances, *variants):
        said[text(LANGUAGES[code], utterance)].add(utterance.meaning())
    assert [again for again, meanings in said.items() if len(meanings) > 1] == []


def _neighbours(rng: Random, scene: Scene) -> Iterator[Scene]:
    """Yields possible scenes that differ in the value of one part or exchange people."""
    yield negate(scene)
    if scene.person and possible(swap_roles(scene)):
        yield swap_roles(scene)
    fixed = {"like": ("number", "place", "time"), "have": ("place", "time")}
    fixed["live"] = ("place", "time")
    for part, (_, values) in FRAMES.items():
        optional = part in ("place", "time")
        if part in fixed.get(scene.verb, ()) or (getattr(scene, part) is None and not optional):
            continue
        for value in rng.sample(values, 5):
            other = scene._replace(**{part: value})
            if possible(other) and (value or scene.verb not in world.MOVES):
                yield other


@pytest.mark.parametrize("code", LANGUAGES)
def test_words_and_their_tags_are_well_formed(code, utterances):
    for utterance in utterances:
        words = say(LANGUAGES[code], utterance)
        for before, word in itertools.pairwise([None, *words]):
            assert word.text
            assert not re.search(r"[\s_]", word.text)
            assert word.upos in UPOS
            assert word.ner in ENTITIES
            assert word.role in {"", *ROLES}
            assert word.ner == "O" or word.upos == "PROPN"
            assert (word.upos == "PUNCT") == (not re.search(r"\w", word.text))
            if word.ner.startswith("I-"):
                assert before.ner[2:] == word.ner[2:]
        assert words[-1].text in CLOSING
        assert [w.upos for w in words[1:-1]].count("PUNCT") < 4


@pytest.mark.parametrize("code", LANGUAGES)
def test_all_is_said_and_every_part_in_one_piece(code, utterances):
    for utterance in utterances:
        if utterance.asked or len(utterance.scenes) > 1:
            continue
        (scene,) = utterance.scenes
        said = {role: [i for i, w in enumerate(say(LANGUAGES[code], utterance)) if w.role == role]
                for role in ROLES}  # fmt: skip
        for role, places in said.items():
            if role != "number":  # one may be an article, two a dual
                assert bool(places) == (getattr(scene, role) is not None), utterance
        if scene.number and scene.number > 2:
            assert said["number"], utterance
        for places in (*said.values(), sorted(said["thing"] + said["number"])):
            assert places == list(range(places[0], places[-1] + 1)) if places else True, utterance


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_question_does_not_say_its_answer(code, utterances):
    for utterance in utterances:
        if utterance.asked:
            unsaid = {"thing", "number"} if utterance.asked == "thing" else {utterance.asked}
            words = say(LANGUAGES[code], utterance)
            assert not unsaid & {word.role for word in words}
            for value in _others(utterance):
                other = utterance.scenes[0]._replace(**{utterance.asked: value})
                assert say(LANGUAGES[code], utterance._replace(scenes=(other,))) == words


def _others(utterance: Utterance) -> Sequence:
    """Returns the values of the asked part that must give the same question."""
    scene = utterance.scenes[0]
    match utterance.asked:
        case "agent":
            return world.HUMANS if scene.agent in world.HUMANS else world.ORGANISATIONS
        case "number":
            return (3, 4, 5, 6) if scene.number < 10 else (12, 20, 30)
        case "person":
            return world.HUMANS
        case "place":
            near = tuple(site for site in world.SITES if site not in FAR)
            return next(group for group in (world.CITIES, FAR, near) if scene.place in group)
        case "time":
            return world.TIMES
    return ()


def test_all_languages_say_the_same_entities_and_digits(utterances):
    for utterance in utterances:
        actual = [_entities(say(language, utterance)) for language in LANGUAGES.values()]
        assert all(each == actual[0] for each in actual), utterance


def _entities(words: Words) -> tuple[Counter[str], Counter[str]]:
    digits = (re.match(r"[\d:]+", word.text) for word in words)
    return (
        Counter(word.ner for word in words if word.ner.startswith("B-")),
        Counter(match.group() for match in digits if match),
    )


def _marks(language: Language, utterance: Utterance) -> tuple[str, str]:
    if utterance.asked:
        return language.asking
    return language.exclaiming if utterance.exclaimed else ("", language.stop)


@pytest.mark.parametrize("code", LANGUAGES)
def test_running_text(code, utterances):
    language = LANGUAGES[code]
    for utterance in utterances:
        words = say(language, utterance)
        written, spans = write(words, language.spaces)
        assert [written[first:last] for first, last in spans] == [word.text for word in words]
        assert not re.search(r"\s[\s,.?،؟।，。？]|^\s|\s$", written)
        before, end = _marks(language, utterance)
        assert written.endswith(end)
        assert sum(written.count(mark) for mark in ".。।?？؟!！") == 1
        start = written.removeprefix(before)
        assert start[0] == language.capital(start[0])
        if not language.spaces:
            assert all(
                re.fullmatch(r"[A-Za-z0-9] [A-Za-z0-9]", written[m.start() - 1 : m.end() + 1])
                for m in re.finditer(" ", written)
            )


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_statement_can_be_exclaimed(code):
    language, scene = LANGUAGES[code], negate(VERBS["sleep"])
    before, after = {"es": ("¡", "!"), "zh": ("", "！")}.get(code, ("", "!"))
    said = text(language, Utterance((scene,))).removesuffix(language.stop)
    loud = Utterance((scene,), exclaimed=True)
    assert text(language, loud) == before + said + after
    assert loud.meaning() == Utterance((scene,)).meaning()


@pytest.mark.parametrize("code", LANGUAGES)
def test_two_scenes_are_joined_by_and_or_but(code):
    language, scenes = LANGUAGES[code], (VERBS["sleep"], VERBS["thank"]._replace(agent="Max"))
    actual = []
    for denied in itertools.product((False, True), repeat=2):
        one, two = (negate(s) if no else s for s, no in zip(scenes, denied, strict=True))
        both = text(language, Utterance((one, two))).removesuffix(language.stop)
        first = text(language, Utterance((one,))).removesuffix(language.stop)
        assert both.startswith(first)
        actual.append(both.removeprefix(first)[: len(BETWEEN[code][0])])
        assert both.removeprefix(first).startswith(BETWEEN[code][one.negated != two.negated])
    assert actual[0] == actual[3] != actual[1] == actual[2]


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_readme_shows_what_is_said(code, repository):
    readme = (repository / "xt_jax" / "mini" / "README.md").read_text()
    section = readme.split(f"\n### {LANGUAGES[code].name}")[1].split("\n### ")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines()]
    lines = (SENTENCES / f"{code}.txt").read_text().splitlines()
    assert [row for row in rows if row in lines] == [
        lines[i] for i in (0, 2, 5, 9, 14, 18, 24, 29, 31, 40)
    ]
