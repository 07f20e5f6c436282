"""Mandarin Chinese: time and place before the verb, aspect after it, classifiers for things."""

from __future__ import annotations

from functools import cache

from xt_jax.mini import concepts as world
from xt_jax.mini.concepts import KIND_OF, MOVES, STATES
from xt_jax.mini.scenes import Scene
from xt_jax.mini.words import Language, Words, glossary, name, phrase, table

PEOPLE = glossary("""
    Anna 安娜; Maria 玛丽亚; Clara 克拉拉; Nora 诺拉; Lena 莱娜; Eva 伊娃; Olga 奥尔加;
    Sofia 索菲亚; Rosa 罗莎; Irina 伊琳娜; Leila 莱拉; Yasmin 雅斯敏; Peter 彼得; Thomas 托马斯;
    Felix 菲利克斯; Oscar 奥斯卡; Hugo 雨果; Marco 马可; Max 马克斯; Victor 维克多; Ivan 伊万;
    Omar 奥马尔; Karim 卡里姆; Anton 安东
""")
CITIES = glossary("""
    Berlin 柏林; Ankara 安卡拉; Madrid 马德里; London 伦敦; Vienna 维也纳; Athens 雅典; Cairo 开罗;
    Moscow 莫斯科; Beijing 北京; Delhi 德里; New_York 纽约; Hong_Kong 香港;
    Buenos_Aires 布宜诺斯艾利斯; Kuala_Lumpur 吉隆坡; Cape_Town 开普敦; Rio_de_Janeiro 里约热内卢
""")
JOBS = glossary("""
    teacher 老师; nurse 护士; singer 歌手; lawyer 律师; student 学生; neighbour 邻居; doctor 医生;
    cook 厨师; driver 司机; farmer 农夫; engineer 工程师; baker 面包师; writer 作家; gardener 园丁
""")
SITES = glossary("""
    park 公园; market 市场; kitchen 厨房; garden 花园; station 车站; school 学校; library 图书馆;
    museum 博物馆; hotel 酒店; office 办公室; forest 森林; village 村庄; hospital 医院;
    factory 工厂; theatre 剧院; restaurant 餐厅; bakery 面包店; farm 农场; beach 沙滩;
    harbour 港口; airport 机场; stadium 体育场; church 教堂; castle 城堡
""")
# what follows the place after 在
INSIDE = glossary("kitchen 里; garden 里; forest 里; village 里; castle 里; beach 上")
# noun, classifier
THINGS = table("""
    dog 狗 只; cat 猫 只; horse 马 匹; cow 奶牛 头; goat 山羊 只; rabbit 兔子 只; duck 鸭子 只;
    donkey 驴 头; car 汽车 辆; bicycle 自行车 辆; boat 船 条; bus 公交车 辆; lorry 卡车 辆;
    train 火车 列; apple 苹果 个; lemon 柠檬 个; pear 梨 个; orange 橙子 个; banana 香蕉 根;
    melon 甜瓜 个; tomato 西红柿 个; onion 洋葱 个; potato 土豆 个; carrot 胡萝卜 根;
    cucumber 黄瓜 根; cabbage 卷心菜 棵; hammer 锤子 把; knife 刀 把; saw 锯子 把; axe 斧头 把;
    brush 刷子 把; ladder 梯子 架; chair 椅子 把; table 桌子 张; bed 床 张; lamp 台灯 盏;
    mirror 镜子 面; carpet 地毯 块; cupboard 柜子 个; book 书 本; letter 信 封; newspaper 报纸 份;
    map 地图 张; magazine 杂志 本; dictionary 词典 本; shirt 衬衫 件; coat 大衣 件; hat 帽子 顶;
    dress 连衣裙 条; scarf 围巾 条; bag 手提包 个; ball 球 个; doll 玩偶 个; kite 风筝 只;
    drum 鼓 面; guitar 吉他 把; piano 钢琴 架; violin 小提琴 把; flute 长笛 支; rose 玫瑰 朵;
    tulip 郁金香 朵; lily 百合 朵; sunflower 向日葵 朵; animal 动物 只; vehicle 交通工具 个;
    fruit 水果 个; vegetable 蔬菜 个; tool 工具 件; toy 玩具 个; instrument 乐器 件; flower 花 朵
""")
PLANT = "棵"  # the classifier of a flower as a plant
# looks: colours as nouns, words that precede a noun directly, words that take 的
COLOURS = glossary("black 黑; white 白; red 红; green 绿; yellow 黄; brown 棕; blue 蓝")
DIRECT = glossary("big 大; small 小; old 旧; new 新; long 长; short 短; dirty 脏")
LINKED = glossary("""
    strong 强壮; beautiful 漂亮; hungry 饥饿; fresh 新鲜; cheap 便宜; expensive 昂贵; heavy 沉重;
    light 轻巧; ugly 难看; clean 干净
""")
LOOKS = {
    **{look: (f"{colour}色 的", "NOUN PART") for look, colour in COLOURS.items()},
    **{look: (word, "ADJ") for look, word in DIRECT.items()},
    **{look: (f"{word} 的", "ADJ PART") for look, word in LINKED.items()},
    "fast": ("速度 快 的", "NOUN ADJ PART"),
    "slow": ("速度 慢 的", "NOUN ADJ PART"),
}
# Frames: verbs, words with a tag (a last 了 is PART), who (P), what (N), where to (G), where (L).
SIMPLE = glossary("""
    buy 买; find 找到; lose 弄丢; eat 吃; cook 煮; cut 切; cut_flowers 剪; wash 洗; clean 清洁;
    carry 搬; draw 画; paint 油漆; read 读; break 弄坏; repair 修理; hide 藏; feed 喂; plant 种;
    meet 遇见; help 帮助; visit 拜访; thank 感谢; give_out 送出; show_out 展示; sell_out 卖;
    send_out 寄; bring_out 带来
""")
FRAMES = {
    **{verb: f"{word} 了/AUX P N" for verb, word in SIMPLE.items()},
    "give": "给 了/AUX P N",
    "show": "给/ADP P 看 了/AUX N",
    "sell": "卖给 了/AUX P N",
    "send": "给/ADP P 寄 了/AUX N",
    "bring": "给/ADP P 带来 了/AUX N",
    "call": "给/ADP P 打 了/AUX 电话/NOUN",
    "greet": "向/ADP P 打 了/AUX 招呼/NOUN",
    "wait": "等 过/AUX P",
    "look": "寻找 过/AUX P",
    "go": "去 了/AUX G",
    "travel": "去 G 旅行 了/PART",
    "return": "回到 了/AUX G",
    "work": "工作 过/AUX",
    "rest": "休息 过/AUX",
    "sleep": "睡 了/AUX 觉/NOUN",
    "sing": "唱 了/AUX 歌/NOUN",
    "dance": "跳 了/AUX 舞/NOUN",
    "run": "跑 了/AUX 步/NOUN",
    "like": "喜欢 N",
    "have": "有 N",
    "live": "住 L",
}
TURNED = {
    "show": "向/ADP P 展示 了/AUX N",
    "sell": "卖 了/AUX N 给/ADP P",
    "send": "寄 了/AUX N 给/ADP P",
    "bring": "带 了/AUX N 给/ADP P",
    "call": "打 了/AUX 电话/NOUN 给/ADP P",
    "greet": "跟/ADP P 打 了/AUX 招呼/NOUN",
    "go": "到/ADP G 去 了/PART",
    "travel": "到/ADP G 旅行 了/PART",
    "return": "返回 了/AUX G",
    "live": "居住 L",
}
# without 了 these are one word
WHOLE = {"sleep": "睡觉", "sing": "唱歌", "dance": "跳舞", "run": "跑步"}
NOWHERE = {"go": "去 了/PART", "travel": "旅行 了/PART", "return": "返回 了/PART", "live": "居住"}
NUMBERS = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五", 6: "六"}
TIMES = glossary("""
    yesterday 昨天; last_week 上周; morning 早上; evening 晚上; night 夜里; spring 春天;
    summer 夏天; autumn 秋天; winter 冬天; Monday 星期一; Tuesday 星期二; Wednesday 星期三;
    Thursday 星期四; Friday 星期五; Saturday 星期六; Sunday 星期天
""")
COMMA = phrase("，", "PUNCT")
NOT, NO_EVENT = phrase("不", "ADV"), phrase("没有", "AUX")
WHO, WHAT, WHERE = (phrase(word, "PRON") for word in ("谁", "什么", "哪里"))
WHEN = phrase("什么 时候", "DET NOUN")
UNDER_TEN, HOW_MANY = phrase("几", "DET"), phrase("多少", "DET")
SOME, ANY = phrase("一些", "DET", "thing"), phrase("任何", "DET", "thing")
IN = phrase("在", "ADP")
IS, OF = phrase("是", "AUX"), phrase("的", "PART")


