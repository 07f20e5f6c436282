"""Spanish: preterite, agreement, the personal `a`, a clitic beside the receiver, `gustar`."""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CITIES, CLOCK, MOVES, TRADES, TRANSFERS, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase

MASCULINE = glossary("""
    dog perro; cat gato; horse caballo; rabbit conejo; duck pato; donkey burro; car coche;
    boat barco; bus autobús; lorry camión; train tren; lemon limón; melon melón; tomato tomate;
    cucumber pepino; cabbage repollo; hammer martillo; knife cuchillo; brush cepillo;
    mirror espejo; cupboard armario; book libro; newspaper periódico; map mapa;
    dictionary diccionario; coat abrigo; hat sombrero; dress vestido; bag bolso; drum tambor;
    piano piano; violin violín; tulip tulipán; lily lirio; sunflower girasol; animal animal;
    vehicle vehículo; toy juguete; instrument instrumento
""")
FEMININE = glossary("""
    cow vaca; goat cabra; bicycle bicicleta; apple manzana; pear pera; orange naranja;
    banana banana; onion cebolla; potato patata; carrot zanahoria; saw sierra; axe hacha;
    ladder escalera; chair silla; table mesa; bed cama; lamp lámpara; carpet alfombra;
    letter carta; magazine revista; shirt camisa; scarf bufanda; ball pelota; doll muñeca;
    kite cometa; guitar guitarra; flute flauta; rose rosa; fruit fruta; vegetable verdura;
    tool herramienta; flower flor
""")
NOUNS = MASCULINE | FEMININE
LOOKS = glossary("""
    black negro; white blanco; big grande; small pequeño; strong fuerte; beautiful bonito;
    hungry hambriento; red rojo; green verde; yellow amarillo; old viejo; new nuevo; fast rápido;
    slow lento; fresh fresco; cheap barato; expensive caro; heavy pesado; light ligero; long largo;
    short corto; ugly feo; brown marrón; clean limpio; dirty sucio; blue azul
""")
VERBS = glossary("""
    buy compró; find encontró; lose perdió; eat comió; cook cocinó; cut cortó; wash lavó;
    clean limpió; carry transportó; draw dibujó; paint pintó; read leyó; break rompió;
    repair reparó; hide escondió; feed alimentó; plant plantó; give dio; show mostró; sell vendió;
    send envió; bring trajo; meet encontró; help ayudó; call llamó; visit visitó; greet saludó;
    wait esperó; look buscó; thank dio; go fue; travel viajó; return volvió; work trabajó;
    sleep durmió; sing cantó; dance bailó; run corrió; rest descansó; like gustan; have tiene;
    live vive
""")
WORKERS = glossary("""
    teacher profesora; nurse enfermera; singer cantante; lawyer abogada; student estudiante;
    neighbour vecina; doctor médico; cook cocinero; driver conductor; farmer granjero;
    engineer ingeniero; baker panadero; writer escritor; gardener jardinero
""")
SITES = glossary("""
    park el_parque; market el_mercado; kitchen la_cocina; garden el_jardín; station la_estación;
    school la_escuela; library la_biblioteca; museum el_museo; hotel el_hotel; office la_oficina;
    forest el_bosque; village el_pueblo; hospital el_hospital; factory la_fábrica;
    theatre el_teatro; restaurant el_restaurante; bakery la_panadería; farm la_granja;
    beach la_playa; harbour el_puerto; airport el_aeropuerto; stadium el_estadio;
    church la_iglesia; castle el_castillo
""")
# other names as in concepts
NAMES = glossary("""
    Anna Ana; Maria María; Sofia Sofía; Yasmin Yasmín; Peter Pedro; Thomas Tomás; Felix Félix;
    Oscar Óscar; Victor Víctor; Ivan Iván; Anton Antón; Berlin Berlín; London Londres;
    Vienna Viena; Athens Atenas; Cairo El_Cairo; Moscow Moscú; Beijing Pekín;
    New_York Nueva_York; Cape_Town Ciudad_del_Cabo; Rio_de_Janeiro Río_de_Janeiro
""")
NUMBERS = {2: "dos", 3: "tres", 4: "cuatro", 5: "cinco", 6: "seis"}
DAYS = glossary("""
    Monday lunes; Tuesday martes; Wednesday miércoles; Thursday jueves; Friday viernes;
    Saturday sábado; Sunday domingo
""")
SEASONS = glossary("spring primavera; summer verano; autumn otoño; winter invierno")
PARTS = glossary("morning mañana; evening tarde; night noche")
TIMES = {
    "yesterday": ("ayer", "ADV"),
    "last week": ("la semana pasada", "DET NOUN ADJ"),
    **{part: (f"por la {noun}", "ADP DET NOUN") for part, noun in PARTS.items()},
    **{season: (f"en {noun}", "ADP NOUN") for season, noun in SEASONS.items()},
    **{day: (f"el {noun}", "DET NOUN") for day, noun in DAYS.items()},
    **{hour: (f"a las {hour}", "ADP DET NUM") for hour in CLOCK},
    **{year: (f"en {year}", "ADP NUM") for year in YEARS},
}
UNACCENTED = str.maketrans("áéíóú", "aeiou")
COMMA = Word(",", "PUNCT")


