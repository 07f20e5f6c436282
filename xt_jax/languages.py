"""Languages: their codes, names, scripts and families, pairs, and the languages of data sets.

A code is a BCP 47 tag: a language (two letters, or three), then perhaps a script (`Latn`) and a
region (`CN`), as in `en`, `zh-CN`, `sr-Latn` or FLORES's `eng_Latn`. The case of the letters tells
the parts of a tag from the parts of a pair: `zh-CN` is one language, `de-en` a pair of two.

Families are the usual ones of comparative linguistics, with Indo-European split into branches; a
language without relatives is an isolate.
"""

from __future__ import annotations

import re
from typing import NamedTuple

UNKNOWN = "unknown"

# Code, ISO 639-3 codes (the first is Tatoeba's where it has the language), name, script, family.
_TABLE = """
af afr          Afrikaans    Latin       Germanic
ar ara,arb      Arabic       Arabic      Semitic
az aze,azj      Azerbaijani  Latin       Turkic
bg bul          Bulgarian    Cyrillic    Slavic
bn ben          Bengali      Bengali     Indo-Aryan
de deu          German       Latin       Germanic
el ell          Greek        Greek       Greek
en eng          English      Latin       Germanic
es spa          Spanish      Latin       Romance
et est,ekk      Estonian     Latin       Uralic
eu eus          Basque       Latin       isolate
fa pes,fas      Persian      Arabic      Iranian
fi fin          Finnish      Latin       Uralic
fr fra          French       Latin       Romance
gu guj          Gujarati     Gujarati    Indo-Aryan
he heb          Hebrew       Hebrew      Semitic
hi hin          Hindi        Devanagari  Indo-Aryan
ht hat          Haitian      Latin       Romance_creole
hu hun          Hungarian    Latin       Uralic
id ind          Indonesian   Latin       Austronesian
it ita          Italian      Latin       Romance
ja jpn          Japanese     Japanese    Japonic
jv jav          Javanese     Latin       Austronesian
ka kat          Georgian     Georgian    Kartvelian
kk kaz          Kazakh       Cyrillic    Turkic
ko kor          Korean       Hangul      Koreanic
lt lit          Lithuanian   Latin       Baltic
ml mal          Malayalam    Malayalam   Dravidian
mr mar          Marathi      Devanagari  Indo-Aryan
ms msa,zsm      Malay        Latin       Austronesian
my mya          Burmese      Burmese     Sino-Tibetan
nl nld          Dutch        Latin       Germanic
pa pan          Punjabi      Gurmukhi    Indo-Aryan
pl pol          Polish       Latin       Slavic
pt por          Portuguese   Latin       Romance
qu que,quy      Quechua      Latin       Quechuan
ro ron          Romanian     Latin       Romance
ru rus          Russian      Cyrillic    Slavic
sw swh,swa      Swahili      Latin       Niger-Congo
ta tam          Tamil        Tamil       Dravidian
te tel          Telugu       Telugu      Dravidian
th tha          Thai         Thai        Kra-Dai
tl tgl,fil      Tagalog      Latin       Austronesian
tr tur          Turkish      Latin       Turkic
uk ukr          Ukrainian    Cyrillic    Slavic
ur urd          Urdu         Arabic      Indo-Aryan
vi vie          Vietnamese   Latin       Austroasiatic
wo wol          Wolof        Latin       Niger-Congo
yo yor          Yoruba       Latin       Niger-Congo
zh cmn,zho      Chinese      Han         Sino-Tibetan
"""

# ISO 15924 codes of scripts.
_SCRIPT_CODES = dict(
    entry.split(":")
    for entry in (
        "Arab:Arabic Armn:Armenian Beng:Bengali Cyrl:Cyrillic Deva:Devanagari Ethi:Ethiopic "
        "Geor:Georgian Grek:Greek Gujr:Gujarati Guru:Gurmukhi Hang:Hangul Hani:Han Hans:Han "
        "Hant:Han Hebr:Hebrew Jpan:Japanese Khmr:Khmer Knda:Kannada Kore:Hangul Laoo:Lao "
        "Latn:Latin Mlym:Malayalam Mymr:Burmese Sinh:Sinhala Taml:Tamil Telu:Telugu Thai:Thai "
        "Tibt:Tibetan"
    ).split()
)
# How the names of a script's letters begin in Unicode, where it is not the script's name.
_UNICODE = {
    "Han": ("CJK",),
    "Japanese": ("CJK", "HIRAGANA", "KATAKANA"),
    "Burmese": ("MYANMAR",),
}
_CODE = r"[a-z]{2,3}(?:[-_][A-Z][a-z]{3})?(?:[-_](?:[A-Z]{2}|[0-9]{3}))?"


