"""German: verb-second perfect with the participle last; case, gender, adjective endings, `kein`."""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CITIES, GENDER, MOVES, TRADES, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase, table

# singular, plural, gender; the accusative is like the nominative
NOUNS = table("""
    dog Hund Hunde m; cat Katze Katzen f; horse Pferd Pferde n; cow Kuh Kühe f; goat Ziege Ziegen f;
    rabbit Kaninchen Kaninchen n; duck Ente Enten f; donkey Esel Esel m; car Auto Autos n;
    bicycle Fahrrad Fahrräder n; boat Boot Boote n; bus Bus Busse m; lorry Lastwagen Lastwagen m;
    train Zug Züge m; apple Apfel Äpfel m; lemon Zitrone Zitronen f; pear Birne Birnen f;
    orange Orange Orangen f; banana Banane Bananen f; melon Melone Melonen f;
    tomato Tomate Tomaten f; onion Zwiebel Zwiebeln f; potato Kartoffel Kartoffeln f;
    carrot Karotte Karotten f; cucumber Gurke Gurken f; cabbage Kohlkopf Kohlköpfe m;
    hammer Hammer Hämmer m; knife Messer Messer n; saw Säge Sägen f; axe Axt Äxte f;
    brush Bürste Bürsten f; ladder Leiter Leitern f; chair Stuhl Stühle m; table Tisch Tische m;
    bed Bett Betten n; lamp Lampe Lampen f; mirror Spiegel Spiegel m; carpet Teppich Teppiche m;
    cupboard Schrank Schränke m; book Buch Bücher n; letter Brief Briefe m;
    newspaper Zeitung Zeitungen f; map Landkarte Landkarten f; magazine Zeitschrift Zeitschriften f;
    dictionary Wörterbuch Wörterbücher n; shirt Hemd Hemden n; coat Mantel Mäntel m; hat Hut Hüte m;
    dress Kleid Kleider n; scarf Schal Schals m; bag Tasche Taschen f; ball Ball Bälle m;
    doll Puppe Puppen f; kite Drachen Drachen m; drum Trommel Trommeln f; guitar Gitarre Gitarren f;
    piano Klavier Klaviere n; violin Geige Geigen f; flute Flöte Flöten f; rose Rose Rosen f;
    tulip Tulpe Tulpen f; lily Lilie Lilien f; sunflower Sonnenblume Sonnenblumen f;
    animal Tier Tiere n; vehicle Fahrzeug Fahrzeuge n; fruit Frucht Früchte f;
    vegetable Gemüse Gemüse n; tool Werkzeug Werkzeuge n; toy Spielzeug Spielzeuge n;
    instrument Instrument Instrumente n; flower Blume Blumen f
""")
MASS = "vegetable"  # has no plural and is counted by `Stück`
# stems, to which the endings are added
LOOKS = glossary("""
    black schwarz; white weiß; big groß; small klein; strong stark; beautiful schön; hungry hungrig;
    red rot; green grün; yellow gelb; blue blau; brown braun; old alt; new neu; fast schnell;
    slow langsam; fresh frisch; cheap billig; expensive teur; heavy schwer; light leicht; long lang;
    short kurz; ugly hässlich; clean sauber; dirty schmutzig
""")
# participle; case or preposition of the person
VERBS = table("""
    buy gekauft; find gefunden; lose verloren; eat gegessen; cook gekocht; cut geschnitten;
    wash gewaschen; clean gereinigt; carry getragen; draw gezeichnet; paint angestrichen;
    read gelesen; break kaputtgemacht; repair repariert; hide versteckt; feed gefüttert;
    plant gepflanzt; give gegeben dat; show gezeigt dat; sell verkauft an; send geschickt an;
    bring gebracht dat; meet getroffen acc; help geholfen dat; call angerufen acc;
    visit besucht acc; greet begrüßt acc; wait gewartet auf; look gesucht nach; thank bedankt bei;
    go gegangen; travel gereist; return zurückgekehrt; work gearbeitet; sleep geschlafen;
    sing gesungen; dance getanzt; run gerannt; rest ausgeruht
""")
STATES = {"like": "mag", "have": "hat", "live": "wohnt"}  # in the present
OTHER_STATES = {**STATES, "have": "besitzt", "live": "lebt"}
PREPOSITIONS = {"an": "acc", "auf": "acc", "nach": "dat", "bei": "dat"}
WITH_BE = (*MOVES, "run")
REFLEXIVE = ("rest", "thank")
ALSO_DATIVE = ("sell", "send")  # besides `an`
TO_PLACE = (*MOVES, "live")  # the place is no adverb, but what the verb takes
HUMANS = glossary("""
    teacher Lehrerin; nurse Krankenschwester; singer Sängerin; lawyer Anwältin; student Studentin;
    neighbour Nachbarin; doctor Arzt; cook Koch; driver Fahrer; farmer Bauer; engineer Ingenieur;
    baker Bäcker; writer Schriftsteller; gardener Gärtner
""")
OBLIQUE = {"farmer": "Bauern"}  # all cases but the nominative
THE = {"mnom": "der", "macc": "den", "mdat": "dem", "fnom": "die", "facc": "die", "fdat": "der"}
INDEFINITE = {"m": ("einen", "en"), "f": ("eine", "e"), "n": ("ein", "es")}  # and of the adjective
# location, and destination
SITES = table("""
    park im_Park in_den_Park; market auf_dem_Markt auf_den_Markt;
    kitchen in_der_Küche in_die_Küche; garden im_Garten in_den_Garten;
    station am_Bahnhof zum_Bahnhof; school in_der_Schule in_die_Schule;
    library in_der_Bibliothek in_die_Bibliothek; museum im_Museum ins_Museum;
    hotel im_Hotel ins_Hotel; office im_Büro ins_Büro; forest im_Wald in_den_Wald;
    village im_Dorf ins_Dorf; hospital im_Krankenhaus ins_Krankenhaus;
    factory in_der_Fabrik in_die_Fabrik; theatre im_Theater ins_Theater;
    restaurant im_Restaurant ins_Restaurant; bakery in_der_Bäckerei in_die_Bäckerei;
    farm auf_dem_Bauernhof auf_den_Bauernhof; beach am_Strand an_den_Strand;
    harbour im_Hafen zum_Hafen; airport am_Flughafen zum_Flughafen; stadium im_Stadion ins_Stadion;
    church in_der_Kirche in_die_Kirche; castle im_Schloss ins_Schloss
""")
# names that differ from the English ones
NAMES = glossary("""
    Oscar Oskar; Victor Viktor; Vienna Wien; Athens Athen; Cairo Kairo; Moscow Moskau;
    Beijing Peking; Hong_Kong Hongkong; Cape_Town Kapstadt
""")
NUMBERS = {2: "zwei", 3: "drei", 4: "vier", 5: "fünf", 6: "sechs"}
TIMES = glossary("""
    yesterday gestern; last_week letzte_Woche; morning am_Morgen; evening am_Abend;
    night in_der_Nacht; spring im_Frühling; summer im_Sommer; autumn im_Herbst; winter im_Winter;
    Monday am_Montag; Tuesday am_Dienstag; Wednesday am_Mittwoch; Thursday am_Donnerstag;
    Friday am_Freitag; Saturday am_Samstag; Sunday am_Sonntag
""")
TIME_TAGS = {"yesterday": "ADV", "last week": "ADJ NOUN", "night": "ADP DET NOUN"}
QUESTION_WORDS = {
    "agent": phrase("wer", "PRON"),
    "thing": phrase("was", "PRON"),
    "number": phrase("wie viele", "ADV DET"),
    "dat": phrase("wem", "PRON"),
    "acc": phrase("wen", "PRON"),
    "time": phrase("wann", "ADV"),
}


