"""Natural language inference from a premise of one or more scenes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from random import Random
from typing import Any, NamedTuple

from xt_jax.data.examples import PairExample
from xt_jax.mini import concepts as world
from xt_jax.mini.languages import ORDERS, Utterance, text
from xt_jax.mini.scenes import (
    HABITS,
    Scene,
    draw_number,
    draw_scene,
    is_text,
    negate,
    possible,
    swap_roles,
)
from xt_jax.mini.tasks.drawing import draw_scenes, exchanges, usual_looks
from xt_jax.mini.words import Language

NLI = ("entailment", "neutral", "contradiction")
# The possible numbers of scenes in a premise, all equally likely; ANLI's rounds get longer.
LENGTHS = {"mnli": (1, 2), "snli": (1,), "anli_r1": (2,), "anli_r2": (2, 3), "anli_r3": (3, 4)}
OPEN = ("number", "look", "place", "time")  # parts that a hypothesis may add or leave out


class Pair(NamedTuple):
    """Two utterances and the label of their relation."""

    first: Utterance
    second: Utterance
    label: str

    def meanings(self) -> Hashable:
        return self.first.meaning(), self.second.meaning()


def relation(premise: Sequence[Scene], hypothesis: Scene) -> str:
    """Returns the label (a name of `NLI`) of the hypothesis given the premise.

    What happened in a place happened; what did not happen at all did not happen in a place.
    """
    for scene in premise:
        general, specific = (scene, hypothesis) if scene.negated else (hypothesis, scene)
        if covers(general, specific):
            return "entailment" if scene.negated == hypothesis.negated else "contradiction"
    return "neutral"


def covers(general: Scene, specific: Scene) -> bool:
    """Whether every event that `specific` describes is one that `general` also describes."""
    plural = general.number is None and specific.number != 1
    return (
        (general.agent, general.verb, general.person)
        == (specific.agent, specific.verb, specific.person)
        and general.thing in (specific.thing, _kind(specific))
        and (general.negated or plural or general.number == specific.number)
        and all(getattr(general, p) in (None, getattr(specific, p)) for p in OPEN[1:])
    )


def draw_nli(rng: Random, turn: int, lengths: Sequence[int] = LENGTHS["mnli"]) -> Pair:
    """Draws a premise of one or more scenes, and a hypothesis about one of them.

    The hypothesis is drawn independently of the label and the premise is then made to fit, so that
    the hypothesis alone does not reveal the label.
    """
    label, count = NLI[turn % 3], rng.choice(lengths)
    while True:
        hypothesis = _draw_hypothesis(rng, count)
        others = list(draw_scenes(rng, count - 1, without=(hypothesis.agent,)))
        for _ in range(20):
            premise = _premise(rng, label, hypothesis, others)
            if _is_fit(premise, hypothesis, label):
                first = Utterance(tuple(premise), rng.choice(ORDERS))
                return Pair(first, Utterance((hypothesis,), rng.choice(ORDERS)), label)


def drawer(task: str):
    """Returns `draw_nli` with the premise lengths of one task."""
    return partial(draw_nli, lengths=LENGTHS[task])


def pair_examples(language: Language, pairs: Sequence[Pair]) -> list[PairExample]:
    return [
        PairExample(str(i), text(language, first), text(language, second), label)
        for i, (first, second, label) in enumerate(pairs)
    ]


def debatable(premise: Sequence[Scene], hypothesis: Scene) -> bool:
    """Whether a reader could take the hypothesis for a retelling of a scene in the premise.

    That is so for another number or place of the same action, for one or two in place of a plural,
    for a meeting or a sale told from the other side, and for two verbs of one journey.
    """
    for scene in premise:
        if _alike(scene, hypothesis):
            for a, b in ((getattr(scene, p), getattr(hypothesis, p)) for p in OPEN):
                if a is not None and b is not None and a != b:
                    return True
            if hypothesis.number in (1, 2) and scene.number is None and not scene.negated:
                return True
            if scene.number == 1 and hypothesis.number is None and not hypothesis.negated:
                return True
        both = (scene.verb, hypothesis.verb)
        if both == ("meet", "meet") and scene.agent == hypothesis.person:
            return True
        if scene.agent == hypothesis.agent and both[0] != both[1] and {*both} <= {*world.MOVES}:
            return True
        if both == ("sell", "buy") and scene.person == hypothesis.agent:
            return True
        if both == ("buy", "sell") and scene.agent == hypothesis.person:
            return True
    return False


def _alike(scene: Scene, other: Scene) -> bool:
    """Whether two scenes are the same action of the same people with a thing or its kind."""
    same = (scene.agent, scene.verb, scene.person) == (other.agent, other.verb, other.person)
    return same and bool(
        {scene.thing, _kind(scene)} & {other.thing, _kind(other)} or not scene.thing
    )


def _kind(scene: Scene) -> str | None:
    """Returns the kind that may replace the thing, else the thing; liking does not extend."""
    kind = world.KIND_OF.get(scene.thing or "")
    return kind if kind in world.HYPERNYMS and scene.verb != "like" else scene.thing


def _draw_hypothesis(rng: Random, count: int) -> Scene:
    """Draws an affirmed or negated scene, sometimes with the kind in place of the thing.

    Scenes of liking and living leave no part open, so they need a second scene in the premise.
    """
    while True:
        scene = draw_scene(rng)
        if rng.random() < 0.2:
            scene = scene._replace(thing=_kind(scene))
        if not is_text(scene) and (count > 1 or scene.verb not in ("like", "live")):
            return negate(scene) if rng.random() < 0.5 else scene


def _premise(
    rng: Random, label: str, hypothesis: Scene, others: Sequence[Scene]
) -> Sequence[Scene]:
    """Draws a premise that is likely, but not certain, to give that label."""
    negated = {
        "entailment": hypothesis.negated,
        "contradiction": not hypothesis.negated,
        "neutral": rng.random() < 0.5,
    }[label]
    statement = _numbered(rng, hypothesis._replace(negated=negated))
    others = list(others)
    if label != "neutral":
        base = _more(rng, statement, 0.35) if not negated else _less(rng, statement, 0.5)
    elif rng.random() < 0.5:
        statement, others = _other_roles(rng, statement, others)
        base = rng.choice((_more, _less))(rng, statement, 0.4)
    elif rng.random() < 0.5:
        base = _more(rng, statement, 0.5) if negated else _less(rng, statement, 0.5)
    else:
        base = _more(rng, _less(rng, statement, 0.5), 0.35)
    place = rng.randint(0, len(others))
    return [*others[:place], base, *others[place:]]


def _is_fit(premise: Sequence[Scene], hypothesis: Scene, label: str) -> bool:
    return (
        (hypothesis,) != tuple(premise)
        and all(possible(scene) and not is_text(scene) for scene in premise)
        and relation(premise, hypothesis) == label
        and not debatable(premise, hypothesis)
    )


def _other_roles(rng: Random, scene: Scene, others: list[Scene]) -> tuple[Scene, list[Scene]]:
    """Exchanges people of the scene with each other or with those of another scene."""
    if scene.person and (not others or rng.random() < 0.5):
        return swap_roles(scene), others
    for k, other in enumerate(others):
        options = exchanges(scene, other, ("agent", "person"))
        if options:
            scene, others[k] = rng.choice(options)
            break
    return scene, others


def _numbered(rng: Random, scene: Scene) -> Scene:
    """Mostly adds a number if the scene can have one, independently of the label."""
    if scene.negated:
        return scene._replace(number=None)
    if scene.thing and scene.verb != "like" and scene.number is None and rng.random() < 0.8:
        return scene._replace(number=draw_number(rng, scene.thing))
    return scene


def _more(rng: Random, scene: Scene, chance: float) -> Scene:
    """Returns the scene with more detail: fills each open part with probability `chance`."""
    changes: dict[str, Any] = {
        part: rng.choice(values)
        for part, values in _usual(scene).items()
        if getattr(scene, part) is None and rng.random() < chance
    }
    if scene.thing in world.HYPERNYMS and scene.verb != "like" and rng.random() < 0.8:
        changes["thing"] = rng.choice(world.KINDS[scene.thing][0])
    return scene._replace(**changes)


def _less(rng: Random, scene: Scene, chance: float) -> Scene:
    """Returns the scene with less detail: drops each optional part with probability `chance`."""
    changes: dict[str, Any] = {part: None for part in _usual(scene) if rng.random() < chance}
    if rng.random() < 0.2:
        changes["thing"] = _kind(scene)
    return scene._replace(**changes)


def _usual(scene: Scene) -> dict[str, Sequence[str]]:
    """Returns the usual values of each optional part of the scene."""
    if scene.verb in world.STATES:
        return {"look": usual_looks(scene.thing)} if scene.verb == "have" and scene.thing else {}
    habits = HABITS[scene.agent]
    usual: dict[str, Sequence[str]] = {"time": habits.times}
    if scene.verb not in world.MOVES:
        usual["place"] = habits.places
    if scene.thing:
        usual["look"] = usual_looks(scene.thing)
    return usual
