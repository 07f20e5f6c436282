"""The concepts of the world: people, places, things and their looks, actions, times, numbers.

A concept is named by its English word. Each language has a word for every one of them.
"""

from __future__ import annotations

# A single name is written in each language's own script; a name of two words is written the same,
# in Latin letters, in all languages.
WOMEN = (
    *("Anna", "Maria", "Clara", "Nora", "Lena", "Eva", "Olga", "Sofia", "Rosa", "Irina"),
    *("Leila", "Yasmin", "Emma Wolf", "Julia Brandt", "Sara Novak", "Nina Costa", "Elif Kaya"),
    *("Lucy Hart", "Ada Moss", "Vera Blum", "Tara Lund", "Ella Rossi", "Ines Marin", "Mira Kolar"),
    *("Petra Sand", "Dora Klein", "Rita Salas", "Alma Berger", "Lea Fontana", "Zara Malik"),
)
MEN = (
    *("Peter", "Thomas", "Felix", "Oscar", "Hugo", "Marco", "Max", "Victor", "Ivan", "Omar"),
    *("Karim", "Anton", "Paul Keller", "Martin Weber", "Leo Moretti", "Adam Stone"),
    *("Kerem Demir", "Lukas Berg", "Bruno Kent", "Nils Holm", "Timo Lang", "Milo Kant"),
    *("Jonas Falk", "Stefan Roth", "Ben Fischer", "Erik Dahl", "Simon Vogel", "David Haas"),
    *("Robert Frank", "Tom Reed"),
)
PEOPLE = WOMEN + MEN
# Written the same, in Latin letters, in all languages.
ORGANISATIONS = (
    *("Orion", "Atlas", "Delta Soft", "Nova Invest", "Vega Motors", "Terra Film", "Alfa Bank"),
    "Luna Books",
)
CITIES = (
    *("Berlin", "Ankara", "Madrid", "London", "Vienna", "Athens", "Cairo", "Moscow", "Beijing"),
    *("Delhi", "New York", "Hong Kong", "Buenos Aires", "Kuala Lumpur", "Cape Town"),
    "Rio de Janeiro",
)
# The world has one of each, so they take the definite article: the teacher.
TRADES = {
    **dict.fromkeys(("teacher", "nurse", "singer", "lawyer", "student", "neighbour"), "f"),
    **dict.fromkeys(("doctor", "cook", "driver", "farmer", "engineer", "baker", "writer"), "m"),
    "gardener": "m",
}
GENDER = {**dict.fromkeys(WOMEN, "f"), **dict.fromkeys(MEN, "m"), **TRADES}
SITES = (
    *("park", "market", "kitchen", "garden", "station", "school", "library", "museum"),
    *("hotel", "office", "forest", "village", "hospital", "factory", "theatre", "restaurant"),
    *("bakery", "farm", "beach", "harbour", "airport", "stadium", "church", "castle"),
)
HUMANS = (*PEOPLE, *TRADES)
AGENTS = (*HUMANS, *ORGANISATIONS)
PLACES = (*CITIES, *SITES)

