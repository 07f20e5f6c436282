"""Computes what a study shows: gaps to direct fine-tuning and their change with model size."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from xt_jax.records.json_files import Malformed
from xt_jax.records.results import Row
from xt_jax.report.statistics.bootstrap import Estimate, Paired, Term, estimate
from xt_jax.report.statistics.chance import not_learnt, share_at_chance
from xt_jax.report.statistics.combined import Sizes, combined
from xt_jax.report.statistics.contrasts import Contrast, ExampleScores, Shifts, contrasts, shifts_of
from xt_jax.report.statistics.families import ladders
from xt_jax.report.statistics.scaling import Scaling, scalings, slope_of
from xt_jax.report.statistics.scores import CONFIDENCE, as_frame, direct_first, first_metrics


@dataclass(frozen=True)
class Gap:
    """How much higher scores are after an intermediate task than after direct fine-tuning.

    Both sides are paired by pretraining run and seed.

    Attributes:
        size: the model, or all pretraining runs of one size.
        target, metric: "" for the mean over all targets on which the size has a gap.
        language: "" for the mean over all languages but English.
        chance_direct, chance_after: shares of the scores on either side that are at chance; NaN
            for a mean over targets.
    """

    size: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    language: str
    estimate: Estimate
    chance_direct: float = math.nan
    chance_after: float = math.nan


@dataclass(frozen=True)
class Slope:
    """How a gap (mean over all languages but English) changes with the number of parameters.

    Attributes:
        family: of sizes that differ in nothing else.
        intermediate, target: "" for the mean over all that every size has.
        parameters: `encoder` (without embeddings) or `total`.
        sizes: the number of different sizes.
        estimate: points per tenfold number of parameters.
    """

    family: str
    intermediate: str
    target: str
    parameters: str
    sizes: int
    estimate: Estimate


@dataclass(frozen=True)
class Across:
    """A model size's mean gap over the tasks and targets that the sizes of every family have."""

    contrast: str
    family: str
    size: str
    encoder_params: int
    estimate: Estimate