def clause(scene: Scene, order: str) -> Words:
    return _arranged(scene, order, "")


def question(scene: Scene, asked: str, order: str) -> Words:
    if order == "shift" and _cleft(scene, asked):
        agent, time, place = _parts(scene, asked)
        if asked == "place":
            time += IS
        else:
            agent = IS + agent if asked == "agent" else agent + IS
        return agent + time + place + _predicate(scene, asked, order, "") + OF
    return _arranged(scene, order, asked)


def _cleft(scene: Scene, asked: str) -> bool:
    """Whether 是...的 can ask for a role: not with an object, nor for a destination."""
    if scene.thing or scene.verb in STATES:
        return False
    return asked in ("agent", "time") or (asked == "place" and scene.verb not in MOVES)


def _arranged(scene: Scene, order: str, asked: str) -> Words:
    agent, time, place = _parts(scene, asked)
    # 没有 is a past of its own; 过 stays where only it keeps "does not work", "has no job" away
    past = scene.time and scene.verb != "work"
    aspects = "了过" if not scene.negated else "" if past else "过"
    predicate = _predicate(scene, asked, order, aspects)
    denial: Words = ()
    if scene.negated and scene.verb != "have":
        denial = NOT if scene.verb in STATES else NO_EVENT
    if order == "front" and time and asked != "time":
        return time + COMMA + agent + denial + place + predicate
    if order == "front" and place and asked != "place":
        return place + COMMA + agent + time + denial + predicate
    if order != "shift":
        return agent + time + denial + place + predicate
    if asked in ("time", "place") or _turned(scene) or (denial and (place or scene.thing)):
        return agent + time + place + denial + predicate
    if scene.verb in world.ACTIVITIES:
        return time + agent + place + denial + predicate
    return time + place + (COMMA if place else ()) + agent + denial + predicate


