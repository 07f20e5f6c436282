"""Hindi: verb last; postpositions, two genders; the verb of the past agrees with what is unmarked.

The agent of a transitive verb in the past (but for लाना, to bring) bears ने, and the verb agrees
with the object; without ने it agrees with the agent; where nothing is unmarked it is masculine
singular.
"""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CITIES, CLOCK, GENDER, KIND_OF, MOVES, TRADES, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Words, glossary, name, phrase, table

NAMES = glossary("""
    Anna अन्ना; Maria मारिया; Clara क्लारा; Nora नोरा; Lena लीना; Eva ईवा; Olga ओल्गा;
    Sofia सोफ़िया; Rosa रोज़ा; Irina इरीना; Leila लैला; Yasmin यास्मीन; Peter पीटर; Thomas थॉमस;
    Felix फ़ेलिक्स; Oscar ऑस्कर; Hugo ह्यूगो; Marco मार्को; Max मैक्स; Victor विक्टर; Ivan इवान;
    Omar उमर; Karim करीम; Anton एंटोन;
    Berlin बर्लिन; Ankara अंकारा; Madrid मैड्रिड; London लंदन; Vienna वियना; Athens एथेंस;
    Cairo काहिरा; Moscow मॉस्को; Beijing बीजिंग; Delhi दिल्ली; New_York न्यूयॉर्क;
    Hong_Kong हांगकांग; Buenos_Aires ब्यूनस_आयर्स; Kuala_Lumpur कुआलालंपुर; Cape_Town केप_टाउन;
    Rio_de_Janeiro रियो_डी_जेनेरो
""")
# the form before a postposition
TRADE_NAMES = table("""
    teacher अध्यापिका; nurse नर्स; singer गायिका; lawyer वकील; student छात्रा; neighbour पड़ोसन;
    doctor डॉक्टर; cook रसोइया रसोइए; driver ड्राइवर; farmer किसान; engineer इंजीनियर; baker बेकर;
    writer लेखक; gardener माली
""")
# oblique form; postposition of location, and of destination if there is one
SITES = table("""
    park पार्क में; market बाज़ार में; kitchen रसोई में में; garden बगीचे में में; station स्टेशन पर;
    school स्कूल में; library पुस्तकालय में; museum संग्रहालय में; hotel होटल में; office दफ़्तर में;
    forest जंगल में में; village गाँव में; hospital अस्पताल में; factory फ़ैक्टरी में; theatre थिएटर में;
    restaurant रेस्टोरेंट में; bakery बेकरी में; farm खेत में में; beach समुद्र_तट पर पर;
    harbour बंदरगाह पर; airport हवाई_अड्डे पर; stadium स्टेडियम में; church चर्च में;
    castle किले में में
""")
SITE_TAGS = {"beach": "NOUN NOUN", "airport": "ADJ NOUN"}
# gender; singular, plural, oblique plural
NOUNS = table("""
    dog m कुत्ता कुत्ते कुत्तों; cat f बिल्ली बिल्लियाँ बिल्लियों; horse m घोड़ा घोड़े घोड़ों;
    cow f गाय गायें गायों; goat f बकरी बकरियाँ बकरियों; rabbit m खरगोश खरगोश खरगोशों;
    duck f बत्तख बत्तखें बत्तखों; donkey m गधा गधे गधों; car f कार कारें कारों;
    bicycle f साइकिल साइकिलें साइकिलों; boat f नाव नावें नावों; bus f बस बसें बसों;
    lorry m ट्रक ट्रक ट्रकों; train f ट्रेन ट्रेनें ट्रेनों; apple m सेब सेब सेबों;
    lemon m नींबू नींबू नींबुओं; pear f नाशपाती नाशपातियाँ नाशपातियों; orange m संतरा संतरे संतरों;
    banana m केला केले केलों; melon m खरबूज़ा खरबूज़े खरबूज़ों; tomato m टमाटर टमाटर टमाटरों;
    onion m प्याज़ प्याज़ प्याज़ों; potato m आलू आलू आलुओं; carrot f गाजर गाजरें गाजरों;
    cucumber m खीरा खीरे खीरों; cabbage f पत्तागोभी पत्तागोभियाँ पत्तागोभियों;
    hammer m हथौड़ा हथौड़े हथौड़ों; knife m चाकू चाकू चाकुओं; saw f आरी आरियाँ आरियों;
    axe f कुल्हाड़ी कुल्हाड़ियाँ कुल्हाड़ियों; brush m ब्रश ब्रश ब्रशों; ladder f सीढ़ी सीढ़ियाँ सीढ़ियों;
    chair f कुर्सी कुर्सियाँ कुर्सियों; table f मेज़ मेज़ें मेज़ों; bed m पलंग पलंग पलंगों;
    lamp m लैंप लैंप लैंपों; mirror m आईना आईने आईनों; carpet m कालीन कालीन कालीनों;
    cupboard f अलमारी अलमारियाँ अलमारियों; book f किताब किताबें किताबों;
    letter f चिट्ठी चिट्ठियाँ चिट्ठियों; newspaper m अखबार अखबार अखबारों; map m नक्शा नक्शे नक्शों;
    magazine f पत्रिका पत्रिकाएँ पत्रिकाओं; dictionary m शब्दकोश शब्दकोश शब्दकोशों;
    shirt f कमीज़ कमीज़ें कमीज़ों; coat m कोट कोट कोटों; hat f टोपी टोपियाँ टोपियों;
    dress f पोशाक पोशाकें पोशाकों; scarf m स्कार्फ़ स्कार्फ़ स्कार्फ़ों; bag m बैग बैग बैगों;
    ball f गेंद गेंदें गेंदों; doll f गुड़िया गुड़ियाँ गुड़ियों; kite f पतंग पतंगें पतंगों;
    drum m ढोल ढोल ढोलों; guitar m गिटार गिटार गिटारों; piano m पियानो पियानो पियानो;
    violin m वायलिन वायलिन वायलिनों; flute f बाँसुरी बाँसुरियाँ बाँसुरियों;
    rose m गुलाब गुलाब गुलाबों; tulip m ट्यूलिप ट्यूलिप ट्यूलिपों; lily f लिली लिलियाँ लिलियों;
    sunflower m सूरजमुखी सूरजमुखी सूरजमुखियों; animal m जानवर जानवर जानवरों;
    vehicle m वाहन वाहन वाहनों; fruit m फल फल फलों; vegetable f सब्ज़ी सब्ज़ियाँ सब्ज़ियों;
    tool m औज़ार औज़ार औज़ारों; toy m खिलौना खिलौने खिलौनों;
    instrument m वाद्ययंत्र वाद्ययंत्र वाद्ययंत्रों; flower m फूल फूल फूलों
""")
# those in ा agree; short and small are one word in Hindi, and no thing can be either here
LOOKS = glossary("""
    black काला; white सफ़ेद; big बड़ा; small छोटा; strong ताकतवर; beautiful सुंदर; hungry भूखा;
    red लाल; green हरा; yellow पीला; old पुराना; new नया; fast तेज़; slow धीमा; fresh ताज़ा;
    cheap सस्ता; expensive महँगा; heavy भारी; light हल्का; long लंबा; short छोटा; ugly बदसूरत;
    brown भूरा; clean साफ़; dirty गंदा; blue नीला
""")
# postposition of the agent (without: the verb agrees with the agent); of the person; of the thing;
# the noun or so of a compound verb; past, masculine singular if it agrees with something
VERBS = table("""
    buy ने - - - खरीदा; find को - - - मिला; lose ने - - - खोया; eat ने - - - खाया;
    cook ने - - - पकाया; cut ने - - - काटा; wash ने - - - धोया; bathe ने - को - नहलाया;
    clean ने - - साफ़ किया; carry ने - - - उठाया; draw ने - का चित्र बनाया; paint ने - - पेंट किया;
    read ने - - - पढ़ा; break ने - - - तोड़ा; repair ने - - ठीक किया; hide ने - - - छिपाया;
    feed ने - को खाना खिलाया; plant ने - - - लगाया; give ने को - - दिया; show ने को - - दिखाया;
    sell ने को - - बेचा; send ने को - - भेजा; bring - के_लिए - - लाया; meet - से - - मिला;
    help ने की - मदद की; call ने को - फ़ोन किया; visit - से - मिलने गया;
    greet ने का - अभिवादन किया; wait ने का - इंतज़ार किया; look ने की - तलाश की;
    thank ने को - धन्यवाद दिया; go - - - - गया; travel ने - - यात्रा की; return - - - - लौटा;
    work ने - - काम किया; sleep - - - - सोया; sing ने - - गाना गाया; dance - - - - नाचा;
    run - - - - दौड़ा; rest ने - - आराम किया; like को - - पसंद है; be_fond - - - पसंद करता;
    have के_पास - - - है; live - - - - रहता
""")
COMPOUND_TAGS = {"साफ़": "ADJ", "ठीक": "ADJ", "मिलने": "VERB"}  # the others are nouns
AFFIRMED = {
    "lose": "खो दिया",
    "break": "तोड़ दिया",
    "hide": "छिपा दिया",
}  # in this way unless negated
# The question word precedes these nouns of compound verbs, and follows the others.
BOUND = frozenset(("साफ़", "ठीक", "पेंट", "फ़ोन", "पसंद"))
NUMBERS = {2: "दो", 3: "तीन", 4: "चार", 5: "पाँच", 6: "छह"}
TIMES = {
    "yesterday": ("कल", "NOUN"),
    "last week": ("पिछले हफ़्ते", "ADJ NOUN"),
    "morning": ("सुबह", "NOUN"),
    "evening": ("शाम को", "NOUN ADP"),
    "night": ("रात को", "NOUN ADP"),
    "spring": ("वसंत में", "NOUN ADP"),
    "summer": ("गर्मियों में", "NOUN ADP"),
    "autumn": ("पतझड़ में", "NOUN ADP"),
    "winter": ("सर्दियों में", "NOUN ADP"),
    "Monday": ("सोमवार को", "PROPN ADP"),
    "Tuesday": ("मंगलवार को", "PROPN ADP"),
    "Wednesday": ("बुधवार को", "PROPN ADP"),
    "Thursday": ("गुरुवार को", "PROPN ADP"),
    "Friday": ("शुक्रवार को", "PROPN ADP"),
    "Saturday": ("शनिवार को", "PROPN ADP"),
    "Sunday": ("रविवार को", "PROPN ADP"),
    **{hour: (f"{hour} बजे", "NUM NOUN") for hour in CLOCK},
    **{year: (f"{year} में", "NUM ADP") for year in YEARS},
}
# who and what, by the postposition
WHO = {
    "-": phrase("कौन", "PRON"),
    "के पास": phrase("किसके पास", "PRON ADP"),
    "के लिए": phrase("किसके लिए", "PRON ADP"),
    **{ending: phrase(f"किस{ending}", "PRON") for ending in ("ने", "को", "से", "का", "की")},
}
WHAT = WHO | {"-": phrase("क्या", "PRON")}
WHERE, WHEREOF, WHEN = phrase("कहाँ", "PRON"), phrase("कहाँ की", "PRON ADP"), phrase("कब", "PRON")