@dataclass(frozen=True)
class Findings:
    """Everything that a study shows.

    Attributes:
        across: the contrasts of every size of every family; () where there is one family.
        not_learnt: the sizes that have not learnt an intermediate task, by task.
    """

    gaps: tuple[Gap, ...] = ()
    slopes: tuple[Slope, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    not_learnt: dict[str, list[str]] = field(default_factory=dict)
    across: tuple[Across, ...] = ()


@dataclass(frozen=True)
class Multiplicity:
    """How many of the intervals shown would exclude 0 by chance, and how many do.

    Attributes:
        tested: gaps on single targets, mean over languages, and slopes over the encoder's
            parameters, that have an interval.
        by_chance: how many would exclude 0 if no intermediate task had an effect.
        excluding: how many do.
        kept: those that Benjamini and Hochberg (1995) keep, of which a share of at most
            1 - CONFIDENCE is expected to be chance. The procedure allows for gaps that are
            positively dependent because they share their direct runs.
    """

    tested: int
    by_chance: float
    excluding: int
    kept: tuple[Gap | Slope, ...]


def find(
    rows: pd.DataFrame | Sequence[Row],
    example_scores: ExampleScores,
    malformed: Malformed | None = None,
    by_layer: Mapping[str, pd.DataFrame] | None = None,
) -> Findings:
    """Computes the gaps and slopes of each target's first metric.

    Args:
        rows: the rows that count, see `scores.one_setting`, of the last checkpoint of each
            pretraining run.
        example_scores: returns those of a run and a data set; where there are none, intervals are
            from runs or seeds alone.
        malformed: called with the error of per-example scores that cannot be used, which are then
            left out.
        by_layer: the rows of retrieval for each way in which its layer was chosen.

    Raises:
        DataError: damaged per-example scores, or others than the row's, unless `malformed` is
            given.
    """
    rows = as_frame(rows)
    first = first_metrics(rows)
    layers = {how: first_metrics(of_layer) for how, of_layer in (by_layer or {}).items()}
    shifts = shifts_of(pd.concat([first, *layers.values()]), example_scores, malformed)
    comparisons = _comparisons(first, shifts)
    retrieval = {how: _comparisons(of_layer, shifts) for how, of_layer in layers.items()}
    unlearnt = not_learnt(first)
    slopes: list[Slope] = []
    fits: list[Scaling] = []
    for family, sizes in ladders(rows).items():
        of_sizes = [comparisons.get(size, []) for size in sizes]
        of_layers = {how: [by.get(size, []) for size in sizes] for how, by in retrieval.items()}
        slopes += _slopes(family, of_sizes)
        fits += scalings(family, of_sizes, of_layers, unlearnt)
    gaps = tuple(gap for of_size in comparisons.values() for gap in _gaps(of_size))
    across = tuple(_across(list(comparisons.values()), retrieval, unlearnt))
    return Findings(gaps, tuple(slopes), tuple(fits), unlearnt, across)


def _comparisons(first: pd.DataFrame, shifts: Shifts) -> dict[str, list[Contrast]]:
    """Returns the contrasts of each size."""
    return {
        str(size): list(contrasts(of_size, shifts))
        for size, of_size in first.groupby("size", sort=False)
    }


def multiplicity(findings: Findings) -> Multiplicity:
    """Counts how many of the gaps on single targets and of the slopes chance would show."""
    shown: list[Gap | Slope] = [
        *(gap for gap in findings.gaps if gap.target and not gap.language),
        *(slope for slope in findings.slopes if slope.parameters == "encoder"),
    ]
    tested = [finding for finding in shown if finding.estimate.has_interval]
    error = 1 - CONFIDENCE
    ranked = sorted(tested, key=_p_value)
    passed = [i for i, one in enumerate(ranked, 1) if _p_value(one) <= error * i / len(ranked)]
    return Multiplicity(
        len(tested),
        error * len(tested),
        sum(finding.estimate.excludes_zero for finding in tested),
        tuple(ranked[: max(passed, default=0)]),
    )


def _p_value(finding: Gap | Slope) -> float:
    """Returns the two-sided p-value of a gap or slope of 0."""
    return 2 * min(finding.estimate.positive, 1 - finding.estimate.positive)


def _gaps(comparisons: Sequence[Contrast]) -> Iterator[Gap]:
    """Yields one size's gaps: means over languages, each language, means over targets."""
    for contrast in comparisons:
        about = (*_about(contrast), contrast.target, contrast.metric)
        views = {"": contrast.transfer}
        views |= {
            language: [pair for pair in contrast.pairs if pair.language == language]
            for language in contrast.languages
        }
        for language, pairs in views.items():
            paired = contrast.of(language) if language else contrast.mean
            if paired is None:
                continue
            n = [pair.n for pair in pairs]
            sides = ([p.value_direct for p in pairs], [p.value for p in pairs])
            shares = [share_at_chance(contrast.target, n, values) for values in sides]
            yield Gap(*about, language, _mean([paired]), *shares)
    for name in direct_first({contrast.intermediate for contrast in comparisons}):
        of_task = [c for c in comparisons if c.intermediate == name and c.mean is not None]
        means = [contrast.mean for contrast in of_task if contrast.mean is not None]
        if means:
            yield Gap(*_about(of_task[0]), "", "", "", _mean(means))


def _about(contrast: Contrast) -> tuple[str, int, int, str]:
    c = contrast
    return c.size, c.encoder_params, c.total_params, c.intermediate


def _mean(parts: Sequence[Paired]) -> Estimate:
    return estimate([Term(1 / len(parts), "", part) for part in parts])


def _across(
    sizes: Sizes, retrieval: Mapping[str, Mapping[str, list[Contrast]]], not_learnt: Collection[str]
) -> Iterator[Across]:
    """Yields the contrasts of all sizes where these are of several families."""
    by_layer = {how: list(of_layer.values()) for how, of_layer in retrieval.items()}
    if len({of_size[0].family for of_size in sizes if of_size}) < 2:
        return
    for one in combined(sizes, by_layer, not_learnt):
        for size, mean in zip(one.sizes, one.means, strict=True):
            yield Across(one.contrast, size.family, size.size, size.encoder_params, mean)


def _slopes(family: str, sizes: Sequence[Sequence[Contrast]]) -> Iterator[Slope]:
    """Yields slopes: means over everything first, then one intermediate task, target, or pair."""
    by_key = [{c.key: c for c in size if c.mean is not None} for size in sizes]
    every = list(dict.fromkeys(key for of_size in by_key for key in of_size))
    common = [key for key in every if all(key in of_size for of_size in by_key)]
    names = direct_first({name for name, _ in every})
    targets = list(dict.fromkeys(target for _, target in every))
    for name in ("", *names):
        for target in ("", *targets):
            if name and target:
                keys = [(name, target)]
            else:
                keys = [k for k in common if name in ("", k[0]) and target in ("", k[1])]
            have = [of_size for of_size in by_key if keys and all(k in of_size for k in keys)]
            chosen = [[of_size[key] for key in keys] for of_size in have]
            for parameters in ("encoder", "total"):
                params = [_parameters(size[0], parameters) for size in chosen]
                means = [[c.mean for c in size if c.mean is not None] for size in chosen]
                slope = slope_of(params, means)
                if slope is not None:
                    yield Slope(family, name, target, parameters, len(set(params)), slope)


def _parameters(contrast: Contrast, parameters: str) -> int:
    return contrast.encoder_params if parameters == "encoder" else contrast.total_params