class Language(NamedTuple):
    """The English name, script and family of a language, `unknown` where not in the table."""

    name: str
    script: str
    family: str


class Pair(NamedTuple):
    """The language of a text and that of a question about it; its str is `context-question`."""

    context: str
    question: str

    def __str__(self) -> str:
        return f"{self.context}-{self.question}"


LANGUAGES: dict[str, Language] = {}
_SHORT: dict[str, str] = {}  # ISO 639-3 to the code of LANGUAGES
_LONG: dict[str, str] = {}
for _code, _longer, *_rest in (_line.split() for _line in _TABLE.split("\n") if _line):
    LANGUAGES[_code] = Language(*(_cell.replace("_", " ") for _cell in _rest))
    _SHORT |= dict.fromkeys(_longer.split(","), _code)
    _LONG[_code] = _longer.split(",")[0]


def language(code: str) -> Language:
    """Looks up a language: `zh-CN` is looked up as `zh`, `uzn_Cyrl` names its script itself.

    For a language that is not in the table, or a pair, only the code is known.
    """
    subtags = re.split("[-_]", code) if is_code(code) else [code]
    known = LANGUAGES.get(_SHORT.get(subtags[0], subtags[0]))
    name, script, family = known or Language(code, UNKNOWN, UNKNOWN)
    if len(subtags) > 1:
        name = f"{name} ({', '.join(subtags[1:])})" if known else code
        script = _SCRIPT_CODES.get(subtags[1], script)
    return Language(name, script, family)


def is_code(text: str) -> bool:
    """Whether a text has the form of a single language's code."""
    return re.fullmatch(_CODE, text) is not None


def pair(code: str) -> Pair | None:
    """Splits a code such as `de-en` or `zh-CN-pt-BR` into two; None for a single language."""
    match = re.fullmatch(f"({_CODE})-({_CODE})", code)
    return Pair(*match.groups()) if match else None


def components(code: str) -> tuple[str, ...]:
    """Returns the languages that a code names: a pair's two, the context's first, or one."""
    return pair(code) or (code,)


def letter_names(code: str) -> tuple[str, ...]:
    """Returns how the Unicode names of a language's letters begin; () if its script is unknown."""
    script = language(components(code)[0]).script
    return () if script == UNKNOWN else _UNICODE.get(script, (script.upper(),))


# The languages of XTREME's data sets: google-research/xtreme, evaluate.py.
XNLI = tuple("ar bg de el en es fr hi ru sw th tr ur vi zh".split())
PAWSX = tuple("de en es fr ja ko zh".split())
UDPOS = tuple(
    "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi "
    "yo zh".split()
)
PANX = tuple(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw "
    "ta te th tl tr ur vi yo zh".split()
)
XQUAD = tuple("ar de el en es hi ru th tr vi zh".split())
MLQA = tuple("ar de en es hi vi zh".split())
MLQA_CROSS = tuple(str(Pair(c, q)) for c in MLQA for q in MLQA if c != q)
TYDIQA = tuple("ar bn en fi id ko ru sw te".split())
BUCC = tuple("de fr ru zh".split())
XCOPA = tuple("et ht id it qu sw ta th tr vi zh".split())  # of XTREME-R
MEWSLIX = tuple("ar de en es fa ja pl ro ta tr uk".split())  # of XTREME-R
TATOEBA = tuple(code for code in PANX if code not in ("en", "ms", "my", "yo"))

# What the languages are called in the files of Tatoeba (facebookresearch/LASER, data/tatoeba/v1),
# in the names of Universal Dependencies' treebanks, and in the ids of TyDiQA's questions.
ISO3 = {code: _LONG[code] for code in TATOEBA}
UD_NAMES = {code: LANGUAGES[code].name for code in UDPOS}
TYDIQA_NAMES = {code: LANGUAGES[code].name.lower() for code in TYDIQA}