# kind -> things of the kind, their usual looks, what is done with them
KINDS = {
    "animal": (
        ("dog", "cat", "horse", "cow", "goat", "rabbit", "duck", "donkey"),
        ("black", "white", "big", "small", "strong", "beautiful", "hungry"),
        ("buy", "find", "feed", "wash", "draw", "sell", "give"),
    ),
    "vehicle": (
        ("car", "bicycle", "boat", "bus", "lorry", "train"),
        ("red", "green", "white", "yellow", "old", "new", "fast", "slow"),
        ("buy", "paint", "repair", "wash", "draw", "sell"),
    ),
    "fruit": (
        ("apple", "lemon", "pear", "orange", "banana", "melon"),
        ("big", "small", "fresh", "cheap", "green", "yellow"),
        ("buy", "find", "eat", "wash", "cut", "bring", "sell"),
    ),
    "vegetable": (
        ("tomato", "onion", "potato", "carrot", "cucumber", "cabbage"),
        ("big", "small", "fresh", "cheap", "expensive"),
        ("buy", "cook", "eat", "wash", "cut", "bring", "sell"),
    ),
    "tool": (
        ("hammer", "knife", "saw", "axe", "brush", "ladder"),
        ("old", "new", "heavy", "light", "long", "short", "expensive"),
        ("buy", "find", "hide", "clean", "lose", "bring", "show"),
    ),
    "furniture": (
        ("chair", "table", "bed", "lamp", "mirror", "carpet", "cupboard"),
        ("old", "new", "heavy", "beautiful", "ugly", "brown", "clean", "dirty"),
        ("buy", "clean", "carry", "paint", "break", "repair", "sell"),
    ),
    "reading": (
        ("book", "letter", "newspaper", "map", "magazine", "dictionary"),
        ("old", "new", "long", "short", "expensive", "cheap"),
        ("read", "find", "lose", "hide", "send", "give", "show"),
    ),
    "clothing": (
        ("shirt", "coat", "hat", "dress", "scarf", "bag"),
        ("red", "blue", "black", "white", "clean", "dirty", "beautiful", "ugly"),
        ("buy", "wash", "lose", "find", "send", "bring", "give"),
    ),
    "toy": (
        ("ball", "doll", "kite", "drum"),
        ("red", "blue", "yellow", "small", "new", "light"),
        ("buy", "find", "break", "repair", "hide", "give", "send"),
    ),
    "instrument": (
        ("guitar", "piano", "violin", "flute"),
        ("old", "new", "expensive", "beautiful", "brown"),
        ("buy", "carry", "repair", "sell", "show", "break"),
    ),
    "flower": (
        ("rose", "tulip", "lily", "sunflower"),
        ("red", "white", "yellow", "fresh", "beautiful"),
        ("buy", "plant", "cut", "draw", "give", "send", "bring"),
    ),
}
# Kinds that have a word of their own: an apple is a fruit.
HYPERNYMS = ("animal", "vehicle", "fruit", "vegetable", "tool", "toy", "instrument", "flower")
KIND_OF = {thing: kind for kind, (things, _, _) in KINDS.items() for thing in things}
THINGS = tuple(KIND_OF)
LOOKS = tuple(dict.fromkeys(look for _, looks, _ in KINDS.values() for look in looks))
OPPOSITES = {
    a: b
    for pair in (
        ("big", "small"),
        ("old", "new"),
        ("cheap", "expensive"),
        ("heavy", "light"),
        ("long", "short"),
        ("clean", "dirty"),
        ("beautiful", "ugly"),
        ("fast", "slow"),
    )
    for a, b in (pair, pair[::-1])
}

# The arguments of a verb. TRANSFERS: a thing and the person who gets it.
TRANSFERS = ("give", "show", "sell", "send", "bring")
DEEDS = (
    *("buy", "find", "lose", "eat", "cook", "cut", "wash", "clean", "carry", "draw", "paint"),
    *("read", "break", "repair", "hide", "feed", "plant"),
)
SOCIAL = ("meet", "help", "call", "visit", "greet", "wait", "look", "thank")  # a person
MOVES = ("go", "travel", "return")  # a destination
ACTIVITIES = ("work", "sleep", "sing", "dance", "run", "rest")  # no argument
STATES = ("like", "have", "live")  # in the present: a kind of thing, a thing, a place
VERBS = (*DEEDS, *TRANSFERS, *SOCIAL, *MOVES, *ACTIVITIES, *STATES)
TRADE_VERBS = ("buy", "sell")  # the only verbs of organisations, besides `have`

# A plural has one of these numbers, or none. The great ones are written in digits in all languages,
# and all take the genitive plural in Russian.
SMALL_NUMBERS = (2, 3, 4, 5, 6)
GREAT_NUMBERS = tuple(n for n in range(12, 100) if n < 21 or n % 10 not in (1, 2, 3, 4))
NUMBERS = (*SMALL_NUMBERS, *GREAT_NUMBERS)
CLOCK = tuple(f"{hour}:{minute}" for hour in range(6, 22) for minute in (15, 20, 30, 45))
YEARS = tuple(map(str, range(1950, 2022)))
DAYS = tuple(f"{d}day" for d in ("Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur", "Sun"))
TIMES = (
    *("yesterday", "last week", "morning", "evening", "night"),
    *("spring", "summer", "autumn", "winter"),
    *(*DAYS, *CLOCK, *YEARS),
)
