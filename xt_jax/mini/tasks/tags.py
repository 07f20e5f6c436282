"""Tagging tasks: universal parts of speech, entities, and English supertags."""

from __future__ import annotations

from collections.abc import Sequence

from xt_jax.data.examples import TagExample
from xt_jax.mini.concepts import MOVES
from xt_jax.mini.languages import Utterance, say
from xt_jax.mini.words import Language, Word

# S[dcl] is a statement, S[q] and S[wq] are questions, S[b] has a base form; S\NP lacks its subject.
ADVERB = r"(S\NP)\(S\NP)"
NEVER = r"(S\NP)/(S\NP)"


def tag_examples(language: Language, said: Sequence[Utterance], kind: str) -> list[TagExample]:
    """Builds sentences with a tag per word; `kind` is "upos" or "ner"."""
    sentences = [say(language, utterance) for utterance in said]
    return [
        TagExample(str(i), tuple(w.text for w in words), tuple(getattr(w, kind) for w in words))
        for i, words in enumerate(sentences)
    ]


def supertag_examples(language: Language, said: Sequence[Utterance]) -> list[TagExample]:
    """Builds English sentences with categories of combinatory categorial grammar (CCGbank)."""
    assert language.code == "en"
    examples = []
    for i, utterance in enumerate(said):
        words = say(language, utterance)
        tags = tuple(_category(words, k, utterance) for k in range(len(words)))
        examples.append(TagExample(f"ID={i}", tuple(w.text for w in words), tags))
    return examples


def _category(words: Sequence[Word], k: int, utterance: Utterance) -> str:
    """Returns the category of word k by its part of speech, its role and the words after it."""
    word, rest = words[k], words[k + 1 :]
    match word.upos:
        case "PUNCT":
            return word.text if word.text != "?" else "."
        case "CCONJ":
            return "conj"
        case "DET":
            return "NP[nb]/N"
        case "AUX":
            return _auxiliary(utterance)
        case "PART":
            return ADVERB
        case "VERB":
            return _verb(words, k, utterance)
        case "PRON" | "ADV" if utterance.asked and not word.role:
            return _question_word(word, utterance)
        case "ADP":
            return _preposition(words, k, utterance)
        case "ADV":
            return "S/S" if k == 0 else NEVER if word.text == "never" else ADVERB
    if word.text.lower() == "last":
        return "(S/S)/N" if k == 0 else f"({ADVERB})/N"
    inside = bool(rest) and rest[0].role == word.role and rest[0].upos in ("NOUN", "PROPN", "ADJ")
    numeral = word.upos == "NUM" and word.role == "number"
    many = word.text == "many"
    return "N/N" if many or numeral or inside else "N"


def _auxiliary(utterance: Utterance) -> str:
    return r"(S[q]/(S[b]\NP))/NP" if utterance.asked else r"(S[dcl]\NP)/(S[b]\NP)"


def _question_word(word: Word, utterance: Utterance) -> str:
    if word.text.lower() == "how":
        return "((S[wq]/(S[q]/NP))/N)/(N/N)"
    return {
        "agent": r"S[wq]/(S[dcl]\NP)",
        "thing": "S[wq]/(S[q]/NP)",
        "person": "S[wq]/(S[q]/NP)",
    }.get(utterance.asked, "S[wq]/S[q]")


def _verb(words: Sequence[Word], k: int, utterance: Utterance) -> str:
    r"""Returns the category of a verb, with an argument for each: ((S[dcl]\NP)/NP)/NP."""
    base = utterance.asked not in ("", "agent") or (k > 0 and words[k - 1].upos == "PART")
    category = rf"S[{'b' if base else 'dcl'}]\NP"
    for argument in reversed(_arguments(words, k, utterance)):
        category = f"({category})/{argument}"
    return category


def _arguments(words: Sequence[Word], k: int, utterance: Utterance) -> list[str]:
    """Returns the verb's arguments in order, including one that a question moves to the front.

    A preposition without its noun phrase still counts as a PP.
    """
    scene = _scene_at(words, k, utterance)
    if scene.verb in (*MOVES, "live"):
        return [] if utterance.asked == "place" else ["PP"]
    taken: list[str] = []
    for word in words[k + 1 :]:
        if word.upos in ("CCONJ", "VERB") or word.role in ("place", "time"):
            break
        if word.upos == "ADP":
            taken.append("PP")
        elif word.upos in ("NOUN", "PROPN") and word.ner[0] != "I" and taken[-1:] != ["PP"]:
            taken.append("NP")
    person = utterance.asked == "person" and "PP" not in taken
    return ["NP", *taken] if person or utterance.asked in ("thing", "number") else taken


def _scene_at(words: Sequence[Word], k: int, utterance: Utterance):
    clauses = sum(word.upos == "CCONJ" for word in words[:k])
    return utterance.scenes[clauses]


def _preposition(words: Sequence[Word], k: int, utterance: Utterance) -> str:
    if words[k].role not in ("place", "time"):
        return "PP/NP"
    if k == 0:
        return "(S/S)/NP"
    goal = words[k].role == "place" and _scene_at(words, k, utterance).verb in (*MOVES, "live")
    return "PP/NP" if goal else f"({ADVERB})/NP"