def clause(scene: Scene, order: str) -> Words:
    return _sentence(scene, order, "")


def question(scene: Scene, asked: str, order: str) -> Words:
    return _sentence(scene, order, asked)


def _sentence(scene: Scene, order: str, asked: str) -> Words:
    verb = _verb_of(scene, order)
    agent, person, thing, noun, _ = VERBS[verb]
    parts = {
        "agent": WHO[agent] if asked == "agent" else _person(scene.agent, agent, "agent"),
        "person": WHO[person] if asked == "person" else _person(scene.person, person, "person"),
        "thing": WHAT[thing] if asked == "thing" else _thing(scene, thing, asked),
        "place": _place(scene.place, verb),
        "time": WHEN if asked == "time" else _time(scene.time),
        "verb": _predicate(verb, *_agreement(scene, verb, asked), scene.negated),
        "noun": phrase(noun, COMPOUND_TAGS.get(noun, "NOUN")) if noun != "-" else (),
    }
    if asked == "place":
        parts["place"] = WHEREOF if verb == "travel" else WHERE
    words: Words = ()
    for part in _asking(scene, verb, order, asked) if asked else _telling(scene, verb, order):
        words += parts[part]
    return words


def _verb_of(scene: Scene, order: str) -> str:
    """Returns the scene's key in `VERBS`: animals are bathed, and liking has two expressions."""
    if scene.verb == "wash" and (
        scene.thing == "animal" or KIND_OF.get(scene.thing or "") == "animal"
    ):
        return "bathe"
    return "be fond" if scene.verb == "like" and order == "shift" else scene.verb