def clause(scene: Scene, order: str) -> Words:
    takes = _takes(scene, dative=order == "shift")
    lead = _lead(scene, order, takes)
    agent, thing = _human(scene.agent, "nom", "agent"), _thing(scene)
    person, prepositional = _person(scene, takes)
    place, goal = _place(scene)
    time = _time(scene.time)
    if lead == "time":
        first, time = time, ()
    elif lead == "place":
        first, place = place, ()
    elif lead == "person":
        first, person = person, ()
    else:
        first, agent = agent, ()
    if person:
        apart = order == "shift" and scene.verb not in ALSO_DATIVE
        apart = apart or (order == "front" and lead != "time" and _blends(scene, takes))
        middle = _with_person(person, time, place, thing, apart)
    else:
        middle = _around_thing(time, place, thing, order == "shift" and not scene.person)
    if scene.negated and not thing:
        middle += (Word("nicht", "PART"),)
    return _framed(scene, order, first, agent, middle + prepositional + goal)


def question(scene: Scene, asked: str, order: str) -> Words:
    takes = _takes(scene, dative=order == "shift" and asked == "agent")
    agent = _human(scene.agent, "nom", "agent") if asked != "agent" else ()
    thing = _thing(scene) if asked not in ("thing", "number") else ()
    person, prepositional = _person(scene, takes) if asked != "person" else ((), ())
    place, goal = _place(scene) if asked != "place" else ((), ())
    time = _time(scene.time) if asked != "time" else ()
    if person:
        middle = _asked_with_person(scene, takes, (agent, person, time, place, thing), order)
    elif prepositional and order == "front":
        middle, prepositional = _asked_with_preposition(prepositional, time, place, thing), ()
    else:
        middle = _around_thing(time, place, thing, order == "shift" and not scene.person)
    first = _question_words(scene, asked, takes)
    return _framed(scene, order, first, agent, middle + prepositional + goal)


