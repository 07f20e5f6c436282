"""Arabic (standard, without vowel marks): verb first, dual, broken plurals, negation by tense."""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CLOCK, GENDER, MOVES, ORGANISATIONS, PEOPLE, TRADES, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase, table

NAMES = glossary("""
    Anna آنا; Maria ماريا; Clara كلارا; Nora نورا; Lena لينا; Eva إيفا; Olga أولغا; Sofia صوفيا;
    Rosa روزا; Irina إيرينا; Leila ليلى; Yasmin ياسمين; Peter بيتر; Thomas توماس; Felix فيليكس;
    Oscar أوسكار; Hugo هوغو; Marco ماركو; Max ماكس; Victor فيكتور; Ivan إيفان; Omar عمر;
    Karim كريم; Anton أنطون; Berlin برلين; Ankara أنقرة; Madrid مدريد; London لندن; Vienna فيينا;
    Athens أثينا; Cairo القاهرة; Moscow موسكو; Beijing بكين; Delhi دلهي; New_York نيويورك;
    Hong_Kong هونغ_كونغ; Buenos_Aires بوينس_آيرس; Kuala_Lumpur كوالالمبور; Cape_Town كيب_تاون;
    Rio_de_Janeiro ريو_دي_جانيرو
""")
WORKERS = glossary("""
    teacher المعلمة; nurse الممرضة; singer المغنية; lawyer المحامية; student الطالبة;
    neighbour الجارة; doctor الطبيب; cook الطاهي; driver السائق; farmer المزارع; engineer المهندس;
    baker الخباز; writer الكاتب; gardener البستاني
""")
SITES = glossary("""
    park المتنزه; market السوق; kitchen المطبخ; garden الحديقة; station المحطة; school المدرسة;
    library المكتبة; museum المتحف; hotel الفندق; office المكتب; forest الغابة; village القرية;
    hospital المستشفى; factory المصنع; theatre المسرح; restaurant المطعم; bakery المخبز;
    farm المزرعة; beach الشاطئ; harbour الميناء; airport المطار; stadium الملعب; church الكنيسة;
    castle القلعة
""")
# singular, counted plural, plural of unknown size if different; `_` joins a counter and its noun
MASCULINE = table("""
    dog كلب كلاب; horse حصان أحصنة; rabbit أرنب أرانب; donkey حمار حمير; boat قارب قوارب;
    train قطار قطارات; cabbage رأس_ملفوف رؤوس_ملفوف; knife سكين سكاكين; saw منشار مناشير;
    ladder سلم سلالم; chair كرسي كراسي; bed سرير أسرّة; lamp مصباح مصابيح; book كتاب كتب;
    dictionary قاموس قواميس; shirt قميص قمصان; coat معطف معاطف; dress فستان فساتين;
    scarf وشاح أوشحة; drum طبل طبول; guitar غيتار غيتارات; violin كمان كمانات; flute ناي نايات;
    animal حيوان حيوانات
""")
FEMININE = table("""
    cat قطة قطط; cow بقرة بقرات أبقار; goat عنزة عنزات; duck بطة بطات; car سيارة سيارات;
    bicycle دراجة دراجات; bus حافلة حافلات; lorry شاحنة شاحنات; apple تفاحة تفاحات;
    lemon ليمونة ليمونات; pear إجاصة إجاصات; orange برتقالة برتقالات; banana موزة موزات;
    melon شمامة شمامات; tomato حبة_طماطم حبات_طماطم طماطم; onion بصلة بصلات;
    potato حبة_بطاطس حبات_بطاطس بطاطس; carrot جزرة جزرات; cucumber خيارة خيارات;
    hammer مطرقة مطارق; axe فأس فؤوس; brush فرشاة فرش; table طاولة طاولات; mirror مرآة مرايا;
    carpet سجادة سجادات; cupboard خزانة خزائن; letter رسالة رسائل; newspaper صحيفة صحف;
    map خريطة خرائط; magazine مجلة مجلات; hat قبعة قبعات; bag حقيبة حقائب; ball كرة كرات;
    doll دمية دمى; kite طائرة طائرات; piano آلة_بيانو آلات_بيانو; rose وردة ورود;
    tulip زهرة_توليب أزهار_توليب; lily زنبقة زنابق; sunflower زهرة_عباد_شمس أزهار_عباد_شمس;
    vehicle مركبة مركبات; fruit حبة_فاكهة حبات_فاكهة فواكه; vegetable حبة_خضار حبات_خضار خضراوات;
    tool أداة أدوات; toy لعبة ألعاب; instrument آلة آلات; flower زهرة أزهار
""")
NOUNS = MASCULINE | FEMININE
# masculine singulars that mean the whole kind
COLLECTIVES = glossary("""
    apple تفاح; lemon ليمون; pear إجاص; orange برتقال; banana موز; melon شمام; onion بصل;
    carrot جزر; cucumber خيار; cabbage ملفوف; carpet سجاد
""")
KINDS = glossary("goat ماعز; duck بط")  # only as the whole kind
QUALITIES = {"kite": "paper", "instrument": "musical"}  # adjectives that are part of the noun
DIPTOTES = frozenset(
    """
    أرانب قوارب سكاكين مناشير سلالم كراسي مصابيح قواميس معاطف فساتين مطارق مرايا خزائن رسائل خرائط
    حقائب دمى زنابق طماطم بطاطس فواكه
    """.split()
)
# masculine form, and the stem before endings if different
LOOKS = table("""
    big كبير; small صغير; strong قوي; beautiful جميل; hungry جائع; old قديم; new جديد; fast سريع;
    slow بطيء بطيئ; fresh طازج; cheap رخيص; expensive غال غالي; heavy ثقيل; light خفيف; long طويل;
    short قصير; ugly قبيح; brown بني; clean نظيف; dirty متسخ; paper ورقي; musical موسيقي
""")
COLOURS = table("""
    black أسود سوداء; white أبيض بيضاء; red أحمر حمراء; green أخضر خضراء; yellow أصفر صفراء;
    blue أزرق زرقاء
""")
# masculine past, feminine past, jussive; preposition before a person
VERBS = table("""
    buy اشترى اشترت يشتر; find وجد وجدت يجد; lose فقد فقدت يفقد; eat أكل أكلت يأكل;
    cook طبخ طبخت يطبخ; cut قطع قطعت يقطع; wash غسل غسلت يغسل; clean نظف نظفت ينظف;
    carry حمل حملت يحمل; draw رسم رسمت يرسم; paint دهن دهنت يدهن; read قرأ قرأت يقرأ;
    break كسر كسرت يكسر; repair أصلح أصلحت يصلح; hide خبأ خبأت يخبئ; feed أطعم أطعمت يطعم;
    plant زرع زرعت يزرع; give أعطى أعطت يعط ل; show عرض عرضت يعرض على; sell باع باعت يبع ل;
    send أرسل أرسلت يرسل إلى; bring أحضر أحضرت يحضر ل; meet التقى التقت يلتق ب;
    help ساعد ساعدت يساعد; call اتصل اتصلت يتصل ب; visit زار زارت يزر; greet سلم سلمت يسلم على;
    wait انتظر انتظرت ينتظر; look بحث بحثت يبحث عن; thank شكر شكرت يشكر; go ذهب ذهبت يذهب;
    travel سافر سافرت يسافر; return رجع رجعت يرجع; work عمل عملت يعمل; sleep نام نامت ينم;
    sing غنى غنت يغن; dance رقص رقصت يرقص; run ركض ركضت يركض; rest استراح استراحت يسترح;
    perform قام قامت يقم; be كان كانت يكن
""")
PRESENT = glossary("like يحب; have يملك; live يعيش")
# paraphrases with a preposition for verbs that take a bare person: performed a visit to
ROUNDABOUT = table("visit ب زيارة; help ب مساعدة; thank ب شكر; wait في انتظار")
NUMBERS = table("3 ثلاث ثلاثة; 4 أربع أربعة; 5 خمس خمسة; 6 ست ستة")
SEASONS = glossary("spring الربيع; summer الصيف; autumn الخريف; winter الشتاء")
DAYS = glossary("""
    Monday الاثنين; Tuesday الثلاثاء; Wednesday الأربعاء; Thursday الخميس; Friday الجمعة;
    Saturday السبت; Sunday الأحد
""")
TIMES = {
    "yesterday": ("أمس", "ADV"),
    "last week": ("الأسبوع الماضي", "NOUN ADJ"),
    "morning": ("صباحا", "ADV"),
    "evening": ("مساء", "ADV"),
    "night": ("ليلا", "ADV"),
    **{season: (f"في {noun}", "ADP NOUN") for season, noun in SEASONS.items()},
    **{day: (f"يوم {noun}", "NOUN NOUN") for day, noun in DAYS.items()},
    **{hour: (f"الساعة {hour}", "NOUN NUM") for hour in CLOCK},
    **{year: (f"عام {year}", "NOUN NUM") for year in YEARS},
}
# forms at the beginning of a sentence
FIRST_TIMES = TIMES | {
    "morning": ("في الصباح", "ADP NOUN"),
    "evening": ("في المساء", "ADP NOUN"),
    "night": ("في الليل", "ADP NOUN"),
    **{time: (f"في {TIMES[time][0]}", "ADP NOUN NUM") for time in (*CLOCK, *YEARS)},
}
# companies are feminine, a bank is not
FEMALE = frozenset(
    {agent for agent, gender in GENDER.items() if gender == "f"} | {*ORGANISATIONS} - {"Alfa Bank"}
)
COMMA = Word("،", "PUNCT")
AND = Word("و", "CCONJ", glued=True)
# nominative, accusative and genitive of the singular and plural; dual
PLAIN, ACCUSATIVE, TWO, TWO_ACCUSATIVE = "", "ا", "ان", "ين"