def _telling(scene: Scene, verb: str, order: str, asked: str = "") -> tuple[str, ...]:
    """Returns the order of the parts as in a statement, also for the part asked for."""
    if order == "shift":
        return _shifted(scene, verb, asked)
    if scene.verb == "live" and scene.agent in TRADES:
        order = "plain"  # a noun behind the place would be just any cook
    if order == "front" and scene.time and asked != "time":
        return "time", "agent", "place", "person", "thing", "noun", "verb"
    if order == "front" and scene.place and scene.verb not in MOVES and asked != "place":
        return "place", "agent", "time", "person", "thing", "noun", "verb"
    return "agent", "time", "place", "person", "thing", "noun", "verb"


def _shifted(scene: Scene, verb: str, asked: str) -> tuple[str, ...]:
    """Returns a varied order of the parts that leaves bare nouns, का and की in their places."""
    counted = scene.number is not None and asked != "thing"
    mobile = scene.person and asked != "person" and VERBS[verb][1] not in ("का", "की")
    if counted and scene.person:
        return "agent", "time", "place", "thing", "person", "noun", "verb"
    if mobile and (scene.time or scene.place):
        return "agent", "person", "time", "place", "thing", "noun", "verb"
    if mobile:
        return "person", "agent", "thing", "noun", "verb"
    if scene.time and scene.place and scene.verb not in MOVES:
        return "agent", "place", "time", "person", "thing", "noun", "verb"
    if counted and VERBS[verb][2] != "का":
        return "agent", "thing", "time", "place", "noun", "verb"
    return _telling(scene, verb, "front", asked)