def _framed(scene: Scene, order: str, first: Words, agent: Words, field: Words) -> Words:
    """Puts the finite verb second and the participle last, around the rest of the sentence."""
    if scene.verb in STATES:
        finite = (OTHER_STATES if order == "shift" else STATES)[scene.verb]
        return (*first, Word(finite, "VERB"), *agent, *field)
    helper, participle = _verbs(scene.verb, scene.place in CITIES)
    return first + helper + agent + field + participle


@cache
def _verbs(verb: str, city: bool) -> tuple[Words, Words]:
    """Returns auxiliary (with reflexive pronoun) and participle; to cities "gefahren"."""
    helper = phrase("ist" if verb in WITH_BE else "hat", "AUX")
    if verb in REFLEXIVE:
        helper += phrase("sich", "PRON")
    participle = "gefahren" if verb == "go" and city else VERBS[verb][0]
    return helper, phrase(participle, "VERB")


def _question_words(scene: Scene, asked: str, takes: str) -> Words:
    if asked == "place":
        return phrase("wohin" if scene.verb in MOVES else "wo", "ADV")
    if asked == "person":
        if takes in PREPOSITIONS:
            return phrase(takes, "ADP") + QUESTION_WORDS[PREPOSITIONS[takes]]
        return QUESTION_WORDS[takes]
    if asked != "number":
        return QUESTION_WORDS[asked]
    assert scene.thing is not None
    return QUESTION_WORDS["number"] + _plural(scene.thing, scene.look)


def _takes(scene: Scene, dative: bool) -> str:
    if scene.person is None:
        return ""
    return "dat" if dative and scene.verb in ALSO_DATIVE else VERBS[scene.verb][1]


def _lead(scene: Scene, order: str, takes: str) -> str:
    """Returns the role that comes before the finite verb."""
    place = scene.place is not None and scene.verb not in TO_PLACE
    if order == "shift":
        if takes == "dat" and scene.person in TRADES and scene.verb not in ALSO_DATIVE:
            return "person"
        bare = scene.thing is None and takes not in ("acc", "dat")
        return "place" if bare and place and scene.time else "agent"
    if order != "front" or not (place or scene.time):
        return "agent"
    if _blends(scene, takes):
        if place and scene.time:
            return "place"
        return "person" if scene.person in TRADES else "agent"
    return "time" if scene.time else "place"


def _blends(scene: Scene, takes: str) -> bool:
    """Whether adjacent agent and person could be read as one phrase.

    That is so for two names ("Anna Maria"), a trade and a name ("die Ärztin Anna"), and an apparent
    genitive ("der Arzt der Nachbarin").
    """
    person = scene.person
    if person is None or takes in PREPOSITIONS:
        return False
    if person in TRADES:
        return takes == "dat" and TRADES[person] == "f" and scene.agent in TRADES
    return GENDER.get(scene.agent) == GENDER.get(person)


def _with_person(person: Words, time: Words, place: Words, thing: Words, apart: bool) -> Words:
    """Orders the middle field with the person first or, if `apart`, after an adverb."""
    if apart or (not place and _two_numbers(time, thing)):
        before, after = (time, place) if time else (place, ())
        return before + person + after + thing
    return person + time + place + thing


def _asked_with_person(scene: Scene, takes: str, parts: tuple[Words, ...], order: str) -> Words:
    agent, person, time, place, thing = parts
    genitive = takes == "dat" and scene.person in TRADES and scene.place not in CITIES
    genitive = genitive and TRADES[scene.person or ""] == "f"  # "in der Schule der Nachbarin"
    blends, varied = bool(agent) and _blends(scene, takes), order != "plain"
    if blends and varied and time and place and not genitive:
        return time + place + person + thing
    apart = (blends or varied) and bool(time or not genitive)
    return _with_person(person, time, place, thing, apart)


