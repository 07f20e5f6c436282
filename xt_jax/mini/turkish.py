"""Turkish: verb last; case and tense as suffixes under vowel harmony, no articles, no gender.

Suffixes are written as in grammars: A is a or e, I is ı, i, u or ü, D is d or t, Y is y between
vowels and nothing otherwise. Singular after numerals; an indefinite object bears no case.
"""

from __future__ import annotations

from xt_jax.mini.scenes import AGENTS, CITIES, Scene
from xt_jax.mini.words import Language, Word, glossary, name, phrase, table

NOUNS = glossary("""
    apple elma; lemon limon; tomato domates; onion soğan; pear armut; egg yumurta; cup fincan;
    lamp lamba; chair sandalye; table masa; bag çanta; clock saat; book kitap; letter mektup;
    newspaper gazete; map harita; dog köpek; cat kedi; horse at; bird kuş; cow inek; goat keçi;
    car araba; bicycle bisiklet; boat tekne; bus otobüs
""")
# root; case of its person; noun of a compound verb
VERBS = table("""
    buy al; find bul YI; eat ye; wash yıka; carry taşı; draw çiz; read oku; lose kaybet;
    see gör YI; sell sat YA; give ver YA; show göster YA; help et YA yardım; wait bekle YI;
    look ara YI; greet selamla YI
""")
ADJECTIVES = glossary("""
    red kırmızı; green yeşil; black siyah; white beyaz; yellow sarı; big büyük; small küçük;
    fresh taze; cheap ucuz; old eski; new yeni; heavy ağır
""")
NUMBERS = ("", "bir", "iki", "üç", "dört", "beş", "altı")
TRADES = glossary("teacher öğretmen; doctor doktor; cook aşçı; driver şoför")
SITES = glossary("""
    park park; market pazar; kitchen mutfak; garden bahçe; station istasyon; school okul;
    library kütüphane; museum müze; hotel otel; office ofis; forest orman; village köy
""")
NAMES = glossary("""
    Victor Viktor; London Londra; Vienna Viyana; Athens Atina; Cairo Kahire; Moscow Moskova
""")
HARMONY = {"a": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "i": "i", "ö": "ü", "ü": "ü"}
VOICELESS = frozenset("fstkçşhp")


def suffix(word: str, pattern: str) -> str:
    """The suffix `pattern` (for example "DA", "YI", "mADI") as it is after `word`."""
    lower = word.replace("İ", "i").replace("I", "ı").lower()
    whole = lower
    for symbol in pattern:
        vowel = next(c for c in reversed(whole) if c in HARMONY)
        if symbol == "A":
            whole += "a" if vowel in "aıou" else "e"
        elif symbol == "I":
            whole += HARMONY[vowel]
        elif symbol == "D":
            whole += "t" if whole[-1] in VOICELESS else "d"
        elif symbol == "Y":
            whole += "y" if whole[-1] in HARMONY else ""
        else:
            whole += symbol
    return whole[len(lower) :]


def clause(scene: Scene, order: str = "plain") -> list[Word]:
    agent, place = _person(scene.agent, "", "agent"), _place(scene)
    person, rest = _receiver(scene), _thing(scene) + _verb(scene)
    if order == "front":
        return place + agent + person + rest
    if order == "shift":
        return agent + person + place + rest
    return agent + place + person + rest


def question(scene: Scene, asked: str) -> list[Word]:
    agent, place, person = _person(scene.agent, ""), _place(scene), _receiver(scene)
    if asked == "agent":
        return place + person + phrase("kim", "PRON") + _thing(scene) + _verb(scene)
    if asked == "thing":
        return agent + place + person + phrase("ne", "PRON") + _verb(scene)
    return agent + person + phrase("nerede", "ADV") + _thing(scene) + _verb(scene)


def _verb(scene: Scene) -> list[Word]:
    root, *rest = VERBS[scene.verb]
    compound = phrase(rest[1], "NOUN") if len(rest) > 1 else []
    return [*compound, Word(root + suffix(root, "mADI" if scene.negated else "DI"), "VERB")]


def _thing(scene: Scene) -> list[Word]:
    if scene.thing is None:
        return []
    noun = phrase(NOUNS[scene.thing], "NOUN", "thing")
    adjective = phrase(ADJECTIVES[scene.adjective], "ADJ", "thing") if scene.adjective else []
    if scene.number is None:
        return adjective + noun
    if scene.number == 1:
        return adjective + phrase("bir", "DET", "thing") + noun
    return phrase(NUMBERS[scene.number], "NUM", "thing") + adjective + noun


def _receiver(scene: Scene) -> list[Word]:
    return _person(scene.person, VERBS[scene.verb][1]) if scene.person else []


def _person(concept: str, case: str, role: str = "") -> list[Word]:
    if concept in TRADES:
        noun = TRADES[concept]
        return phrase(noun + suffix(noun, case), "NOUN", role)
    return _name(concept, case, role)


def _place(scene: Scene) -> list[Word]:
    if scene.place is None:
        return []
    if scene.place in CITIES:
        return _name(scene.place, "DA", "place")
    site = SITES[scene.place]
    return phrase(site + suffix(site, "DA"), "NOUN", "place")


def _name(concept: str, case: str, role: str) -> list[Word]:
    text = NAMES.get(concept, concept)
    return name(text, concept, role, "'" + suffix(text, case) if case else "")


def _capital(text: str) -> str:
    return {"i": "İ", "ı": "I"}.get(text[0], text[0].upper()) + text[1:]


TURKISH = Language(
    code="tr",
    iso639_3="tur",
    clause=clause,
    question=question,
    conjunctions=(phrase("ve", "CCONJ"), phrase(", ama", "PUNCT CCONJ")),
    capital=_capital,
    stems=(
        "ve ama kim ne nerede yardım",
        *(*NOUNS.values(), *ADJECTIVES.values(), *TRADES.values(), *SITES.values(), *NUMBERS),
        *(forms[0] for forms in VERBS.values()),
        *(NAMES.get(n, n) for n in (*AGENTS, *CITIES)),
    ),
    endings=(
        *("da", "de", "ta", "te", "a", "e", "ya", "ye", "ı", "i", "u", "ü", "yı", "yi", "yu", "yü"),
        *("dı", "di", "du", "dü", "tı", "ti", "tu", "tü", "madı", "medi"),
    ),
)
