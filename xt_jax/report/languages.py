"""The languages of XTREME and XTREME-R: name, script, family.

Families are the usual ones of comparative linguistics, Indo-European by branch; one that stands
alone in the world is an isolate.
"""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    name: str
    script: str
    family: str


UNKNOWN = "unknown"

_TABLE = """
af Afrikaans    Latin       Germanic
ar Arabic       Arabic      Semitic
az Azerbaijani  Latin       Turkic
bg Bulgarian    Cyrillic    Slavic
bn Bengali      Bengali     Indo-Aryan
de German       Latin       Germanic
el Greek        Greek       Greek
en English      Latin       Germanic
es Spanish      Latin       Romance
et Estonian     Latin       Uralic
eu Basque       Latin       isolate
fa Persian      Arabic      Iranian
fi Finnish      Latin       Uralic
fr French       Latin       Romance
gu Gujarati     Gujarati    Indo-Aryan
he Hebrew       Hebrew      Semitic
hi Hindi        Devanagari  Indo-Aryan
ht Haitian      Latin       Romance_creole
hu Hungarian    Latin       Uralic
id Indonesian   Latin       Austronesian
it Italian      Latin       Romance
ja Japanese     Japanese    Japonic
jv Javanese     Latin       Austronesian
ka Georgian     Georgian    Kartvelian
kk Kazakh       Cyrillic    Turkic
ko Korean       Hangul      Koreanic
lt Lithuanian   Latin       Baltic
ml Malayalam    Malayalam   Dravidian
mr Marathi      Devanagari  Indo-Aryan
ms Malay        Latin       Austronesian
my Burmese      Burmese     Sino-Tibetan
nl Dutch        Latin       Germanic
pa Punjabi      Gurmukhi    Indo-Aryan
pl Polish       Latin       Slavic
pt Portuguese   Latin       Romance
qu Quechua      Latin       Quechuan
ro Romanian     Latin       Romance
ru Russian      Cyrillic    Slavic
sw Swahili      Latin       Niger-Congo
ta Tamil        Tamil       Dravidian
te Telugu       Telugu      Dravidian
th Thai         Thai        Kra-Dai
tl Tagalog      Latin       Austronesian
tr Turkish      Latin       Turkic
uk Ukrainian    Cyrillic    Slavic
ur Urdu         Arabic      Indo-Aryan
vi Vietnamese   Latin       Austroasiatic
wo Wolof        Latin       Niger-Congo
yo Yoruba       Latin       Niger-Congo
zh Chinese      Han         Sino-Tibetan
"""

LANGUAGES = {
    code: Language(name, script, family.replace("_", " "))
    for code, name, script, family in (line.split() for line in _TABLE.split("\n") if line)
}


def language(code: str) -> Language:
    """Of a code that is not in the table (`de-en` of mlqa_cross) all is unknown but the code."""
    return LANGUAGES.get(code, Language(code, UNKNOWN, UNKNOWN))
