"""Russian: case, gender, animacy and aspect; quantified nouns; possession as being at somebody."""

from __future__ import annotations

from functools import cache

from xt_jax.mini.concepts import CITIES, CLOCK, GENDER, KIND_OF, MOVES, TRADES, YEARS
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Word, Words, glossary, name, phrase, table

# singular nominative and genitive, plural nominative and genitive, gender
NOUNS = table("""
    dog собака собаки собаки собак f; cat кошка кошки кошки кошек f;
    horse лошадь лошади лошади лошадей f; cow корова коровы коровы коров f;
    goat коза козы козы коз f; rabbit кролик кролика кролики кроликов m;
    duck утка утки утки уток f; donkey осёл осла ослы ослов m; car машина машины машины машин f;
    bicycle велосипед велосипеда велосипеды велосипедов m; boat лодка лодки лодки лодок f;
    bus автобус автобуса автобусы автобусов m; lorry грузовик грузовика грузовики грузовиков m;
    train поезд поезда поезда поездов m; apple яблоко яблока яблоки яблок n;
    lemon лимон лимона лимоны лимонов m; pear груша груши груши груш f;
    orange апельсин апельсина апельсины апельсинов m; banana банан банана бананы бананов m;
    melon дыня дыни дыни дынь f; tomato помидор помидора помидоры помидоров m;
    onion луковица луковицы луковицы луковиц f; carrot морковка морковки морковки морковок f;
    potato картофелина картофелины картофелины картофелин f;
    cucumber огурец огурца огурцы огурцов m;
    cabbage кочан_капусты кочана_капусты кочаны_капусты кочанов_капусты m;
    hammer молоток молотка молотки молотков m; knife нож ножа ножи ножей m;
    saw пила пилы пилы пил f; axe топор топора топоры топоров m; brush щётка щётки щётки щёток f;
    ladder лестница лестницы лестницы лестниц f; chair стул стула стулья стульев m;
    table стол стола столы столов m; bed кровать кровати кровати кроватей f;
    lamp лампа лампы лампы ламп f; mirror зеркало зеркала зеркала зеркал n;
    carpet ковёр ковра ковры ковров m; cupboard шкаф шкафа шкафы шкафов m;
    book книга книги книги книг f; letter письмо письма письма писем n;
    newspaper газета газеты газеты газет f; map карта карты карты карт f;
    magazine журнал журнала журналы журналов m; dictionary словарь словаря словари словарей m;
    shirt рубашка рубашки рубашки рубашек f; coat куртка куртки куртки курток f;
    hat шляпа шляпы шляпы шляп f; dress платье платья платья платьев n;
    scarf шарф шарфа шарфы шарфов m; bag сумка сумки сумки сумок f; ball мяч мяча мячи мячей m;
    doll кукла куклы куклы кукол f; kite змей змея змеи змеев m;
    drum барабан барабана барабаны барабанов m; guitar гитара гитары гитары гитар f;
    piano рояль рояля рояли роялей m; violin скрипка скрипки скрипки скрипок f;
    flute флейта флейты флейты флейт f; rose роза розы розы роз f;
    tulip тюльпан тюльпана тюльпаны тюльпанов m; lily лилия лилии лилии лилий f;
    sunflower подсолнух подсолнуха подсолнухи подсолнухов m;
    animal животное животного животные животных n; vehicle средство средства средства средств n;
    fruit фрукт фрукта фрукты фруктов m; vegetable овощ овоща овощи овощей m;
    tool инструмент инструмента инструменты инструментов m; toy игрушка игрушки игрушки игрушек f;
    instrument инструмент инструмента инструменты инструментов m;
    flower цветок цветка цветы цветов m;
    onions лук лука - - m; potatoes картофель картофеля - - m; carrots морковь моркови - - f;
    cabbages капуста капусты - - f
""")
# These things have a mass noun when not counted, and another word for a single one.
SUBSTANCES = glossary("onion onions; potato potatoes; carrot carrots; cabbage cabbages")
BY_PIECE = ("big", "small")  # looks of pieces
ANIMATE = ("animal", "doll", "kite")  # in grammar
LOOKS = glossary("""
    black чёрный; white белый; big большой; small маленький; strong сильный; beautiful красивый;
    hungry голодный; red красный; green зелёный; yellow жёлтый; old старый; new новый;
    fast быстрый; slow медленный; fresh свежий; cheap дешёвый; expensive дорогой; heavy тяжёлый;
    light лёгкий; long длинный; short короткий; ugly уродливый; brown коричневый; clean чистый;
    dirty грязный; blue синий
""")
FIXED = glossary("""
    kite воздушный; vehicle транспортный; tool рабочий; instrument музыкальный
""")  # adjectives that belong to the noun
ADJECTIVE = ("m", "n", "f", "f acc", "gen", "f gen", "pl", "pl gen")  # order of the endings
ENDINGS = table("""
    ый ый ое ая ую ого ой ые ых; ой ой ое ая ую ого ой ие их; кий ий ое ая ую ого ой ие их;
    жий ий ее ая ую его ей ие их; чий ий ее ая ую его ей ие их; ий ий ее яя юю его ей ие их
""")
# masculine: perfective past, imperfective past, case of the person
VERBS = table("""
    buy купил покупал; find нашёл нашёл; lose потерял терял; eat съел ел; cook приготовил готовил;
    cut порезал резал; cut_flower срезал срезал; wash вымыл мыл; wash_clothing постирал стирал;
    clean почистил чистил; carry нёс носил; draw нарисовал рисовал; paint покрасил красил;
    read прочитал читал; break сломал ломал; break_lamp разбил разбивал;
    break_mirror разбил разбивал; break_carpet испортил портил; break_ball испортил портил;
    repair починил чинил; hide спрятал прятал; feed накормил кормил; plant посадил сажал;
    give дал давал dat; show показал показывал dat; sell продал продавал dat;
    send отправил отправлял dat; bring принёс приносил dat; meet встретил встретил acc;
    help помог помогал dat; call позвонил звонил dat; visit навестил навещал acc;
    greet поздоровался здоровался ins; wait ждал ждал acc; look искал искал acc;
    thank поблагодарил благодарил acc; go пошёл пошёл; go_city поехал поехал;
    go_airport поехал поехал; go_village поехал поехал; travel ездил ездил;
    return вернулся вернулся; work работал работал; sleep спал спал; sing пел пел;
    dance танцевал танцевал; run бегал бегал; rest отдыхал отдыхал; like любит любит;
    live живёт живёт
""")
# imperfective with an unbounded plural (ate apples)
ATELIC = (
    *("eat", "cook", "cut", "wash", "clean", "draw", "paint", "read", "repair", "feed"),
    "plant",
)
FEMININE = {"шёл": "шла", "ёс": "есла", "ог": "огла", "лся": "лась", "л": "ла"}
NUMBERS = {2: "два", 3: "три", 4: "четыре", 5: "пять", 6: "шесть"}
OBLIQUE = {2: "двух", 3: "трёх", 4: "четырёх"}
NAMES = glossary("""
    Anna Анна; Maria Мария; Clara Клара; Nora Нора; Lena Лена; Eva Ева; Olga Ольга; Sofia София;
    Rosa Роза; Irina Ирина; Leila Лейла; Yasmin Ясмина; Peter Пётр; Thomas Томас; Felix Феликс;
    Oscar Оскар; Hugo Хьюго; Marco Марко; Max Макс; Victor Виктор; Ivan Иван; Omar Омар;
    Karim Карим; Anton Антон; teacher учительница; nurse медсестра; singer певица; lawyer адвокат;
    student студентка; neighbour соседка; doctor врач; cook повар; driver водитель; farmer фермер;
    engineer инженер; baker пекарь; writer писатель; gardener садовник
""")
CASES = ("gen", "dat", "acc", "ins")
DECLENSIONS = table("""
    ия ии ии ию ией; ка ки ке ку кой; га ги ге гу гой; ца цы це цу цей; а ы е у ой; ь я ю я ем;
    о о о о о
""")  # of a name; any other is like Иван
INVARIABLE = ("Hugo", "Marco")
FIRMS = {"Vega Motors": "f", "Luna Books": "f"}  # agree as `компания`, others are masculine
# location, and destination if different
PLACES = table("""
    Berlin в_Берлине в_Берлин; Ankara в_Анкаре в_Анкару; Madrid в_Мадриде в_Мадрид;
    London в_Лондоне в_Лондон; Vienna в_Вене в_Вену; Athens в_Афинах в_Афины;
    Cairo в_Каире в_Каир; Moscow в_Москве в_Москву; Beijing в_Пекине в_Пекин; Delhi в_Дели;
    New_York в_Нью-Йорке в_Нью-Йорк; Hong_Kong в_Гонконге в_Гонконг;
    Buenos_Aires в_Буэнос-Айресе в_Буэнос-Айрес; Kuala_Lumpur в_Куала-Лумпуре в_Куала-Лумпур;
    Cape_Town в_Кейптауне в_Кейптаун; Rio_de_Janeiro в_Рио-де-Жанейро; park в_парке в_парк;
    market на_рынке на_рынок; kitchen на_кухне на_кухню; garden в_саду в_сад;
    station на_вокзале на_вокзал; school в_школе в_школу; library в_библиотеке в_библиотеку;
    museum в_музее в_музей; hotel в_отеле в_отель; office в_офисе в_офис; forest в_лесу в_лес;
    village в_деревне в_деревню; hospital в_больнице в_больницу; factory на_заводе на_завод;
    theatre в_театре в_театр; restaurant в_ресторане в_ресторан; bakery в_пекарне в_пекарню;
    farm на_ферме на_ферму; beach на_пляже на_пляж; harbour в_порту в_порт;
    airport в_аэропорту в_аэропорт; stadium на_стадионе на_стадион; church в_церкви в_церковь;
    castle в_замке в_замок
""")
DAYS = glossary("""
    Monday в_понедельник; Tuesday во_вторник; Wednesday в_среду; Thursday в_четверг;
    Friday в_пятницу; Saturday в_субботу; Sunday в_воскресенье
""")
PARTS = glossary("""
    morning утром; evening вечером; night ночью; spring весной; summer летом; autumn осенью;
    winter зимой
""")
TIMES = {
    "yesterday": ("вчера", "ADV"),
    "last week": ("на прошлой неделе", "ADP ADJ NOUN"),
    **{part: (text, "NOUN") for part, text in PARTS.items()},
    **{day: (text, "ADP NOUN") for day, text in DAYS.items()},
    **{hour: (f"в {hour}", "ADP NUM") for hour in CLOCK},
    **{year: (f"в {year} году", "ADP NUM NOUN") for year in YEARS},
}
WHO = {
    "nom": phrase("кто", "PRON"),
    "gen": phrase("у кого", "ADP PRON"),
    "dat": phrase("кому", "PRON"),
    "acc": phrase("кого", "PRON"),
    "ins": phrase("с кем", "ADP PRON"),
}
WHAT = phrase("что", "PRON")


