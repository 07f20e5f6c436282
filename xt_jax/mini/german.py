"""German: verb-second perfect with the participle last; case, gender, adjective endings, `kein`."""

from __future__ import annotations

from xt_jax.mini.scenes import AGENTS, CITIES, Scene
from xt_jax.mini.words import Language, Word, glossary, name, phrase, table

# singular, plural, gender; all with the same singular in nominative and accusative
NOUNS = table("""
    apple Apfel Äpfel m; lemon Zitrone Zitronen f; tomato Tomate Tomaten f;
    onion Zwiebel Zwiebeln f; pear Birne Birnen f; egg Ei Eier n; cup Tasse Tassen f;
    lamp Lampe Lampen f; chair Stuhl Stühle m; table Tisch Tische m; bag Tasche Taschen f;
    clock Uhr Uhren f; book Buch Bücher n; letter Brief Briefe m; newspaper Zeitung Zeitungen f;
    map Landkarte Landkarten f; dog Hund Hunde m; cat Katze Katzen f; horse Pferd Pferde n;
    bird Vogel Vögel m; cow Kuh Kühe f; goat Ziege Ziegen f; car Auto Autos n;
    bicycle Fahrrad Fahrräder n; boat Boot Boote n; bus Bus Busse m
""")
# participle; what its person takes: a case, or a preposition with the accusative
VERBS = table("""
    buy gekauft; find gefunden acc; eat gegessen; wash gewaschen; carry getragen; draw gezeichnet;
    read gelesen; lose verloren; see gesehen acc; sell verkauft an; give gegeben dat;
    show gezeigt dat; help geholfen dat; wait gewartet auf; look gesucht acc; greet begrüßt acc
""")
ADJECTIVES = glossary("""
    red rot; green grün; black schwarz; white weiß; yellow gelb; big groß; small klein;
    fresh frisch; cheap billig; old alt; new neu; heavy schwer
""")
NUMBERS = ("", "", "zwei", "drei", "vier", "fünf", "sechs")
TRADES = table("teacher Lehrer m; doctor Arzt m; cook Köchin f; driver Fahrer m")
SITES = glossary("""
    park im_Park; market auf_dem_Markt; kitchen in_der_Küche; garden im_Garten; hotel im_Hotel;
    station am_Bahnhof; school in_der_Schule; library in_der_Bibliothek; museum im_Museum;
    office im_Büro; forest im_Wald; village im_Dorf
""")
NAMES = glossary("""
    Victor Viktor; Vienna Wien; Athens Athen; Cairo Kairo; Moscow Moskau; Cape_Town Kapstadt;
    Addis_Ababa Addis_Abeba
""")
THE = {
    "m": {"nom": "der", "acc": "den", "dat": "dem"},
    "f": {"nom": "die", "acc": "die", "dat": "der"},
}
INDEFINITE = {"m": "einen", "f": "eine", "n": "ein"}  # accusative
STRONG = {"m": "en", "f": "e", "n": "es"}  # adjective after it


def clause(scene: Scene, order: str = "plain") -> list[Word]:
    agent, place = _agent(scene.agent, "nom", "agent"), _place(scene)
    if order == "front" and place:
        return _main_clause(scene, place, agent, [])
    return _main_clause(scene, agent, [], place, late_person=order == "shift")


def question(scene: Scene, asked: str) -> list[Word]:
    agent, place = _agent(scene.agent, "nom"), _place(scene)
    if asked == "agent":
        return _main_clause(scene, phrase("wer", "PRON"), [], place)
    if asked == "thing":
        return _main_clause(scene._replace(thing=None), phrase("was", "PRON"), agent, place)
    return _main_clause(scene, phrase("wo", "ADV"), agent, [])


def _main_clause(
    scene: Scene, first: list[Word], agent: list[Word], place: list[Word], late_person: bool = False
) -> list[Word]:
    participle, *takes = VERBS[scene.verb]
    case = takes[0] if takes else ""
    prepositional = case in ("an", "auf")
    person: list[Word] = []
    if scene.person:
        person = _agent(scene.person, "acc" if prepositional else case)
    if prepositional and person:
        person = [Word(case, "ADP"), *person]
    before = [] if prepositional else person
    middle = place + before if late_person else before + place
    if scene.thing:
        middle += _thing(scene)
    elif scene.negated:
        middle.append(Word("nicht", "PART"))
    after = person if prepositional else []
    finite, last = Word("hat", "AUX"), Word(participle, "VERB")
    return [*first, finite, *agent, *middle, *after, last]


def _thing(scene: Scene) -> list[Word]:
    assert scene.thing is not None
    singular, plural, gender = NOUNS[scene.thing]
    one = scene.number == 1
    noun = phrase(singular if one else plural, "NOUN", "thing")
    if scene.adjective:
        ending = STRONG[gender] if one else "en" if scene.negated else "e"
        noun = phrase(ADJECTIVES[scene.adjective] + ending, "ADJ", "thing") + noun
    if scene.negated:
        return phrase("keine", "DET", "thing") + noun
    if scene.number is None:
        return noun
    if one:
        return phrase(INDEFINITE[gender], "DET", "thing") + noun
    return phrase(NUMBERS[scene.number], "NUM", "thing") + noun


def _agent(concept: str, case: str, role: str = "") -> list[Word]:
    if concept in TRADES:
        noun, gender = TRADES[concept]
        return phrase(f"{THE[gender][case]} {noun}", "DET NOUN", role)
    return name(NAMES.get(concept, concept), concept, role)


def _place(scene: Scene) -> list[Word]:
    if scene.place is None:
        return []
    if scene.place in CITIES:
        city = NAMES.get(scene.place, scene.place)
        return phrase("in", "ADP", "place") + name(city, scene.place, "place")
    text = SITES[scene.place]
    return phrase(text, "ADP NOUN" if len(text.split()) == 2 else "ADP DET NOUN", "place")


GERMAN = Language(
    code="de",
    iso639_3="deu",
    clause=clause,
    question=question,
    conjunctions=(phrase("und", "CCONJ"), phrase(", aber", "PUNCT CCONJ")),
    capital=lambda text: text[0].upper() + text[1:],
    stems=(
        "der die den dem ein eine einen keine hat nicht wer was wo und aber an auf",
        *(form for forms in NOUNS.values() for form in forms[:2]),
        *(forms[0] for forms in (*VERBS.values(), *TRADES.values())),
        *ADJECTIVES.values(),
        *(*NUMBERS, *SITES.values(), *(NAMES.get(n, n) for n in (*AGENTS, *CITIES))),
    ),
    endings=("e", "en", "es"),
)
