"""Turkish: verb last, what is asked for right before it; suffixes under vowel harmony, var and yok.

Suffixes are written as in grammars: A is a or e, I is ı, i, u or ü, D is d or t, and Y, N, S are
y, n, s between vowels and nothing otherwise.
"""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import (
    ACTIVITIES,
    CITIES,
    DAYS,
    KIND_OF,
    MOVES,
    TRADES,
)
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase

NOUNS = glossary("""
    dog köpek; cat kedi; horse at; cow inek; goat keçi; rabbit tavşan; duck ördek; donkey eşek;
    car araba; bicycle bisiklet; boat tekne; bus otobüs; lorry kamyon; train tren; apple elma;
    lemon limon; pear armut; orange portakal; banana muz; melon kavun; tomato domates; onion soğan;
    potato patates; carrot havuç; cucumber salatalık; cabbage lahana; hammer çekiç; knife bıçak;
    saw testere; axe balta; brush fırça; ladder merdiven; chair sandalye; table masa; bed yatak;
    lamp lamba; mirror ayna; carpet halı; cupboard dolap; book kitap; letter mektup;
    newspaper gazete; map harita; magazine dergi; dictionary sözlük; shirt gömlek; coat palto;
    hat şapka; dress elbise; scarf atkı; bag çanta; ball top; doll oyuncak_bebek; kite uçurtma;
    drum davul; guitar gitar; piano piyano; violin keman; flute flüt; rose gül; tulip lale;
    lily zambak; sunflower ayçiçeği; animal hayvan; vehicle araç; fruit meyve; vegetable sebze;
    tool alet; toy oyuncak; instrument enstrüman; flower çiçek
""")
LOOKS = glossary("""
    black siyah; white beyaz; big büyük; small küçük; strong güçlü; beautiful güzel; hungry aç;
    red kırmızı; green yeşil; yellow sarı; old eski; new yeni; fast hızlı; slow yavaş; fresh taze;
    cheap ucuz; expensive pahalı; heavy ağır; light hafif; long uzun; short kısa; ugly çirkin;
    brown kahverengi; clean temiz; dirty kirli; blue mavi
""")
VERBS = glossary("""
    buy al; find bul; lose kaybet; eat ye; cook pişir; cut kes; wash yıka; clean temizle;
    carry taşı; draw çiz; paint boya; read oku; break kır; repair et; hide sakla; feed doyur;
    plant dik; give ver; show göster; sell sat; send gönder; bring getir; meet buluş; help et;
    call et; visit et; greet selamla; wait bekle; thank et; go git; travel et; return dön;
    work çalış; sleep uyu; sing söyle; dance et; run koş; rest dinlen
""")
# not in the simple past: affirmed, denied (`aradı` would also be "called")
FINITE = {
    "like": ("sever", "sevmez"),
    "have": ("var", "yok"),
    "live": ("yaşıyor", "yaşamıyor"),
    "look": ("arıyordu", "aramıyordu"),
}
# first part of a compound verb
LIGHT = glossary("""
    repair tamir; help yardım; call telefon; visit ziyaret; thank teşekkür; travel seyahat;
    sing şarkı; dance dans
""")
# case of the person, else the dative
CASES = {"meet": "YlA", **dict.fromkeys(("visit", "greet", "wait", "look"), "YI")}
WORKERS = glossary("""
    teacher öğretmen; nurse hemşire; singer şarkıcı; lawyer avukat; student öğrenci;
    neighbour komşu; doctor doktor; cook aşçı; driver şoför; farmer çiftçi; engineer mühendis;
    baker fırıncı; writer yazar; gardener bahçıvan
""")
# `havaalanı` is a compound, with n before all cases
SITES = glossary("""
    park park; market pazar; kitchen mutfak; garden bahçe; station istasyon; school okul;
    library kütüphane; museum müze; hotel otel; office ofis; forest orman; village köy;
    hospital hastane; factory fabrika; theatre tiyatro; restaurant restoran; bakery pastane;
    farm çiftlik; beach plaj; harbour liman; airport havaalanın; stadium stadyum; church kilise;
    castle kale
""")
# other names as in concepts
NAMES = glossary("""
    Irina İrina; Leila Leyla; Yasmin Yasemin; Victor Viktor; Ivan İvan; Omar Ömer; Karim Kerim;
    London Londra; Vienna Viyana; Athens Atina; Cairo Kahire; Moscow Moskova; Beijing Pekin
""")
SPOKEN = {"Adam Stone": "ston"}  # suffixes go by the sound
UNITS = ("", *"bir iki üç dört beş altı yedi sekiz dokuz".split())
TENS = ("", *"on yirmi otuz kırk elli altmış yetmiş seksen doksan".split())
NUMBERS = {2: "iki", 3: "üç", 4: "dört", 5: "beş", 6: "altı"}
WEEK = ("pazartesi", "salı", "çarşamba", "perşembe", "cuma", "cumartesi", "pazar")
TIMES = {
    "yesterday": ("dün", "NOUN"),
    "last week": ("geçen hafta", "ADJ NOUN"),
    **{
        time: (word, "NOUN")
        for time, word in glossary("""
            morning sabah; evening akşam; night gece; spring ilkbaharda; summer yazın;
            autumn sonbaharda; winter kışın
        """).items()
    },
    **{day: (f"{word} günü", "NOUN NOUN") for day, word in zip(DAYS, WEEK, strict=True)},
}
WHO = {"": "kim", "NIn": "kimin", "YI": "kimi", "YA": "kime", "YlA": "kiminle"}
HARMONY = {"a": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "i": "i", "ö": "ü", "ü": "ü"}
VOICELESS = frozenset("fstkçşhp")
SOFTENED = str.maketrans("pçtk", "bcdğ")
# soften before a vowel, like all longer words in k
SOFT = frozenset(("kitap", "mektup", "dolap", "havuç", "çekiç", "araç", "armut"))
# the compound that already ends in the possessive suffix
SUNFLOWER = {
    "": "ayçiçeği",
    "YI": "ayçiçeğini",
    "SI": "ayçiçeği",
    "lAr": "ayçiçekleri",
    "lArYI": "ayçiçeklerini",
    "lArI": "ayçiçekleri",
}
COMMA = Word(",", "PUNCT")