def clause(scene: Scene, order: str) -> Words:
    if scene.verb == "have":
        return _possession(scene, order, _who(scene.agent, "gen", "agent"))
    if scene.verb == "like" and order == "shift":
        return _who(scene.agent, "dat", "agent") + _pleases(scene) + _thing(scene, "nom")
    gender = FIRMS.get(scene.agent, GENDER.get(scene.agent, "m"))
    subject = _who(scene.agent, "nom", "agent")
    return _arrange(scene, order, subject, _finite(scene, gender), _object(scene))


def question(scene: Scene, asked: str, order: str) -> Words:
    shift = order == "shift"
    first = _question_words(scene, asked)
    if scene.verb == "have":
        return _possession_question(scene, asked, shift, first)
    if scene.verb == "like" and shift:
        if asked == "agent":
            return WHO["dat"] + _pleases(scene) + _thing(scene, "nom")
        return WHAT + phrase("нравится", "VERB") + _who(scene.agent, "dat", "agent")
    thing = () if asked in ("thing", "number") else _object(scene)
    if asked == "agent":
        return first + _arrange(scene, order, (), _finite(scene, "m"), thing)
    gender = FIRMS.get(scene.agent, GENDER.get(scene.agent, "m"))
    subject, verb = _who(scene.agent, "nom", "agent"), _finite(scene, gender)
    rest = _without(scene, asked)
    if thing or rest.person or rest.place:
        return first + _arrange(rest, order, subject, verb, thing)
    time = _time(rest)
    return first + (subject + verb + time if shift else time + verb + subject)


