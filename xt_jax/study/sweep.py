"""Chooses the learning rate of a phase: of several, the best on the phase's own English dev.

The first seed of a study is trained at every candidate, each an ordinary phase in its own folder,
exactly as if its rate had been configured alone. The rate with the best score is that of all seeds;
of equal scores the lowest rate. A loss that is not finite takes a candidate out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from absl import logging

from xt_jax import hosts
from xt_jax.errors import ConfigError, DivergedError
from xt_jax.files import atomic_write_text
from xt_jax.study.phases import Checkpoint, Trainer
from xt_jax.study.task_data import Phase
from xt_jax.study.train import train_phase

FILE = "rates.json"  # in the folder of the chosen candidate
_DIVERGED = "diverged.txt"  # in the folder of a candidate that cannot be chosen


def at_best_rate(
    trainer: Trainer, phase: Phase, first_start: Callable[[], Checkpoint], after: str
) -> Phase:
    """Returns the phase at the best rate of its sweep; trains the candidates that are not yet.

    Args:
        first_start: returns what the first seed starts from.
        after: as in `train_phase`.

    Raises:
        ConfigError: the loss was finite at no candidate.
    """
    rates = trainer.rates[phase.role]
    if not rates:
        return phase
    start = first_start()
    found = {rate: _candidate(trainer, _at(phase, rate), start, after) for rate in rates}
    scores = {rate: checkpoint.score for rate, checkpoint in found.items() if checkpoint}
    if not scores:
        raise ConfigError(
            f"The loss of {phase.name} is not finite at any of the learning rates "
            f"{', '.join(map(str, rates))}.",
            where=f"--config.{phase.role}.learning_rates",
            remedy="use lower rates",
        )
    best = max(scores, key=lambda rate: (scores[rate], -rate))
    if hosts.is_first():
        _record(trainer, phase, found, best)
    return _at(phase, best)


def _at(phase: Phase, rate: float) -> Phase:
    """Returns the phase as if `rate` had been configured for it."""
    parts = tuple(
        replace(part, recipe=replace(part.recipe, learning_rate=rate)) for part in phase.parts
    )
    return replace(phase, parts=parts, recipe=replace(phase.recipe, learning_rate=rate))


def _candidate(trainer: Trainer, phase: Phase, start: Checkpoint, after: str) -> Checkpoint | None:
    """Returns the best checkpoint of the first seed; None where the loss was not finite."""
    seed = trainer.first_seed
    member = trainer.member(phase, start, seed, after)
    mark = member.directory / _DIVERGED
    if hosts.agree(mark.exists()):
        return None
    try:
        (checkpoint,) = train_phase(trainer, phase, [start], after, [seed])
    except DivergedError as error:
        logging.warning("%s takes no part in the sweep: %s", member.directory.name, error)
        if hosts.is_first():
            atomic_write_text(mark, f"{error}\n")
            trainer.states([member]).rmtree(missing_ok=True)
        return None
    return checkpoint


def _record(
    trainer: Trainer, phase: Phase, found: dict[float, Checkpoint | None], best: float
) -> None:
    """Writes all candidates with their scores beside the chosen one, and logs them once."""
    chosen = found[best]
    assert chosen is not None
    record = {
        "phase": phase.name,
        "seed": trainer.first_seed,
        "chosen": best,
        "by": chosen.selected_by,
        "candidates": [
            {
                "learning_rate": rate,
                "score": checkpoint.score if checkpoint else None,
                "folder": trainer.home(checkpoint).name if checkpoint else None,
            }
            for rate, checkpoint in found.items()
        ],
    }
    home = trainer.home(chosen)
    text = json.dumps(record, indent=1) + "\n"
    if (home / FILE).exists() and (home / FILE).read_text() == text:
        return
    atomic_write_text(home / FILE, text)
    scores = ", ".join(
        f"{rate:g} gives {checkpoint.score:.2f}" if checkpoint else f"{rate:g} diverges"
        for rate, checkpoint in found.items()
    )
    logging.info("%s: learning rate %g: by %s, %s", home.name, best, chosen.selected_by, scores)
    if best in (min(found), max(found)):
        logging.warning(
            "%s: the best learning rate %g is at the end of the sweep, so a better one may lie "
            "outside",
            home.name, best,
        )  # fmt: skip
