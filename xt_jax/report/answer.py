"""Writes the first page of a report: what intermediate tasks add, and how size changes that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from xt_jax.report.document import Block, Bullets, Command, Heading, Text
from xt_jax.report.gap_tables import scaling_table
from xt_jax.report.statistics.bootstrap import SIZES
from xt_jax.report.statistics.chance import MARGIN
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.findings import Gap, multiplicity
from xt_jax.report.statistics.scaling import Scaling
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import MEAN, Model, StudyResults, sizes_of
from xt_jax.report.text import between, count, interval, listed, points, size
from xt_jax.tasks.table import DIRECT

TITLE = "What intermediate tasks add to zero-shot transfer, and how that changes with model size"
_NO_RESULTS = "There are no results yet: no target task has been scored."
_RUN_DIRECT = (
    "run the same command with `--config.intermediates=direct` and the same --workdir, then this "
    "report again."
)
_RUN_SIZES = "run the same command with another `size=` of the same family and the same --workdir."
_RUN_TARGETS = "run all of them with the same targets, seeds and intermediate tasks."


def answer(study: StudyResults, pictures: Sequence[Block] = ()) -> list[Block]:
    """Returns what a reader with a minute reads: the command, sentences, a picture, a table.

    Args:
        pictures: the contrasts against model size.
    """
    top = [*_command(study), Heading(1, TITLE)]
    if not study.models:
        return [*top, Text(_NO_RESULTS)]
    if why := _no_gap(study):
        return [*top, Text(f"{why} {_counted(study, study.models)}", "No answer yet.")]
    family, ladder = _ladder(study)
    fits = study.scalings(family)
    based_on = _counted(study, ladder)
    outside = len(study.models) - len(ladder)
    if outside:
        based_on += f" {count(outside, 'model')} of other families or without a gap: below."
    if fits:
        sentences: list[Block] = [Bullets(tuple(_sentence(fit) for fit in fits))]
        based_on += _left_out(study)
        tables = scaling_table(study, family)
    else:
        strong, text = _no_slope(ladder)
        items = [item for name in study.others for item in _item(study, ladder, name)]
        sentences, tables = [Text(text, strong), Bullets(tuple(items))], []
    return [*top, *sentences, *pictures, *tables, Text(based_on), *_notes(study)]


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


def _sentence(fit: Scaling) -> Text:
    """Returns how one contrast changes with model size, or that this cannot be said."""
    first, last = points(fit.means[0].value), points(fit.means[-1].value)
    ends = f"the gap is {first} points with {fit.sizes[0]} and {last} with {fit.sizes[-1]}"
    change = f"{interval(fit.slope)} points for ten times the encoder parameters"
    if fit.slope.unit == SIZES or not fit.slope.has_interval:
        verdict = f"{ends}; the line through the {len(fit.sizes)} sizes changes by {change}."
    elif fit.lack_of_fit < 1 - CONFIDENCE:
        verdict = (
            f"{ends}, but the sizes do not lie on a line (p = {fit.lack_of_fit:.1g}), so no slope "
            "stands for them."
        )
    elif fit.slope.excludes_zero:
        verdict = f"it {'rises' if fit.slope.value > 0 else 'falls'} by {change}; {ends}."
    else:
        verdict = f"no change with size is shown: {change}; {ends}."
    return Text(verdict, f"{fit.contrast[0].upper()}{fit.contrast[1:]}:")


def _left_out(study: StudyResults) -> str:
    """Names the intermediate tasks that some size has not learnt."""
    tasks = [f"{name} ({', '.join(sizes)})" for name, sizes in study.findings.not_learnt.items()]
    if not tasks:
        return ""
    return (
        f" Not learnt, and so in none of the contrasts: {listed(tasks)}; the dev score is less "
        f"than {MARGIN:.0f} points above chance."
    )


def _item(study: StudyResults, ladder: list[Model], name: str) -> list[Text]:
    """Returns one line, `mnli: +2.1 [+0.9, +3.3] points with mini-48, ...`, of the ends."""
    gaps = [(model.name, study.gap(model.name, name, MEAN)) for model in ladder]
    amounts = [(interval(gap.estimate), model) for model, gap in gaps if gap is not None]
    if not amounts:
        return []
    (first, model), *largest = amounts if len(amounts) < 3 else [amounts[0], amounts[-1]]
    text = f"{first} points with {model}" + "".join(f", {amount} with {m}" for amount, m in largest)
    return [Text(text + ".", f"{name}:")]


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
    """Explains gaps and their brackets, and how many would exclude 0 by chance."""
    tests = multiplicity(study.findings)
    notes = (
        "A gap is the score after an intermediate task less that of direct fine-tuning, in "
        "percentage points, paired by pretraining run and seed, mean over all languages but "
        "English."
    )
    if not tests.tested:
        return [Text(notes + " There is one seed, so no number here has an interval.")]
    notes += f" [ ]: {100 * CONFIDENCE:.0f} % interval, {_over(study)}."
    chance = f"about {tests.by_chance:.0f}" if tests.by_chance >= 1 else "fewer than one"
    comparisons = (
        "Each interval stands for itself and is not corrected for their number. Of "
        f"{count(tests.tested, 'gap')} and slopes on single targets and in the mean, "
        f"{tests.excluding:,} have an interval that excludes 0; if no intermediate task did "
        f"anything, {chance} would. Taken together, {len(tests.kept):,} of them are kept at a "
        f"false discovery rate of {100 * (1 - CONFIDENCE):.0f} % (Benjamini and Hochberg)."
    )
    return [Text(notes), Text(comparisons, "Many comparisons.")]


def _over(study: StudyResults) -> str:
    """Says what the intervals of gaps and slopes are over."""
    gaps = [gap.estimate for gap in study.target_gaps if gap.estimate.has_interval]
    units = sorted({estimate.unit for estimate in gaps})
    text = f"of a gap over {listed(units)}" if gaps else "of a gap none"
    if gaps and all(estimate.examples for estimate in gaps):
        text += " and test examples"
    elif any(estimate.examples for estimate in gaps):
        text += ", where known also over test examples"
    slopes = [slope.estimate for slope in study.findings.slopes if slope.estimate.has_interval]
    if any(estimate.unit == SIZES for estimate in slopes):
        freedom = min(estimate.units for estimate in slopes if estimate.unit == SIZES) - 2
        text += (
            f"; of a slope over sizes, with {count(freedom, 'degree')} of freedom. A size has one "
            "pretraining run here: whether other runs would show the same is not known, and the "
            "interval holds only if the sizes lie on a line"
        )
    elif slopes:
        text += f"; of a slope over the pretraining runs, {slopes[0].units} or more at each size"
    return text
