"""English: subject, verb, object; articles, do-support, `no` and `never`, receivers with `to`."""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CITIES, CLOCK, MOVES, STATES, TRADES, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase, table

# irregular plurals; of the others by rule
PLURALS = glossary("""
    knife knives; scarf scarves; axe axes; lily lilies; dictionary dictionaries; bus buses;
    lorry lorries; brush brushes; potato potatoes; tomato tomatoes; fruit fruits; dress dresses
""")
# base form, past, preposition before a person
VERBS = table("""
    buy buy bought; find find found; lose lose lost; eat eat ate; cook cook cooked; cut cut cut;
    wash wash washed; clean clean cleaned; carry carry carried; draw draw drew;
    paint paint painted; read read read; break break broke; repair repair repaired;
    hide hide hid; feed feed fed; plant plant planted; give give gave; show show showed;
    sell sell sold; send send sent; bring bring brought; meet meet met; help help helped;
    call call called; visit visit visited; greet greet greeted; wait wait waited for;
    look look looked for; thank thank thanked; go go went; travel travel travelled;
    return return returned; work work worked; sleep sleep slept; sing sing sang;
    dance dance danced; run run ran; rest rest rested; like like likes; have have has;
    live live lives
""")
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
AT = ("market", "station", "school", "hotel", "farm", "airport", "stadium", "bakery", "theatre")
TIMES = {
    "yesterday": ("yesterday", "ADV"),
    "last week": ("last week", "ADJ NOUN"),
    "night": ("at night", "ADP NOUN"),
    **{part: (f"in the {part}", "ADP DET NOUN") for part in ("morning", "evening")},
    **{s: (f"in {s}", "ADP NOUN") for s in ("spring", "summer", "autumn", "winter")},
    **{hour: (f"at {hour}", "ADP NUM") for hour in CLOCK},
    **{year: (f"in {year}", "ADP NUM") for year in YEARS},
}
QUESTION_WORDS = {
    "agent": phrase("who", "PRON"),
    "thing": phrase("what", "PRON"),
    "number": phrase("how many", "ADV ADJ"),
    "person": phrase("who", "PRON"),
    "place": phrase("where", "ADV"),
    "time": phrase("when", "ADV"),
}
COMMA = Word(",", "PUNCT")


def clause(scene: Scene, order: str) -> Words:
    first, after = _circumstances(scene, order)
    predicate = _denied(scene, order) if scene.negated else _predicate(scene, order == "shift")
    return first + _agent(scene.agent, "agent") + predicate + after


def question(scene: Scene, asked: str, order: str) -> Words:
    first, after = _circumstances(scene, order, without=asked)
    who, to = QUESTION_WORDS[asked], order == "shift"
    if asked == "agent":
        return first + who + _predicate(scene, to) + after
    if asked == "person":
        rest = _thing(scene) + (phrase("to", "ADP") if scene.thing else _preposition(scene))
    elif asked == "thing":
        rest = _receiver(scene, to=True)
    elif asked == "number":
        assert scene.thing is not None
        who = who + _noun(scene.thing, scene.look, plural=True)
        rest = _receiver(scene, to=True)
    else:
        rest = _objects(scene, to)
    base = VERBS[scene.verb][0]
    helper = "does" if scene.verb in STATES else "did"
    subject = (Word(helper, "AUX"), *_agent(scene.agent, "agent"), Word(base, "VERB"))
    return first + who + subject + rest + after


def _circumstances(scene: Scene, order: str, without: str = "") -> tuple[Words, Words]:
    """Returns time and place as (words before the clause, words after it), by the word order."""
    place = _place(scene) if without != "place" else ()
    time = _time(scene) if without != "time" else ()
    if order == "front" and time:
        return (*time, COMMA), place
    if order == "front" and place and scene.verb not in (*MOVES, "live"):
        return (*place, COMMA), time
    return (), place + time


def _predicate(scene: Scene, to: bool, no: str = "") -> Words:
    return (Word(VERBS[scene.verb][1], "VERB"), *_objects(scene, to, no))


def _denied(scene: Scene, order: str) -> Words:
    """Builds a negated predicate: with "did not", or else with "no" and a thing, or "never"."""
    to, counted = order == "shift", bool(scene.thing) and scene.verb != "like"
    if order == "plain" or (scene.verb in STATES and not counted):
        helper = "does not" if scene.verb in STATES else "did not"
        verb = phrase(f"{helper} {VERBS[scene.verb][0]}", "AUX PART VERB")
        return verb + _objects(scene, to, "any" if counted else "")
    if counted:
        return _predicate(scene, to, "no")
    return (Word("never", "ADV"), *_predicate(scene, to))


def _objects(scene: Scene, to: bool, no: str = "") -> Words:
    if to or not scene.thing:
        return _thing(scene, no) + _receiver(scene, to)
    return _receiver(scene, to) + _thing(scene, no)


def _receiver(scene: Scene, to: bool) -> Words:
    if scene.person is None:
        return ()
    person = _agent(scene.person, "person")
    if scene.thing is None:
        return _preposition(scene) + person
    return (Word("to", "ADP"), *person) if to else person


def _preposition(scene: Scene) -> Words:
    return tuple(Word(p, "ADP") for p in VERBS[scene.verb][2:])


def _thing(scene: Scene, no: str = "") -> Words:
    return _counted(scene.thing, scene.number, scene.look, no) if scene.thing else ()


@cache
def _counted(thing: str, number: int | None, look: str | None, no: str) -> Words:
    noun = _noun(thing, look, plural=number != 1)
    if no:
        return phrase(no, "DET", "thing") + noun
    if number is None:
        return noun
    if number == 1:
        return phrase("an" if noun[0].text[0] in "aeiou" else "a", "DET", "thing") + noun
    return phrase(NUMBERS.get(number, str(number)), "NUM", "number") + noun


@cache
def _noun(thing: str, look: str | None, plural: bool) -> Words:
    text = PLURALS.get(thing, thing + "s") if plural else thing
    return (phrase(look, "ADJ", "thing") if look else ()) + phrase(text, "NOUN", "thing")


@cache
def _agent(concept: str, role: str) -> Words:
    if concept in TRADES:
        return phrase(f"the {concept}", "DET NOUN", role)
    return name(concept, concept, role)


def _place(scene: Scene) -> Words:
    return _located(scene.place, scene.verb in MOVES) if scene.place else ()


@cache
def _located(place: str, goal: bool) -> Words:
    if place in CITIES:
        preposition = "to" if goal else "in"
        return phrase(preposition, "ADP", "place") + name(place, place, "place")
    preposition = "to" if goal else "on" if place == "beach" else "at" if place in AT else "in"
    return phrase(f"{preposition} the {place}", "ADP DET NOUN", "place")


def _time(scene: Scene) -> Words:
    if scene.time is None:
        return ()
    return phrase(*TIMES.get(scene.time, (f"on {scene.time}", "ADP PROPN")), "time")


ENGLISH = Language(
    code="en",
    iso639_3="eng",
    name="English",
    clause=clause,
    question=question,
    conjunctions=(phrase(", and", "PUNCT CCONJ"), phrase(", but", "PUNCT CCONJ")),
)