def _parts(scene: Scene, asked: str) -> tuple[Words, Words, Words]:
    """Returns the words of agent, time and place; no place if it belongs to the verb."""
    agent = WHO if asked == "agent" else _person(scene.agent, "agent")
    time = WHEN if asked == "time" else _time(scene.time) if scene.time else ()
    if scene.place is None or scene.verb in MOVES or scene.verb == "live":
        return agent, time, ()
    return agent, time, IN + WHERE if asked == "place" else _located(scene.place)


def _turned(scene: Scene) -> bool:
    """Whether the scene can be expressed with the verb's alternative pattern."""
    return scene.verb in TURNED and bool(scene.person or scene.place)


def _predicate(scene: Scene, asked: str, order: str, aspects: str) -> Words:
    shift = order == "shift"
    words: Words = ()
    for part in _frame(_pattern(scene, shift), scene.verb, aspects, scene.negated):
        if not isinstance(part, str):
            words += part
        elif part == "N":
            words += _object(scene, asked, shift)
        elif part == "P" and scene.person:
            words += WHO if asked == "person" else _person(scene.person, "person")
        elif part == "G" and scene.place:
            words += WHERE if asked == "place" else _goal(scene.place)
        elif part == "L" and scene.place:
            words += IN + WHERE if asked == "place" else _located(scene.place)
    return words