def _asking(scene: Scene, verb: str, order: str, asked: str) -> tuple[str, ...]:
    """Returns the order of a question: the question word before the verb, or as in a statement.

    "plain" and "shift" mostly differ in which of the two is chosen.
    """
    if _asks_in_place(scene, verb, order, asked):
        late = asked in ("agent", "place", "time") or (asked == "person" and _is_counted(scene))
        return _telling(scene, verb, "plain" if order == "shift" and late else order, asked)
    parts = [p for p in _telling(scene, verb, order, asked) if p != asked]
    parts.insert(-2 if VERBS[verb][3] in BOUND else -1, asked)
    return tuple(parts)


def _asks_in_place(scene: Scene, verb: str, order: str, asked: str) -> bool:
    """Whether the question word is where the answer would be, and not before the verb."""
    if asked == "agent":
        if VERBS[verb][0] == "-":
            return False
        plural = _is_counted(scene) and scene.number != 1
        if verb == "have":
            return order != "shift" or not plural
        return (scene.thing is not None and not plural) != (order == "shift")
    if asked in ("place", "time"):
        return order == "shift" or (asked == "place" and verb in ("live", "travel"))
    return order == "shift" or asked != "person" or not _is_counted(scene)


def _is_counted(scene: Scene) -> bool:
    return scene.thing is not None and scene.number is not None


def _agreement(scene: Scene, verb: str, asked: str) -> tuple[str, bool]:
    """Returns (gender, whether plural) of the words with which the verb agrees."""
    agent, _, ending, *_ = VERBS[verb]
    if agent == "-":
        return ("m" if asked == "agent" else GENDER[scene.agent]), False
    if scene.thing is None or asked == "thing" or ending != "-":
        return "m", False
    return NOUNS[scene.thing][0], _is_plural(scene)


def _is_plural(scene: Scene) -> bool:
    return scene.number != 1 and (not scene.negated or scene.verb == "like")