def clause(scene: Scene, order: str) -> Words:
    """Builds a clause; if a bare person would follow the agent, changes the order or the verb."""
    first, after = _circumstances(scene, order)
    agent = _agent(scene.agent, "agent")
    if scene.verb == "have":
        return first + _owning(scene, order) + agent + _thing(scene, order) + after
    bare = _is_bare(scene)
    if bare and order != "plain":
        verb, rest = _roundabout(scene)
        return first + verb + agent + rest + after
    verb, rest = _verb(scene), _objects(scene, order)
    if bare or order == "shift":
        return first + agent + verb + rest + after
    return first + verb + agent + rest + after


def question(scene: Scene, asked: str, order: str) -> Words:
    first, after = _circumstances(scene, order, without=asked)
    if asked == "agent":
        return first + _who(scene, order) + _objects(scene, order) + after
    agent = _agent(scene.agent, "agent")
    if asked == "person":
        if scene.verb in ROUNDABOUT:
            verb = _whom(scene.verb, scene.agent in FEMALE)
            return first + verb + agent + after
        return first + _to_whom(VERBS[scene.verb][3]) + _verb(scene) + agent + _thing(scene) + after
    if asked == "number":
        assert scene.thing is not None
        asking = (Word("كم", "PRON"), *_singular(scene.thing, scene.look, ACCUSATIVE))
    elif asked == "thing":
        asking = phrase("ماذا", "PRON")
    elif asked == "time":
        asking = phrase("متى", "ADV")
    else:
        asking = phrase("إلى أين", "ADP ADV") if scene.verb in MOVES else phrase("أين", "ADV")
    if asked in ("thing", "number"):
        verb = _owning(scene, order) if scene.verb == "have" else _verb(scene)
        return first + asking + verb + agent + _receiver(scene) + after
    if _is_bare(scene):
        verb, rest = _roundabout(scene)
        return first + asking + verb + agent + rest + after
    if scene.verb == "have":
        return first + asking + _owning(scene, "shift") + agent + _thing(scene, "shift") + after
    return first + asking + _verb(scene) + agent + _objects(scene, "plain") + after