def suffixed(word: str, pattern: str) -> str:
    """Adds the suffix `pattern` ("DA", "YI", "mADI", ...) to a noun or a verb stem."""
    bare = pattern.lstrip("YNS")
    if bare[:1] in ("A", "I") and (word in SOFT or (word[-1] == "k" and _vowels(word) > 1)):
        word = word[:-1] + word[-1].translate(SOFTENED)
    return word + suffix(word, pattern)


def suffix(word: str, pattern: str) -> str:
    """Returns the form of the suffix `pattern` after `word`, by vowel harmony."""
    form = word
    for symbol in pattern:
        vowel = next(c for c in reversed(form) if c in HARMONY)
        if symbol == "A":
            form += "a" if vowel in "aıou" else "e"
        elif symbol == "I":
            form += HARMONY[vowel]
        elif symbol == "D":
            form += "t" if form[-1] in VOICELESS else "d"
        elif symbol in "YNS":
            form += symbol.lower() if form[-1] in HARMONY else ""
        else:
            form += symbol
    return form[len(word) :]


def clause(scene: Scene, order: str) -> Words:
    agent = _human(scene.agent, "NIn" if scene.verb == "have" else "", "agent")
    person, thing = _person(scene), _thing(scene)
    place, time = _place(scene), _time(scene)
    verb = _verb(scene.verb, scene.negated)
    return _arranged(scene, order, agent, time, place, person, thing + verb)


def question(scene: Scene, asked: str, order: str) -> Words:
    """Builds a question; the question word precedes the verb and an indefinite thing."""
    verb, thing = _verb(scene.verb, False), _thing(scene)
    agent = _human(scene.agent, "NIn" if scene.verb == "have" else "", "agent")
    person, place, time = _person(scene), _place(scene), _time(scene)
    if asked == "agent":
        who = phrase(WHO["NIn" if scene.verb == "have" else ""], "PRON")
        if order == "shift":
            return who + time + place + person + thing + verb
        if scene.verb == "like":
            return time + place + thing + who + verb
        return time + place + person + who + thing + verb
    if asked == "thing":
        if scene.verb == "have":
            agent, focus = _human(scene.agent, "", "agent"), phrase("neye sahip", "PRON NOUN")
        else:
            focus = phrase("neyi" if scene.verb in ("like", "feed") else "ne", "PRON") + verb
    elif asked == "number":
        assert scene.thing is not None
        ending = {"have": "SI", "like": "YI"}.get(scene.verb, "")
        focus = phrase("kaç", "ADJ") + _noun(scene.thing, scene.look, ending) + verb
    elif asked == "person":
        person, focus = (), phrase(WHO[_case(scene.verb)], "PRON") + thing + verb
    elif asked == "place":
        where = "nereye" if scene.verb in MOVES else "nerede"
        place, focus = (), phrase(where, "PRON") + thing + verb
    else:
        time, focus = (), phrase("ne zaman", "PRON NOUN") + thing + verb
    return _arranged(scene, order, agent, time, place, person, focus)


def _arranged(
    scene: Scene, order: str, agent: Words, time: Words, place: Words, person: Words, rest: Words
) -> Words:
    """Orders the parts of a sentence; `rest` is the verb with the words that must precede it."""
    first: Words = ()
    middle = time + place + person
    if order == "front":
        if time:
            first, middle = time, place + person
        elif _may_lead(scene):
            first, middle = place, person
    elif order == "shift":
        if person:
            middle = person + time + place
        elif scene.verb in MOVES or scene.verb in ACTIVITIES:
            middle = place + time
        elif scene.verb not in ("like", "have", "live"):
            first, middle = time + place, ()
    return first + _before(agent, middle + rest)