@cache
def _predicate(verb: str, gender: str, plural: bool, negated: bool) -> Words:
    """Builds the finite verb, without the noun of a compound verb."""
    negation = phrase("नहीं", "PART") if negated else ()
    if verb in ("have", "like"):
        return negation + phrase("हैं" if plural else "है", "AUX")
    stem, _, form = ("" if negated else AFFIRMED.get(verb, "")).rpartition(" ")
    finite = _inflected(form or VERBS[verb][4], gender, plural)
    if verb in ("live", "be fond") and not negated:
        return phrase(f"{finite} है", "VERB AUX")
    return phrase(f"{stem} {finite}", "VERB AUX") if stem else negation + phrase(finite, "VERB")


@cache
def _inflected(form: str, gender: str, plural: bool, oblique: bool = False) -> str:
    """Inflects an adjective or past form in ा; only verbs have a feminine plural."""
    if not form.endswith("ा"):
        return form
    if gender == "m":
        if not plural and not oblique:
            return form
        return form[:-2] + "ए" if form.endswith("या") else form[:-1] + "े"
    nasal = "ं" if plural else ""
    if form.endswith("िया"):
        return form[:-3] + "ी" + nasal
    return (form[:-2] + "ई" if form.endswith("या") else form[:-1] + "ी") + nasal


def _thing(scene: Scene, ending: str, asked: str) -> Words:
    if scene.thing is None:
        return ()
    if asked == "number":
        return _noun(scene.thing, scene.look, True, ending, "how many")
    denied = scene.negated and scene.verb != "like"
    return _counted(scene.thing, scene.number, scene.look, ending, denied)


@cache
def _counted(thing: str, number: int | None, look: str | None, ending: str, any_: bool) -> Words:
    if any_:
        return _noun(thing, look, False, ending, "any")
    if number is None:
        return _noun(thing, look, True, ending)
    if number == 1:
        return phrase("एक", "NUM", "thing") + _noun(thing, look, False, ending)
    numeral = NUMBERS.get(number, str(number))
    return phrase(numeral, "NUM", "number") + _noun(thing, look, True, ending)


@cache
def _noun(thing: str, look: str | None, plural: bool, ending: str, first: str = "") -> Words:
    """Builds a noun with adjective and postposition, after "any" or "how many" if asked."""
    gender, one, more, marked = NOUNS[thing]
    oblique = ending != "-"
    words: Words = ()
    if first == "any":
        words += phrase("किसी" if oblique else "कोई", "DET", "thing")
    elif first == "how many":
        words += phrase("कितनी" if gender == "f" else "कितने", "DET")
    if look:
        # the plural of a feminine adjective is its singular
        agreeing = _inflected(LOOKS[look], gender, plural and gender == "m", oblique)
        words += phrase(agreeing, "ADJ", "thing")
    single = more if oblique and gender == "m" else one
    words += phrase((marked if oblique else more) if plural else single, "NOUN", "thing")
    return words + _postposition(ending, "thing")


@cache
def _person(concept: str | None, ending: str, role: str) -> Words:
    if concept is None:
        return ()
    if concept in TRADES:
        forms = TRADE_NAMES[concept]
        who = phrase(forms[0] if ending == "-" else forms[-1], "NOUN", role)
    else:
        who = name(NAMES.get(concept, concept), concept, role)
    return who + _postposition(ending, role)


def _postposition(text: str, role: str) -> Words:
    return phrase(text, " ".join("ADP" for _ in text.split()), role) if text != "-" else ()


@cache
def _place(place: str | None, verb: str) -> Words:
    if place is None:
        return ()
    if place in CITIES:
        where, endings = name(NAMES[place], place, "place"), ["में"]
    else:
        text, *endings = SITES[place]
        where = phrase(text, SITE_TAGS.get(place, "NOUN"), "place")
    if verb == "travel":
        return where + phrase("की", "ADP", "place")
    if verb in MOVES:
        return where + phrase(" ".join(endings[1:]), " ".join("ADP" for _ in endings[1:]), "place")
    return where + phrase(endings[0], "ADP", "place")


def _time(time: str | None) -> Words:
    return phrase(*TIMES[time], "time") if time else ()


HINDI = Language(
    code="hi",
    iso639_3="hin",
    name="Hindi",
    clause=clause,
    question=question,
    conjunctions=(phrase("और", "CCONJ"), phrase(", लेकिन", "PUNCT CCONJ")),
    stop="।",
    capital=lambda text: text,
)