def _circumstances(scene: Scene, order: str, without: str = "") -> tuple[Words, Words]:
    """Returns time and place as (words before the clause, words after it), by the word order."""
    place = _place(scene) if without != "place" else ()
    time = scene.time if without != "time" else None
    if order == "front" and time:
        return (*phrase(*FIRST_TIMES[time], "time"), COMMA), place
    after = phrase(*TIMES[time], "time") if time else ()
    if order == "front" and place and scene.verb not in (*MOVES, "live"):
        return (*place, COMMA), after
    return (), after + place if order == "shift" else place + after


def _is_bare(scene: Scene) -> bool:
    """Whether adjacent agent and person could be read as one: Anna Maria, Felix the baker."""
    if scene.verb not in ROUNDABOUT:
        return False
    return scene.person in PEOPLE or (scene.agent in FEMALE) == (scene.person in FEMALE)


def _verb(scene: Scene) -> Words:
    return _finite(scene.verb, scene.agent in FEMALE, scene.negated)


@cache
def _finite(verb: str, female: bool, negated: bool, upos: str = "VERB") -> Words:
    if verb in PRESENT:
        form, particle = PRESENT[verb], "لا"
    elif negated:
        form, particle = VERBS[verb][2], "لم"
    else:
        return phrase(VERBS[verb][female], upos)
    word = Word("ت" + form[1:] if female else form, upos)
    return (Word(particle, "PART"), word) if negated else (word,)