def clause(scene: Scene, order: str) -> Words:
    agent, verb, thing = _agent(scene.agent, "agent"), _verb(scene), _thing(scene)
    person, place, time = _person(scene), _place(scene), _time(scene)
    first: Words = ()
    if order == "front":
        if time:
            first, time = time, ()
        elif scene.verb not in MOVES:
            first, place = place, ()
        if first and scene.verb == "live":
            return first + verb + agent + place + time
        if len(first) > 1:
            first = (*first, COMMA)
    if scene.verb != "like":
        return first + agent + verb + _arranged(thing, person, place, time, order == "shift")
    agent = _governed("a", agent)
    if order == "shift":
        return thing + verb + agent + place + time
    return first + agent + verb + thing + place + time


def question(scene: Scene, asked: str, order: str) -> Words:
    """Builds a question; time and place never come first, where they would be outside the marks."""
    verb = _verb(scene, singular=asked == "thing")
    agent = _agent(scene.agent, "agent") if asked != "agent" else ()
    if agent and scene.verb == "like":
        agent = _governed("a", agent)
    rest = _arranged(
        _thing(scene) if asked not in ("thing", "number") else (),
        _person(scene) if asked != "person" else (),
        _place(scene) if asked != "place" else (),
        _time(scene) if asked != "time" else (),
        order != "plain",
        receiver_first=order == "shift",
    )
    return _question_words(scene, asked) + verb + agent + rest


def _question_words(scene: Scene, asked: str) -> Words:
    if asked == "agent":
        return phrase("a quién", "ADP PRON") if scene.verb == "like" else phrase("quién", "PRON")
    if asked == "thing":
        return phrase("qué", "PRON")
    if asked == "person":
        return phrase(f"{_preposition(scene.verb)} quién", "ADP PRON")
    if asked == "place":
        return phrase("adónde" if scene.verb in MOVES else "dónde", "ADV")
    if asked == "time":
        return phrase("cuándo", "ADV")
    assert scene.thing is not None
    many = phrase(f"cuánt{_ending(scene.thing)}s", "DET")
    return _personal(scene) + many + _noun(scene.thing, scene.look, plural=True)


def _arranged(
    thing: Words, person: Words, place: Words, time: Words, moved: bool, receiver_first: bool = True
) -> Words:
    """Orders the parts after the verb (and subject): in the plain order, or varied if `moved`."""
    if not moved:
        return thing + person + place + time
    if len(thing) < 2:  # a bare noun stays by its verb
        return thing + person + time + place
    if person and receiver_first:
        return person + thing + place + time
    if time and time[-1].upos != "NUM":
        return time + thing + person + place
    return place + thing + person + time


def _verb(scene: Scene, singular: bool = False) -> Words:
    return _verbal(scene.verb, scene.person is not None, scene.negated, singular)