def _without(scene: Scene, asked: str) -> Scene:
    if asked == "person":
        return scene._replace(person=None)
    if asked == "place":
        return scene._replace(place=None)
    return scene._replace(time=None) if asked == "time" else scene


def _question_words(scene: Scene, asked: str) -> Words:
    if asked == "agent":
        return WHO["gen" if scene.verb == "have" else "nom"]
    if asked == "person":
        return WHO[VERBS[scene.verb][2]]
    if asked == "thing":
        return WHO["acc"] if scene.verb == "feed" else WHAT
    if asked == "number":
        assert scene.thing is not None
        return phrase("сколько", "NUM") + _noun(scene.thing, scene.look, True, "gen")
    goal = asked == "place" and scene.verb in MOVES
    return phrase("куда" if goal else "где" if asked == "place" else "когда", "ADV")


def _arrange(scene: Scene, order: str, subject: Words, verb: Words, thing: Words) -> Words:
    """Orders the parts of a clause: time before the verb and place last, or as `order` varies."""
    time, place, person = _time(scene), _place(scene), _person(scene)
    objects = person + thing
    if order == "front":
        if time:
            return time + subject + verb + objects + place
        if place and scene.verb not in MOVES:
            inverted = not (objects or scene.negated)
            return place + (verb + subject if inverted else subject + verb + objects)
    elif order == "shift":
        if objects and place:
            return subject + time + place + verb + objects
        if time:
            if thing and scene.time not in CLOCK:
                return subject + verb + time + objects
            return subject + verb + objects + place + time
        if not place and scene.person in NAMES and scene.person not in INVARIABLE:
            if thing or scene.negated:
                return person + subject + verb + thing
            return person + verb + subject if subject else verb + person
    return subject + time + verb + objects + place