def _may_lead(scene: Scene) -> bool:
    """Whether the place can come first: no destination, no common noun alone before the verb."""
    if scene.verb in ACTIVITIES:
        return scene.agent not in TRADES
    return scene.verb not in MOVES and scene.verb != "live"


def _before(agent: Words, rest: Words) -> Words:
    """Adds a comma after the subject if it could be read as part of the next phrase.

    That is so before a name or a person, and for `komşu`, which also means "neighbouring".
    """
    after = rest[0]
    misread = after.role == "person" or after.upos == "PROPN"
    if agent[0].text == "komşu" and after.role in ("place", "thing"):
        misread = misread or after.upos in ("NOUN", "ADJ")
    return (*agent, COMMA, *rest) if misread else agent + rest


@cache
def _verb(verb: str, negated: bool) -> Words:
    if verb in FINITE:
        return phrase(FINITE[verb][negated], "ADJ" if verb == "have" else "VERB")
    finite = phrase(suffixed(VERBS[verb], "mADI" if negated else "DI"), "VERB")
    if verb == "buy":
        return phrase("satın", "ADV") + finite
    return phrase(LIGHT[verb], "NOUN") + finite if verb in LIGHT else finite


def _thing(scene: Scene) -> Words:
    if scene.thing is None:
        return ()
    return _object(scene.thing, scene.number, scene.look, scene.verb, scene.negated)


@cache
def _object(thing: str, number: int | None, look: str | None, verb: str, negated: bool) -> Words:
    """Builds the thing with its number: accusative (like), possessive (have) or without case."""
    food = KIND_OF.get(thing, thing) in ("fruit", "vegetable") and not look
    if verb == "like":
        plural = number is None and not food
        return _noun(thing, look, "lArYI" if plural else "YI", number)
    plural = number is None and not negated
    if verb == "have":
        noun = _noun(thing, look, "lArI" if plural else "SI", number)
    else:
        noun = _noun(thing, look, "lAr" if plural and not food else "", number)
    return phrase("hiç", "ADV", "thing") + noun if negated else noun


@cache
def _noun(thing: str, look: str | None, ending: str, number: int | None = None) -> Words:
    text = SUNFLOWER[ending] if thing == "sunflower" else suffixed(NOUNS[thing], ending)
    words = tuple(Word(part, "NOUN", role="thing") for part in text.split())
    if number == 1:
        words = phrase("bir", "DET", "thing") + words
    if look:
        words = phrase(LOOKS[look], "ADJ", "thing") + words
    if number not in (None, 1):
        words = phrase(NUMBERS.get(number, str(number)), "NUM", "number") + words
    return words


def _person(scene: Scene) -> Words:
    return _human(scene.person, _case(scene.verb), "person") if scene.person else ()


def _case(verb: str) -> str:
    return CASES.get(verb, "YA")


@cache
def _human(concept: str, case: str, role: str) -> Words:
    if concept in TRADES:
        return phrase(suffixed(WORKERS[concept], case), "NOUN", role)
    return _name(concept, case, role)


@cache
def _name(concept: str, case: str, role: str) -> Words:
    text = NAMES.get(concept, concept)
    ending = "'" + suffix(SPOKEN.get(concept, text), case) if case else ""
    return name(text, concept, role, ending)


def _place(scene: Scene) -> Words:
    return _located(scene.place, "YA" if scene.verb in MOVES else "DA") if scene.place else ()


@cache
def _located(place: str, case: str) -> Words:
    if place in CITIES:
        return _name(place, case, "place")
    return phrase(suffixed(SITES[place], case), "NOUN", "place")


def _time(scene: Scene) -> Words:
    return _when(scene.time) if scene.time else ()


@cache
def _when(time: str) -> Words:
    if time in TIMES:
        return phrase(*TIMES[time], "time")
    figure = f"{time}'{suffix(_read(time[-2:]), 'DA')}"
    return phrase(
        f"saat {figure}" if ":" in time else figure, "NOUN NUM" if ":" in time else "NUM", "time"
    )


def _read(figure: str) -> str:
    """Returns the last word of a number that ends in these two digits, as it is read aloud."""
    return UNITS[int(figure[1])] or TENS[int(figure[0])] or "bin"


def _vowels(word: str) -> int:
    return sum(letter in HARMONY for letter in word)


def _capital(text: str) -> str:
    return {"i": "İ", "ı": "I"}.get(text[0], text[0].upper()) + text[1:]


TURKISH = Language(
    code="tr",
    iso639_3="tur",
    name="Turkish",
    clause=clause,
    question=question,
    conjunctions=(phrase("ve", "CCONJ"), phrase("ama", "CCONJ")),
    capital=_capital,
)
