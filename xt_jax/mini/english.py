"""English: subject, verb, object; articles, do-support, an indirect object or `to`."""

from __future__ import annotations

from xt_jax.mini.scenes import AGENTS, CITIES, SITES, TRADES, Scene
from xt_jax.mini.words import Language, Word, name, phrase, table

NOUNS = table("""
    apple apple apples; lemon lemon lemons; tomato tomato tomatoes; onion onion onions;
    pear pear pears; egg egg eggs; cup cup cups; lamp lamp lamps; chair chair chairs;
    table table tables; bag bag bags; clock clock clocks; book book books; letter letter letters;
    newspaper newspaper newspapers; map map maps; dog dog dogs; cat cat cats; horse horse horses;
    bird bird birds; cow cow cows; goat goat goats; car car cars; bicycle bicycle bicycles;
    boat boat boats; bus bus buses
""")
# base form, past, preposition before a person
VERBS = table("""
    buy buy bought; find find found; eat eat ate; wash wash washed; carry carry carried;
    draw draw drew; read read read; lose lose lost; see see saw; sell sell sold; give give gave;
    show show showed; help help helped; wait wait waited for; look look looked for;
    greet greet greeted
""")
ADJECTIVES = (
    *("red", "green", "black", "white", "yellow", "big"),
    *("small", "fresh", "cheap", "old", "new", "heavy"),
)
NUMBERS = ("", "", "two", "three", "four", "five", "six")
AT = ("market", "station", "school", "hotel")


def clause(scene: Scene, order: str = "plain") -> list[Word]:
    place = _place(scene)
    body = _agent(scene.agent, "agent") + _predicate(scene, to=order == "shift")
    if order == "front" and place:
        return [*place, Word(",", "PUNCT"), *body]
    return body + place


def question(scene: Scene, asked: str) -> list[Word]:
    if asked == "agent":
        return [Word("who", "PRON"), *_predicate(scene), *_place(scene)]
    base = Word(VERBS[scene.verb][0], "VERB")
    subject = [Word("did", "AUX"), *_agent(scene.agent), base]
    if asked == "thing":
        receiver = [Word("to", "ADP"), *_agent(scene.person)] if scene.person else []
        return [Word("what", "PRON"), *subject, *receiver, *_place(scene)]
    return [Word("where", "ADV"), *subject, *_objects(scene)]


def _predicate(scene: Scene, to: bool = False) -> list[Word]:
    base, past, *_ = VERBS[scene.verb]
    verb = phrase(f"did not {base}", "AUX PART VERB") if scene.negated else phrase(past, "VERB")
    return verb + _objects(scene, to)


def _objects(scene: Scene, to: bool = False) -> list[Word]:
    person = _agent(scene.person) if scene.person else []
    if scene.thing is None:
        preposition = [Word(p, "ADP") for p in VERBS[scene.verb][2:]]
        return preposition + person
    if to and person:
        return [*_thing(scene), Word("to", "ADP"), *person]
    return person + _thing(scene)


def _thing(scene: Scene) -> list[Word]:
    assert scene.thing is not None
    singular, plural = NOUNS[scene.thing]
    noun = phrase(singular if scene.number == 1 else plural, "NOUN", "thing")
    if scene.adjective:
        noun = phrase(scene.adjective, "ADJ", "thing") + noun
    if scene.negated:
        return phrase("any", "DET", "thing") + noun
    if scene.number is None:
        return noun
    if scene.number == 1:
        return phrase("an" if noun[0].text[0] in "aeiou" else "a", "DET", "thing") + noun
    return phrase(NUMBERS[scene.number], "NUM", "thing") + noun


def _agent(concept: str, role: str = "") -> list[Word]:
    if concept in TRADES:
        return phrase(f"the {concept}", "DET NOUN", role)
    return name(concept, concept, role)


def _place(scene: Scene) -> list[Word]:
    if scene.place is None:
        return []
    if scene.place in CITIES:
        return phrase("in", "ADP", "place") + name(scene.place, scene.place, "place")
    preposition = "at" if scene.place in AT else "in"
    return phrase(f"{preposition} the {scene.place}", "ADP DET NOUN", "place")


ENGLISH = Language(
    code="en",
    iso639_3="eng",
    clause=clause,
    question=question,
    conjunctions=(phrase(", and", "PUNCT CCONJ"), phrase(", but", "PUNCT CCONJ")),
    capital=lambda text: text[0].upper() + text[1:],
    stems=(
        *("the a an any in at to did not who what where and but", *ADJECTIVES, *NUMBERS),
        *(form for forms in (*NOUNS.values(), *VERBS.values()) for form in forms),
        *(*AGENTS, *CITIES, *SITES),
    ),
    endings=(),
)