def _possession(scene: Scene, order: str, owner: Words) -> Words:
    after = _time(scene) + _place(scene)
    if scene.negated:
        thing, none = _thing(scene, "gen"), phrase("нет", "VERB")
        return (thing + owner + none if order == "shift" else owner + none + thing) + after
    bare = order == "shift" and scene.number not in (None, 1)
    return owner + (() if bare else phrase("есть", "VERB")) + _thing(scene, "nom") + after


def _possession_question(scene: Scene, asked: str, shift: bool, first: Words) -> Words:
    owner, after = _who(scene.agent, "gen", "agent"), _time(scene) + _place(scene)
    if asked == "agent":
        return _possession(scene, "shift" if shift else "plain", first)
    if asked == "number":
        return (first[:1] + owner + first[1:] if shift else first + owner) + after
    exists = phrase("есть", "VERB")
    return first + (owner + exists if shift else exists + owner) + after


def _pleases(scene: Scene) -> Words:
    verb = phrase("нравится" if scene.thing in SUBSTANCES else "нравятся", "VERB")
    return (Word("не", "PART"), *verb) if scene.negated else verb


def _finite(scene: Scene, gender: str) -> Words:
    unbounded = scene.number is None and scene.thing is not None and scene.verb in ATELIC
    target = scene.place if scene.verb in MOVES else scene.thing
    return _past(scene.verb, target, gender, unbounded or scene.negated, scene.negated)


@cache
def _past(verb: str, target: str | None, gender: str, imperfective: bool, negated: bool) -> Words:
    """Builds the past form; the choice of the verb may depend on the thing or place `target`."""
    kind = "city" if target in CITIES else KIND_OF.get(target or "", target)
    row = VERBS.get(f"{verb} {target}") or VERBS.get(f"{verb} {kind}") or VERBS[verb]
    text = row[1 if imperfective else 0]
    ending = next((e for e in FEMININE if text.endswith(e)), "")
    if gender == "f" and ending:
        text = text.removesuffix(ending) + FEMININE[ending]
    return phrase(f"не {text}", "PART VERB") if negated else phrase(text, "VERB")


def _object(scene: Scene) -> Words:
    """Builds the thing as an object: in the genitive if negated, else in the accusative."""
    return _thing(scene, "gen" if scene.negated and scene.verb != "like" else "acc")


def _thing(scene: Scene, case: str) -> Words:
    return _counted(scene.thing, scene.number, scene.look, case) if scene.thing else ()