def _pattern(scene: Scene, shift: bool) -> str:
    verb = scene.verb
    if verb in world.TRANSFERS and scene.person is None:
        return FRAMES[f"{verb} out"]
    if verb in NOWHERE and scene.place is None:
        return NOWHERE[verb]
    if verb == "cut" and scene.thing and KIND_OF.get(scene.thing, scene.thing) == "flower":
        return FRAMES["cut flowers"]
    return (TURNED.get(verb) if shift else None) or FRAMES[verb]


@cache
def _frame(pattern: str, verb: str, aspects: str, negated: bool) -> tuple[Words | str, ...]:
    """Returns the words and slots of a verb pattern, with only the particles in `aspects`."""
    if verb == "have" and negated:
        pattern = pattern.replace("有", "没有")
    if "了" not in aspects:
        pattern = WHOLE.get(verb, pattern)
    cells = [cell.partition("/") for cell in pattern.split()]
    return tuple(
        word if word in "NPGL" else phrase(word, tag or "VERB")
        for word, _, tag in cells
        if tag not in ("AUX", "PART") or word in aspects
    )


def _object(scene: Scene, asked: str, shift: bool) -> Words:
    thing, number, verb = scene.thing, scene.number, scene.verb
    if thing is None:
        return ()
    if asked == "thing":
        return WHAT
    if asked == "number":
        assert number is not None
        few = number < 10 and not shift
        return (UNDER_TEN if few else HOW_MANY) + _measured(thing, scene.look, verb == "plant")
    if verb == "like" and number is None:
        return _noun(thing, scene.look)
    if scene.negated:
        # a bare noun could be taken for definite, but not after 没有 as a verb
        return (ANY if shift or verb not in STATES else ()) + _noun(thing, scene.look)
    if number is None:
        return SOME + _noun(thing, scene.look)
    return _numeral(number) + _measured(thing, scene.look, verb == "plant")


@cache
def _numeral(number: int) -> Words:
    role = "thing" if number == 1 else "number"
    return phrase(NUMBERS.get(number, str(number)), "NUM", role)


@cache
def _measured(thing: str, look: str | None, planted: bool) -> Words:
    flower = KIND_OF.get(thing, thing) == "flower"
    classifier = PLANT if planted and flower else THINGS[thing][1]
    return phrase(classifier, "NOUN", "thing") + _noun(thing, look)


@cache
def _noun(thing: str, look: str | None) -> Words:
    noun = phrase(THINGS[thing][0], "NOUN", "thing")
    if look is None:
        return noun
    words, tags = LOOKS[look]
    if look in ("long", "short") and KIND_OF.get(thing) == "reading":  # 短信 is a text message
        words, tags = f"{words} 的", f"{tags} PART"
    return phrase(words, tags, "thing") + noun


@cache
def _person(concept: str, role: str) -> Words:
    if concept in world.TRADES:
        return phrase(JOBS[concept], "NOUN", role)
    return name(PEOPLE.get(concept, concept), concept, role)


@cache
def _goal(place: str) -> Words:
    if place in CITIES:
        return name(CITIES[place], place, "place")
    return phrase(SITES[place], "NOUN", "place")


@cache
def _located(place: str) -> Words:
    after = phrase(INSIDE[place], "ADP", "place") if place in INSIDE else ()
    return phrase("在", "ADP", "place") + _goal(place) + after


@cache
def _time(time: str) -> Words:
    if time in world.YEARS:
        return phrase(f"{time} 年", "NUM NOUN", "time")
    return phrase(TIMES.get(time, time), "NUM" if time in world.CLOCK else "NOUN", "time")


CHINESE = Language(
    code="zh",
    iso639_3="cmn",
    name="Chinese",
    clause=clause,
    question=question,
    conjunctions=(COMMA, COMMA + phrase("但是", "CCONJ")),
    stop="。",
    asking=("", "？"),
    exclaiming=("", "！"),
    spaces=False,
    capital=str,
)