@cache
def _verbal(verb: str, receiver: bool, negated: bool, singular: bool) -> Words:
    words = phrase("gusta" if verb == "like" and singular else VERBS[verb], "VERB")
    if verb == "meet":
        words = (Word("se", "PRON"), *words)
    if verb in ("thank", "like") or (receiver and verb in TRANSFERS):
        words = (Word("le", "PRON"), *words)
    if verb == "thank":
        words += phrase("las gracias", "DET NOUN")
    return (Word("no", "ADV"), *words) if negated else words


def _person(scene: Scene) -> Words:
    if scene.person is None:
        return ()
    return _governed(_preposition(scene.verb), _agent(scene.person, "person"))


def _preposition(verb: str) -> str:
    return "con" if verb == "meet" else "a"


@cache
def _governed(preposition: str, words: Words) -> Words:
    first = words[0]
    if preposition == "a" and first.text == "el":
        return (first._replace(text="al", upos="ADP"), *words[1:])
    return (Word(preposition, "ADP", role=first.role), *words)


def _personal(scene: Scene) -> Words:
    """Returns the personal `a` before animals that are fed, unless they are a bare plural."""
    if scene.verb == "feed" and (scene.number or scene.negated):
        return phrase("a", "ADP")
    return ()


def _thing(scene: Scene) -> Words:
    if scene.thing is None:
        return ()
    if scene.verb == "like":
        return _kind(scene.thing, scene.look)
    return _personal(scene) + _counted(scene.thing, scene.number, scene.look, scene.negated)


@cache
def _kind(thing: str, look: str | None) -> Words:
    article = "las" if thing in FEMININE else "los"
    return phrase(article, "DET", "thing") + _noun(thing, look, plural=True)


@cache
def _counted(thing: str, number: int | None, look: str | None, none: bool) -> Words:
    if none or number == 1:
        masculine, feminine = ("ningún", "ninguna") if none else ("un", "una")
        # `un` also before a feminine noun that begins with a stressed a
        determiner = feminine if thing in FEMININE and thing != "axe" else masculine
        return phrase(determiner, "DET", "thing") + _noun(thing, look, plural=False)
    noun = _noun(thing, look, plural=True)
    if number is None:
        return noun
    return phrase(NUMBERS.get(number, str(number)), "NUM", "number") + noun


@cache
def _noun(thing: str, look: str | None, plural: bool) -> Words:
    forms, tags = [NOUNS[thing]], "NOUN"
    if look:
        adjective = LOOKS[look]
        forms.append(adjective[:-1] + _ending(thing) if adjective[-1] == "o" else adjective)
        tags = "NOUN ADJ"
    return phrase(" ".join(map(_plural, forms) if plural else forms), tags, "thing")


def _ending(thing: str) -> str:
    return "a" if thing in FEMININE else "o"


def _plural(form: str) -> str:
    return form + "s" if form[-1] in "aeo" else form.translate(UNACCENTED) + "es"


@cache
def _agent(concept: str, role: str) -> Words:
    if concept in TRADES:
        article = "la" if TRADES[concept] == "f" else "el"
        return phrase(f"{article} {WORKERS[concept]}", "DET NOUN", role)
    return name(NAMES.get(concept, concept), concept, role)


def _place(scene: Scene) -> Words:
    return _located(scene.place, scene.verb in MOVES) if scene.place else ()


@cache
def _located(place: str, goal: bool) -> Words:
    if place in CITIES:
        words = name(NAMES.get(place, place), place, "place")
    else:
        words = phrase(SITES[place], "DET NOUN", "place")
    return _governed("a" if goal else "en", words)


def _time(scene: Scene) -> Words:
    return phrase(*TIMES[scene.time], "time") if scene.time else ()


def _conjoined(conjunction: Words, clause: Words) -> Words:
    """Joins a conjunction and a clause; `y` becomes `e` before the sound i."""
    if conjunction[-1].text == "y" and clause[0].text.startswith("I"):
        conjunction = (*conjunction[:-1], conjunction[-1]._replace(text="e"))
    return conjunction + clause


SPANISH = Language(
    code="es",
    iso639_3="spa",
    name="Spanish",
    clause=clause,
    question=question,
    conjunctions=(phrase(", y", "PUNCT CCONJ"), phrase(", pero", "PUNCT CCONJ")),
    asking=("¿", "?"),
    exclaiming=("¡", "!"),
    conjoined=_conjoined,
)
