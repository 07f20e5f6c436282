"""Writes the first lines of a report: what intermediate tasks add, and how size changes that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from xt_jax.report.document import Block, Bullets, Command, Heading, Text
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.findings import Gap, Slope, multiplicity
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import MEAN, Model, StudyResults, sizes_of
from xt_jax.report.text import between, count, interval, listed, percent, size
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


def answer(study: StudyResults) -> list[Block]:
    """Returns the command, title, a paragraph and an item per intermediate task: ten lines."""
    top = [*_command(study), Heading(1, TITLE)]
    if not study.models:
        return [*top, Text(_NO_RESULTS)]
    if why := _no_gap(study):
        return [*top, Text(f"{why} {_counted(study, study.models)}", "No answer yet.")]
    family, ladder = _ladder(study)
    items = [item for name in study.others for item in _item(study, family, ladder, name)]
    if len(items) > _ITEMS:
        last_line = " ".join(f"{item.strong} {item.text}" for item in items[_ITEMS - 1 :])
        items = [*items[: _ITEMS - 1], Text(last_line)]
    return [*top, _paragraph(study, family, ladder), Bullets(tuple(items)), *_notes(study)]


def _command(study: StudyResults) -> list[Block]:
    """Returns the command that last ran the study, or the one that trained most phases."""
    if study.command:
        return [Command(study.command)]
    # The shards of a study (`--config.shard`) are one command.
    commands = Counter(
        re.sub(r" --config\.shard=\S+", "", phase.command)
        for phase in study.phases
        if phase.command
    )
    if not commands:
        return []
    ranked = sorted(commands, key=lambda command: (-commands[command], command))
    remark = f" and {count(len(ranked) - 1, 'other command')}" if len(ranked) > 1 else ""
    return [Command(ranked[0], remark)]


def _no_gap(study: StudyResults) -> str:
    """Returns why the study has no gap and what to run; empty where it has one."""
    if DIRECT not in study.intermediates:
        return f"There is no direct fine-tuning to compare with: {_RUN_DIRECT}"
    if not study.others:
        return (
            "Only direct fine-tuning has been scored: run the same command with an intermediate "
            "task, such as `--config.intermediates=mnli`, and the same --workdir."
        )
    if not study.findings.gaps:
        return (
            "No intermediate task has a seed, target and language that direct fine-tuning was "
            "scored in too, on the same examples: run both with the same seeds and data."
        )
    return ""


def _ladder(study: StudyResults) -> tuple[str, list[Model]]:
    """Returns the family with most sizes, then most rows, and its models that have a gap."""
    with_gap = {
        family: [model for model in models if _gaps(study, model.name)]
        for family, models in study.families.items()
    }
    return max(
        with_gap.items(), key=lambda item: (sizes_of(item[1]), sum(len(m.rows) for m in item[1]))
    )


def _gaps(study: StudyResults, model: str) -> list[Gap]:
    """Returns the gap of each intermediate task, as the mean over targets."""
    gaps = [study.gap(model, name, MEAN) for name in study.others]
    return [gap for gap in gaps if gap is not None]


def _paragraph(study: StudyResults, family: str, ladder: list[Model]) -> Text:
    based_on = _counted(study, ladder)
    outside = len(study.models) - len(ladder)
    if outside:
        based_on += f" {count(outside, 'model')} of other families or without a gap: below."
    overall = study.slope(family, MEAN, MEAN)
    if overall is None and len(study.others) == 1:
        overall = study.slope(family, study.others[0], MEAN)
    strong, text = _direction(study, ladder, overall) if overall else _no_slope(ladder)
    based_on = _collapsed(study, ladder, overall) + based_on
    return Text(f"{text} {based_on} By intermediate task, means over targets:", strong)


def _no_slope(ladder: list[Model]) -> tuple[str, str]:
    """Returns why the gap cannot be compared across sizes, in bold, and what to run."""
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


def _direction(study: StudyResults, ladder: list[Model], slope: Slope) -> tuple[str, str]:
    """Returns how the gap changes with model size, in bold, and the numbers."""
    estimate = slope.estimate
    smallest = [gap.estimate.value for gap in _gaps(study, ladder[0].name)]
    helps = sum(smallest) >= 0
    falling, rising = (
        ("shrinks", "grows") if helps else ("falls further below zero", "rises from below zero")
    )
    word = falling if estimate.value < 0 else rising
    tasks = "the only intermediate task" if slope.intermediate else "all intermediate tasks"
    change = f"{interval(estimate)} points for ten times the encoder parameters"
    over = f"mean over {tasks} and the targets that every size has"
    if not estimate.has_interval:
        return (
            "How sure the change of the gap with model size is cannot be said from one seed.",
            f"It {word} by {change} ({over}).",
        )
    chance = percent(estimate.positive if estimate.value >= 0 else 1 - estimate.positive)
    if estimate.excludes_zero:
        strong = f"The gap {word} with model size."
    else:
        strong = "Whether the gap shrinks or grows with model size is open."
    return strong, f"It changes by {change} ({over}); the probability that it {word} is {chance}."


def _item(study: StudyResults, family: str, ladder: list[Model], name: str) -> list[Text]:
    """Returns one line, `mnli: +2.1 [+0.9, +3.3] points with mini-48, ...`: ends and slope."""
    gaps = [(model.name, study.gap(model.name, name, MEAN)) for model in ladder]
    amounts = [(interval(gap.estimate), model) for model, gap in gaps if gap is not None]
    if not amounts:
        return []
    (first, model), *largest = amounts if len(amounts) < 3 else [amounts[0], amounts[-1]]
    text = f"{first} points with {model}" + "".join(f", {amount} with {m}" for amount, m in largest)
    slope = study.slope(family, name, MEAN)
    if slope is not None:
        text += f"; {interval(slope.estimate)} per tenfold encoder parameters"
        if slope.estimate.has_interval:
            text += f", above 0 with probability {percent(slope.estimate.positive)}"
    return [Text(text + ".", f"{name}:")]


def _collapsed(study: StudyResults, ladder: list[Model], slope: Slope | None) -> str:
    """Returns how many runs are at chance, and the slope without them."""
    names = {model.name for model in ladder}
    at_chance = sum(model in names for model, *_ in study.findings.collapsed)
    if not at_chance:
        return ""
    rows = pd.concat([model.rows for model in ladder])
    trained = rows[rows["target"].map(lambda target: target in TASKS and bool(TASKS[target].train))]
    runs = len(trained.drop_duplicates(["model", "intermediate", "target", "seed"]))
    text = f"{at_chance:,} of {count(runs, 'run')} on a target are at chance in English"
    without = slope.without_collapsed if slope is not None else None
    if without is not None:
        text += f"; without them it changes by {interval(without)}"
    return text + ". "


def _counted(study: StudyResults, models: Sequence[Model]) -> str:
    """Returns `From 5 sizes (56 k to 4.7 M encoder parameters), 9 targets, 8 languages ...`"""
    params = [model.encoder_params for model in models]
    low, high = size(min(params)), size(max(params))
    span = f"{low} to {high}" if low != high else low
    targets = {target for model in models for target in model.first}
    rows = pd.concat([model.rows for model in models])
    seeds = rows.groupby(["model", "intermediate", "target"])["seed"].nunique().tolist()
    return (
        f"From {count(sizes_of(models), 'size')} ({span} encoder parameters), "
        f"{count(len(study.others), 'intermediate task')}, {count(len(targets), 'target')}, "
        f"{count(rows['language'].nunique(), 'language')}, {between(seeds, 'seed')}."
    )


def _notes(study: StudyResults) -> list[Block]:
    """Explains gaps and their brackets, and how many gaps would appear by chance."""
    tests = multiplicity(study.findings.gaps)
    notes = (
        "A gap is the score after an intermediate task less that of direct fine-tuning, in "
        "percentage points, paired by seed, mean over languages."
    )
    if not tests.tested:
        return [Text(notes + " There is one seed, so no number here has an interval.")]
    kinds = {gap.estimate.examples for gap in study.target_gaps if gap.estimate.has_interval}
    over = {
        True: "over seeds and test examples",
        False: "over seeds alone, not over other test examples",
    }
    about = listed([over[kind] for kind in sorted(kinds, reverse=True)])
    notes += f" [ ]: {100 * CONFIDENCE:.0f} % interval, {about}."
    chance = f"about {tests.by_chance:.0f}" if tests.by_chance >= 1 else "fewer than one"
    comparisons = (
        "Each interval and each probability stands for itself and is not corrected for their "
        f"number. Of {count(tests.tested, 'gap')} (model, intermediate task, target), "
        f"{tests.excluding:,} have an interval that excludes 0; if no intermediate task did "
        f"anything, {chance} would. Taken together, {len(tests.kept):,} of them are kept at a "
        f"false discovery rate of {100 * (1 - CONFIDENCE):.0f} % (Benjamini and Hochberg). Single "
        "cells are hints; the means over targets and the slopes are the answer."
    )
    return [Text(notes), Text(comparisons, "Many comparisons.")]