def _asked_with_preposition(person: Words, time: Words, place: Words, thing: Words) -> Words:
    if thing:
        return time + place + person + thing
    return place + time + person if place and time else person + time + place


def _around_thing(time: Words, place: Words, thing: Words, early: bool) -> Words:
    """Orders the middle field with the thing last or, if `early`, before the place."""
    clash = _two_numbers(time, thing)
    if place:
        return time + thing + place if early and not clash else time + place + thing
    return thing + time if clash else time + thing


def _two_numbers(time: Words, thing: Words) -> bool:
    """Whether a year would precede another number in digits."""
    return bool(time and thing) and time[-1].upos == "NUM" and thing[0].text.isdigit()


def _person(scene: Scene, takes: str) -> tuple[Words, Words]:
    """Returns the person as (words in its case, words after its preposition); one is empty."""
    if scene.person is None:
        return (), ()
    if takes in PREPOSITIONS:
        return (), _behind(takes, scene.person)
    return _human(scene.person, takes, "person"), ()


@cache
def _behind(preposition: str, person: str) -> Words:
    human = _human(person, PREPOSITIONS[preposition], "person")
    if preposition == "bei" and human[0].text == "dem":
        return phrase("beim", "ADP", "person") + human[1:]
    return phrase(preposition, "ADP") + human


@cache
def _human(concept: str, case: str, role: str) -> Words:
    """Builds the noun phrase of a person or an organisation."""
    if concept not in TRADES:
        return name(NAMES.get(concept, concept), concept, role)
    noun = HUMANS[concept] if case == "nom" else OBLIQUE.get(concept, HUMANS[concept])
    return phrase(f"{THE[TRADES[concept] + case]} {noun}", "DET NOUN", role)


def _thing(scene: Scene) -> Words:
    return _counted(scene.thing, scene.number, scene.look, scene.negated) if scene.thing else ()


@cache
def _counted(thing: str, number: int | None, look: str | None, none: bool) -> Words:
    mass = thing == MASS
    if none:
        no = phrase("kein" if mass else "keine", "DET", "thing")
        return no + _noun(thing, look, "es" if mass else "en", plural=True)
    if number is None:
        return _noun(thing, look, "es" if mass else "e", plural=True)
    if number == 1 and not mass:
        article, ending = INDEFINITE[NOUNS[thing][2]]
        return phrase(article, "DET", "thing") + _noun(thing, look, ending, plural=False)
    if number == 1:
        return phrase("ein", "DET", "thing") + _plural(thing, look)
    return phrase(NUMBERS.get(number, str(number)), "NUM", "number") + _plural(thing, look)


@cache
def _plural(thing: str, look: str | None) -> Words:
    """Builds the noun phrase after a number or "how many"."""
    if thing == MASS:
        return phrase("Stück", "NOUN", "thing") + _noun(thing, look, "es", plural=True)
    return _noun(thing, look, "e", plural=True)


def _noun(thing: str, look: str | None, ending: str, plural: bool) -> Words:
    noun = phrase(NOUNS[thing][plural], "NOUN", "thing")
    return phrase(LOOKS[look] + ending, "ADJ", "thing") + noun if look else noun


def _place(scene: Scene) -> tuple[Words, Words]:
    """Returns the place as (adverbial words, argument of the verb); one of them is empty."""
    if scene.place is None:
        return (), ()
    words = _located(scene.place, scene.verb in MOVES)
    return ((), words) if scene.verb in TO_PLACE else (words, ())


@cache
def _located(place: str, goal: bool) -> Words:
    if place in CITIES:
        preposition = phrase("nach" if goal else "in", "ADP", "place")
        return preposition + name(NAMES.get(place, place), place, "place")
    text = SITES[place][goal]
    return phrase(text, "ADP NOUN" if text.count(" ") == 1 else "ADP DET NOUN", "place")


@cache
def _time(time: str | None) -> Words:
    if time is None:
        return ()
    if time in TIMES:
        return phrase(TIMES[time], TIME_TAGS.get(time, "ADP NOUN"), "time")
    if time in YEARS:
        return phrase(f"im Jahr {time}", "ADP NOUN NUM", "time")
    return phrase(f"um {time} Uhr", "ADP NUM NOUN", "time")


GERMAN = Language(
    code="de",
    iso639_3="deu",
    name="German",
    clause=clause,
    question=question,
    conjunctions=(phrase("und", "CCONJ"), phrase(", aber", "PUNCT CCONJ")),
)
