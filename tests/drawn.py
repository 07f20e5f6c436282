"""Draws examples for the tests of the embedded world's tasks."""

from __future__ import annotations

from random import Random

from xt_jax.mini.tasks import paraphrase

PARAPHRASES = {"pawsx": paraphrase.draw_paraphrase, "qqp": paraphrase.draw_duplicate}


def drawn(draw, count: int, seed: str = "tasks") -> list:
    rng = Random(seed)
    return [draw(rng, turn) for turn in range(count)]