def _owning(scene: Scene, order: str) -> Words:
    """Returns the words of possession: "with the owner", or in "shift" a verb of possessing."""
    if order == "shift":
        return _verb(scene)
    return phrase("ليس لدى", "AUX ADP") if scene.negated else phrase("لدى", "ADP")


def _roundabout(scene: Scene) -> tuple[Words, Words]:
    """Returns a light verb and the words after the agent: performed ... a visit to the person."""
    verb, upos = ("be", "AUX") if scene.verb == "wait" else ("perform", "VERB")
    preposition, noun = ROUNDABOUT[scene.verb]
    assert scene.person is not None
    deed = (Word(preposition, "ADP", glued=preposition == "ب"), Word(noun, "NOUN"))
    person = _agent(scene.person, "person")
    return _finite(verb, scene.agent in FEMALE, scene.negated, upos), deed + person


def _who(scene: Scene, order: str) -> Words:
    """Returns "who" and the verb; in the longer form if the object could be the subject."""
    if scene.verb == "have":
        if order == "shift":
            return phrase("من يملك", "PRON VERB")
        return (Word("من", "PRON"), Word("لدي", "ADP", glued=True), Word("ه", "PRON"))
    longer = order == "shift" or scene.verb in ROUNDABOUT
    who = phrase("من الذي", "PRON PRON") if longer else phrase("من", "PRON")
    return who + _finite(scene.verb, False, False)


@cache
def _whom(verb: str, female: bool) -> Words:
    """Returns the words of "whom": "who is it that ... him"."""
    who = phrase("من الذي", "PRON PRON")
    return (*who, Word(VERBS[verb][female], "VERB", glued=True), Word("ه", "PRON"))


@cache
def _to_whom(preposition: str) -> Words:
    if preposition == "عن":
        return phrase("عمن", "PRON")
    return (Word(preposition, "ADP", glued=len(preposition) == 1), Word("من", "PRON"))


def _objects(scene: Scene, order: str) -> Words:
    """Returns the thing and the receiver; in "shift" the receiver comes first."""
    if scene.person is None:
        return _thing(scene, order)
    if order == "shift":
        return _receiver(scene, bare=scene.verb == "give") + _thing(scene)
    return _thing(scene) + _receiver(scene)


def _receiver(scene: Scene, bare: bool = False) -> Words:
    if scene.person is None:
        return ()
    preposition = VERBS[scene.verb][3:]
    if bare or not preposition:
        return _agent(scene.person, "person", "ا" if scene.person == "Karim" else "")
    return _to(preposition[0], scene.person)


@cache
def _to(preposition: str, person: str) -> Words:
    """Joins the preposition to the person, with a stroke before Latin letters."""
    if person in TRADES and preposition == "ل":
        return phrase("لل" + WORKERS[person][2:], "NOUN", "person")
    glued = len(preposition) == 1
    if glued and person not in TRADES and person not in NAMES:
        preposition, glued = preposition + "ـ", False
    return (Word(preposition, "ADP", role="person", glued=glued), *_agent(person, "person"))


