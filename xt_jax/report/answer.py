"""The first lines of a report: what intermediate tasks add, and whether that changes with size."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from xt_jax.report.document import Block, Bullets, Command, Heading, Text
from xt_jax.report.evidence import MEAN, Evidence, Model, sizes_of
from xt_jax.report.statistics.compare import CONFIDENCE
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.findings import Estimate, Gap, Slope, multiplicity
from xt_jax.report.wording import between, count, excludes_zero, interval, listed, percent, size
from xt_jax.tasks.table import DIRECT, TASKS

TITLE = "What intermediate tasks add to zero-shot transfer, and how that changes with model size"
_NO_RESULTS = "There are no results yet: no target task has been scored."
_RUN_DIRECT = (
    "run the same command with `--config.intermediates=direct` and the same --workdir, then this "
    "report again."
)
_RUN_SIZES = "run the same command with another `size=` of the same family and the same --workdir."
_RUN_TARGETS = "run all of them with the same targets, seeds and intermediate tasks."
_ITEMS = 6  # lines 5 to 10


def answer(evidence: Evidence) -> list[Block]:
    """The command, the title, one paragraph, one item per intermediate task: ten lines at most."""
    top: list[Block] = [*_command(evidence), Heading(1, TITLE)]
    if not evidence.models:
        return [*top, Text(_NO_RESULTS)]
    if why := _no_gap(evidence):
        return [*top, Text(f"{why} {_counted(evidence, evidence.models)}", "No answer yet.")]
    ladder = _ladder(evidence)
    text = _paragraph(evidence, ladder)
    found = [_item(evidence, ladder, name) for name in evidence.others]
    items = [item for item in found if item is not None]
    if len(items) > _ITEMS:
        rest = " ".join(f"{item.strong} {item.text}" for item in items[_ITEMS - 1 :])
        items = [*items[: _ITEMS - 1], Text(rest)]
    return [*top, text, Bullets(tuple(items)), *_notes(evidence)]


def _command(evidence: Evidence) -> list[Block]:
    """The last that ran the study, or the one that trained most of the phases."""
    if evidence.command:
        return [Command(evidence.command, "")]
    # The parts of a study (`--config.shard`) are one command.
    commands = [
        re.sub(r" --config\.shard=\S+", "", phase.command)
        for phase in evidence.phases
        if phase.command
    ]
    if not commands:
        return []
    ranked = sorted(set(commands), key=lambda command: (-commands.count(command), command))
    more = f" and {count(len(ranked) - 1, 'other command')}" if len(ranked) > 1 else ""
    return [Command(ranked[0], more)]


def _no_gap(evidence: Evidence) -> str:
    """Why there is none, and what to do; empty where there is one."""
    if DIRECT not in evidence.intermediates:
        return f"There is no direct fine-tuning to compare with: {_RUN_DIRECT}"
    if not evidence.others:
        return (
            "Only direct fine-tuning has been scored: run the same command with an intermediate "
            "task, such as `--config.intermediates=mnli`, and the same --workdir."
        )
    if not evidence.findings.gaps:
        return (
            "No intermediate task has a seed, target and language that direct fine-tuning was "
            "scored in too, on the same examples: run both with the same seeds and data."
        )
    return ""


def _ladder(evidence: Evidence) -> list[Model]:
    """The family to speak of first: most sizes, then most rows."""
    families = [
        [model for model in models if any(_gaps(evidence, model.name))]
        for models in evidence.families.values()
    ]
    return max(families, key=lambda models: (sizes_of(models), sum(len(m.rows) for m in models)))


def _gaps(evidence: Evidence, model: str) -> list[Gap]:
    """Of every intermediate task, the mean over targets."""
    found = [evidence.gap(model, name, MEAN) for name in evidence.others]
    return [gap for gap in found if gap is not None]


def _paragraph(evidence: Evidence, ladder: list[Model]) -> Text:
    based_on = _counted(evidence, ladder)
    more = len(evidence.models) - len(ladder)
    if more:
        based_on += f" {count(more, 'model')} of other families or without a gap: below."
    family = next(f for f, models in evidence.families.items() if ladder[0] in models)
    overall = evidence.slope(family, MEAN, MEAN) or _only(evidence, family)
    if overall is None:
        strong, words = _no_slope(ladder)
    else:
        strong, words = _direction(evidence, ladder, overall)
    rest = _collapsed(evidence, ladder, overall) + based_on
    return Text(f"{words} {rest} By intermediate task, means over targets:", strong)


def _only(evidence: Evidence, family: str) -> Slope | None:
    """Of the only intermediate task."""
    if len(evidence.others) != 1:
        return None
    return evidence.slope(family, evidence.others[0], MEAN)


def _no_slope(ladder: list[Model]) -> tuple[str, str]:
    """Why nothing is said of size, in bold, and with what to do."""
    sizes = sizes_of(ladder)
    if sizes == 1:
        return (
            f"There is only one size, {ladder[0].name}: these are the gaps.",
            f"To see how they change with size, {_RUN_SIZES}",
        )
    if sizes < MIN_SIZES:
        return (
            f"There are only {sizes} sizes: these are the gaps.",
            f"To see how they change with size takes {MIN_SIZES}: {_RUN_SIZES}",
        )
    return (
        "How the gap changes with model size cannot be said.",
        f"No target has a gap at enough of the {sizes} sizes; {_RUN_TARGETS}",
    )


def _direction(evidence: Evidence, ladder: list[Model], slope: Slope) -> tuple[str, str]:
    """What happens to the gap, in bold, and with numbers."""
    estimate = slope.estimate
    smallest = [gap.estimate.value for gap in _gaps(evidence, ladder[0].name)]
    helps = sum(smallest) >= 0
    falling, rising = (
        ("shrinks", "grows") if helps else ("falls further below zero", "rises from below zero")
    )
    word = falling if estimate.value < 0 else rising
    who = "the only intermediate task" if slope.intermediate else "all intermediate tasks"
    change = f"{interval(estimate)} points for ten times the encoder parameters"
    over = f"mean over {who} and the targets that every size has"
    if math.isnan(estimate.positive):
        return (
            "How sure the change of the gap with model size is cannot be said from one seed.",
            f"It {word} by {change} ({over}).",
        )
    chance = percent(estimate.positive if estimate.value >= 0 else 1 - estimate.positive)
    if excludes_zero(estimate):
        strong = f"The gap {word} with model size."
    else:
        strong = "Whether the gap shrinks or grows with model size is open."
    return strong, f"It changes by {change} ({over}); the probability that it {word} is {chance}."


def _item(evidence: Evidence, ladder: list[Model], name: str) -> Text | None:
    """`mnli: +2.1 [+0.9, +3.3] points with mini-48, ...`: smallest, largest, slope."""
    found = [(model, evidence.gap(model.name, name, MEAN)) for model in ladder]
    have = [(model, gap.estimate) for model, gap in found if gap is not None]
    if not have:
        return None
    ends = have if len(have) < 3 else [have[0], have[-1]]
    first, *rest = [(model.name, interval(estimate)) for model, estimate in ends]
    text = f"{first[1]} points with {first[0]}"
    text += "".join(f", {amount} with {model}" for model, amount in rest)
    family = next(f for f, models in evidence.families.items() if ladder[0] in models)
    slope = evidence.slope(family, name, MEAN)
    if slope is not None:
        text += f"; {interval(slope.estimate)} per tenfold encoder parameters"
        if not math.isnan(slope.estimate.positive):
            text += f", above 0 with probability {percent(slope.estimate.positive)}"
    return Text(text + ".", f"{name}:")


def _collapsed(evidence: Evidence, ladder: list[Model], slope: Slope | None) -> str:
    """How many runs are at chance, and what is left without them."""
    names = {model.name for model in ladder}
    at_chance = sum(model in names for model, *_ in evidence.findings.collapsed)
    if not at_chance:
        return ""
    trained = [
        run for model in ladder for run in model.runs if run[1] in TASKS and TASKS[run[1]].train
    ]
    text = f"{at_chance:,} of {count(len(trained), 'run')} on a target are at chance in English"
    without = slope.without_collapsed if slope is not None else None
    if without is not None:
        text += f"; without them it changes by {interval(without)}"
    return text + ". "


def _counted(evidence: Evidence, models: Sequence[Model]) -> str:
    """`From 5 sizes (56 k to 4.7 M encoder parameters), 9 targets, 8 languages, 5 seeds.`"""
    params = [model.encoder_params for model in models]
    low, high = size(min(params)), size(max(params))
    span = f"{low} to {high}" if low != high else low
    targets = {target for model in models for target in model.first}
    rows = [row for model in models for row in model.rows]
    runs: dict[tuple, set[int]] = {}
    for row in rows:
        key = (row["model"], row["intermediate"], row["target"])
        runs.setdefault(key, set()).add(row["seed"])
    seeds = between([len(found) for found in runs.values()], "seed")
    languages = count(len({row["language"] for row in rows}), "language")
    others = count(len(evidence.others), "intermediate task")
    return (
        f"From {count(sizes_of(models), 'size')} ({span} encoder parameters), {others}, "
        f"{count(len(targets), 'target')}, {languages}, {seeds}."
    )


def _notes(evidence: Evidence) -> list[Block]:
    """What a gap is, what the brackets are, and how much of it is chance."""
    many = multiplicity(evidence.findings.gaps)
    notes = (
        "A gap is the score after an intermediate task less that of direct fine-tuning, in "
        "percentage points, paired by seed, mean over languages."
    )
    if not many.tested:
        return [Text(notes + " There is one seed, so no number here has an interval.")]
    sure = [g.estimate for g in evidence.target_gaps if not math.isnan(g.estimate.low)]
    notes += f" [ ]: {100 * CONFIDENCE:.0f} % interval, {_knows(sure)}."
    chance = f"about {many.by_chance:.0f}" if many.by_chance >= 1 else "fewer than one"
    comparisons = (
        "Each interval and each probability stands for itself and is not corrected for their "
        f"number. Of {count(many.tested, 'gap')} (model, intermediate task, target), "
        f"{many.excluding:,} have an interval that excludes 0; if no intermediate task did "
        f"anything, {chance} would. Taken together, {len(many.kept):,} of them are kept at a "
        f"false discovery rate of {100 * (1 - CONFIDENCE):.0f} % (Benjamini and Hochberg). Single "
        "cells are hints; the means over targets and the slopes are the answer."
    )
    return [Text(notes), Text(comparisons, "Many comparisons.")]


def _knows(estimates: Sequence[Estimate]) -> str:
    with_examples = {estimate.examples for estimate in estimates}
    over = {
        True: "over seeds and test examples",
        False: "over seeds alone, not over other test examples",
    }
    return listed([f"{over[kind]}" for kind in sorted(with_examples, reverse=True)])
