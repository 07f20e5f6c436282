"""Lists meanings that every language of the embedded world says; tests/sentences/ has how."""

from __future__ import annotations

from pathlib import Path

from xt_jax.mini.languages import Utterance
from xt_jax.mini.scenes import Scene, negate

SENTENCES = Path(__file__).parent / "sentences"

_MARKET = Scene("Nora", "buy", "apple", 3, "fresh", None, "market", "morning")
_GIFT = Scene("teacher", "give", "book", 1, "old", "Peter", "library", "Monday")
_SALE = Scene("Nova Invest", "sell", "car", 12, "red", "Emma Wolf", "New York", "2015")
_HELP = Scene("Karim", "help", person="nurse", place="hospital", time="7:30")
_TRIP = Scene("Clara", "travel", place="Cairo", time="summer")
_WAIT = Scene("Leo Moretti", "wait", person="Maria", place="station", time="evening")
_DOGS = Scene("farmer", "have", "dog", 5, "black")
_ROSES = Scene("Sofia", "send", "rose", 2, "white", "Victor", "Vienna", "yesterday")

UTTERANCES = (
    Utterance((_MARKET,)),
    Utterance((_MARKET,), "front"),
    Utterance((negate(_MARKET),)),
    Utterance((_MARKET,), asked="agent"),
    Utterance((_MARKET,), asked="thing"),
    Utterance((_MARKET,), asked="number"),
    Utterance((_MARKET,), asked="place"),
    Utterance((_MARKET,), asked="time"),
    Utterance((_GIFT,)),
    Utterance((_GIFT,), "shift"),
    Utterance((_GIFT,), "front"),
    Utterance((negate(_GIFT),)),
    Utterance((_GIFT,), asked="person"),
    Utterance((_GIFT,), "front", asked="thing"),
    Utterance((_SALE,)),
    Utterance((_SALE,), "shift", asked="number"),
    Utterance((negate(_SALE),), "front"),
    Utterance((_HELP,)),
    Utterance((negate(_HELP),), "shift"),
    Utterance((_HELP,), asked="person"),
    Utterance((_TRIP,)),
    Utterance((_TRIP,), "front"),
    Utterance((_TRIP,), asked="place"),
    Utterance((Scene("singer", "return", place="hotel", negated=True),)),
    Utterance((_WAIT,)),
    Utterance((_WAIT,), asked="agent"),
    Utterance((_DOGS,)),
    Utterance((_DOGS,), asked="number"),
    Utterance((_DOGS,), "shift", asked="agent"),
    Utterance((Scene("Delta Soft", "have", "animal", negated=True),)),
    Utterance((Scene("Anna", "like", "apple"),)),
    Utterance((Scene("baker", "like", "flower", negated=True),)),
    Utterance((Scene("Anna", "like", "apple"),), asked="thing"),
    Utterance((Scene("Omar", "live", place="Beijing"),)),
    Utterance((Scene("Omar", "live", place="Beijing"),), asked="place"),
    Utterance((Scene("Olga", "live", place="Hong Kong", negated=True),)),
    Utterance((_ROSES,)),
    Utterance((_ROSES,), "shift"),
    Utterance((_ROSES,), asked="person"),
    Utterance((Scene("student", "sing", place="church", time="Sunday"),)),
    Utterance((Scene("Max", "sleep", time="night", negated=True), _HELP)),
    Utterance((Scene("cook", "cut", "onion"), Scene("Eva", "wash", "knife", 1, "long"))),
    Utterance((Scene("Hugo", "lose", "letter", 1, None, None, "Moscow", "winter"),), "shift"),
    Utterance((Scene("doctor", "meet", person="lawyer", place="beach", time="9:20"),), "front"),
    Utterance((Scene("Irina", "look", person="Anton", negated=True),)),
    Utterance((Scene("neighbour", "plant", "sunflower", 20, "yellow", None, "garden"),)),
    Utterance((Scene("Yasmin", "repair", "instrument", 4),)),
    Utterance((Scene("Max", "paint", "lorry", 1, "green", time="last week"),)),
)