def _thing(scene: Scene, order: str = "shift") -> Words:
    if scene.thing is None:
        return ()
    if scene.verb == "like":
        return _all(scene.thing, scene.look)
    case = PLAIN if scene.verb == "have" and order != "shift" else ACCUSATIVE
    return _counted(scene.thing, scene.number, scene.look, scene.negated, case)


@cache
def _counted(thing: str, number: int | None, look: str | None, negated: bool, case: str) -> Words:
    if negated:
        return phrase("أي", "DET", "thing") + _singular(thing, look, PLAIN)
    if number is None:
        text, female = _many(thing)
        return _noun(thing, text, female, case, look)
    if number == 1:
        return _singular(thing, look, case)
    if number == 2:
        return _singular(thing, look, TWO_ACCUSATIVE if case else TWO)
    if number > 10:
        return phrase(str(number), "NUM", "number") + _singular(thing, look, ACCUSATIVE)
    numeral = NUMBERS[str(number)][thing in MASCULINE]
    return phrase(numeral, "NUM", "number") + _noun(thing, NOUNS[thing][1], True, PLAIN, look)


def _many(thing: str) -> tuple[str, bool]:
    """Returns the plural form of the thing, and whether its adjectives are feminine."""
    if thing in COLLECTIVES:
        return COLLECTIVES[thing], False
    return NOUNS[thing][-1], True


@cache
def _singular(thing: str, look: str | None, ending: str) -> Words:
    return _noun(thing, NOUNS[thing][0], thing in FEMININE, ending, look)


def _noun(thing: str, text: str, female: bool, ending: str, look: str | None) -> Words:
    """Builds an indefinite noun; before another noun it loses the `n` of the dual and tanwin."""
    head, *of = text.split()
    if ending in (TWO, TWO_ACCUSATIVE):
        head = (head[:-1] + "ت" if head[-1] == "ة" else head) + (ending[0] if of else ending)
    elif not (of or head[-1] == "ة" or head.endswith("ات") or head in DIPTOTES):
        head += ending
    nouns = tuple(Word(noun, "NOUN", role="thing") for noun in (head, *of))
    looks = (_adjective(each, female, ending) for each in (QUALITIES.get(thing), look) if each)
    return nouns + tuple(Word(each, "ADJ", role="thing") for each in looks)


def _adjective(look: str, female: bool, ending: str) -> str:
    dual = ending in (TWO, TWO_ACCUSATIVE)
    if look in COLOURS:
        base, feminine = COLOURS[look]
        if dual:
            return (feminine[:-1] + "و" if female else base) + ending
        return feminine if female else base
    base, stem = LOOKS[look][0], LOOKS[look][-1]
    if female:
        return stem + "ت" + ending if dual else stem + "ة"
    return stem + ending if ending else base


@cache
def _all(thing: str, look: str | None) -> Words:
    """Builds the definite noun phrase for a whole kind."""
    text, female = (KINDS[thing], False) if thing in KINDS else _many(thing)
    *of, last = text.split()
    nouns = phrase(" ".join((*of, "ال" + last)), "NOUN " * len(text.split()), "thing")
    looks = (_adjective(each, female, PLAIN) for each in (QUALITIES.get(thing), look) if each)
    return nouns + tuple(Word("ال" + each, "ADJ", role="thing") for each in looks)


@cache
def _agent(concept: str, role: str, ending: str = "") -> Words:
    if concept in TRADES:
        return phrase(WORKERS[concept], "NOUN", role)
    return name(NAMES.get(concept, concept), concept, role, ending)


def _place(scene: Scene) -> Words:
    return _located(scene.place, scene.verb in MOVES) if scene.place else ()


@cache
def _located(place: str, goal: bool) -> Words:
    preposition = "إلى" if goal else "على" if place == "beach" else "في"
    if place in SITES:
        return phrase(f"{preposition} {SITES[place]}", "ADP NOUN", "place")
    return phrase(preposition, "ADP", "place") + name(NAMES[place], place, "place")


ARABIC = Language(
    code="ar",
    iso639_3="ara",
    name="Arabic",
    clause=clause,
    question=question,
    conjunctions=((COMMA, AND), (COMMA, Word("بينما", "SCONJ"))),
    asking=("", "؟"),
    capital=lambda text: text,
)