@cache
def _counted(thing: str, number: int | None, look: str | None, case: str) -> Words:
    if number is None:
        if thing in SUBSTANCES and look not in BY_PIECE:
            return _noun(SUBSTANCES[thing], look, False, case)
        return _noun(thing, look, True, case)
    if number == 1:
        return _noun(thing, look, False, case)
    if number > 4:
        numeral = phrase(NUMBERS.get(number, str(number)), "NUM", "number")
        return numeral + _noun(thing, look, True, "gen")
    if case == "acc" and _is_animate(thing):
        return phrase(OBLIQUE[number], "NUM", "number") + _noun(thing, look, True, "gen")
    feminine = NOUNS[thing][4] == "f"
    numeral = phrase("две" if number == 2 and feminine else NUMBERS[number], "NUM", "number")
    adjectives = _adjectives(thing, look, "pl" if feminine else "pl gen")
    text = NOUNS[thing][3 if thing == "animal" else 1]
    return numeral + adjectives + phrase(text, _nouns(text), "thing")


@cache
def _noun(thing: str, look: str | None, plural: bool, case: str) -> Words:
    nominative, genitive, nominatives, genitives, gender = NOUNS[thing]
    if case == "acc" and (plural or gender != "f"):
        case = "gen" if _is_animate(thing) and (plural or gender == "m") else "nom"
    if plural:
        text = genitives if case == "gen" else nominatives
        form = "pl gen" if case == "gen" else "pl"
    else:
        forms = {"nom": nominative, "gen": genitive, "acc": _accusative(nominative)}
        text = forms[case]
        oblique = "f " + case if gender == "f" else case
        form = gender if case == "nom" else oblique
    return _adjectives(thing, look, form) + phrase(text, _nouns(text), "thing")


def _accusative(feminine: str) -> str:
    return feminine[:-1] + {"а": "у", "я": "ю"}.get(feminine[-1], feminine[-1])


def _nouns(text: str) -> str:
    return " ".join("NOUN" for _ in text.split())


def _is_animate(thing: str) -> bool:
    return thing in ANIMATE or KIND_OF.get(thing) in ANIMATE


def _adjectives(thing: str, look: str | None, form: str) -> Words:
    words: Words = ()
    for text in (LOOKS.get(look or ""), FIXED.get(thing)):
        if text:
            endings = next(row for end, row in ENDINGS.items() if text.endswith(end))
            words += phrase(text[:-2] + endings[ADJECTIVE.index(form)], "ADJ", "thing")
    return words


@cache
def _who(concept: str, case: str, role: str) -> Words:
    text = NAMES.get(concept, concept)
    if concept in NAMES and case != "nom":
        text = _declined(text.replace("Пётр", "Петр"), case)
    words = phrase(text, "NOUN", role) if concept in TRADES else name(text, concept, role)
    if case == "gen":
        return (Word("у", "ADP", role=role), *words)
    if case == "ins":
        return (Word("со" if text.startswith("ст") else "с", "ADP", role=role), *words)
    return words


def _declined(text: str, case: str) -> str:
    ending = next((e for e in DECLENSIONS if text.endswith(e)), "")
    return (
        text.removesuffix(ending)
        + DECLENSIONS.get(ending, ["а", "у", "а", "ом"])[CASES.index(case)]
    )


def _person(scene: Scene) -> Words:
    return _who(scene.person, VERBS[scene.verb][2], "person") if scene.person else ()


def _place(scene: Scene) -> Words:
    return _located(scene.place, scene.verb in MOVES) if scene.place else ()


@cache
def _located(place: str, goal: bool) -> Words:
    preposition, noun = PLACES[place][-1 if goal else 0].split()
    words = name(noun, place, "place") if place in CITIES else phrase(noun, "NOUN", "place")
    return phrase(preposition, "ADP", "place") + words


def _time(scene: Scene) -> Words:
    return phrase(*TIMES[scene.time], "time") if scene.time else ()


RUSSIAN = Language(
    code="ru",
    iso639_3="rus",
    name="Russian",
    clause=clause,
    question=question,
    conjunctions=(phrase(", а", "PUNCT CCONJ"), phrase(", но", "PUNCT CCONJ")),
)
