"""Computes what a study shows: gaps to direct fine-tuning and their change with model size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from xt_jax.records.json_files import Malformed
from xt_jax.records.results import Row
from xt_jax.report.statistics.bootstrap import Estimate, Paired, Term, estimate, slope_weights
from xt_jax.report.statistics.collapse import collapsed
from xt_jax.report.statistics.contrasts import (
    Contrast,
    ExampleScores,
    contrasts,
    shifts_of,
    without,
)
from xt_jax.report.statistics.families import MIN_SIZES, ladders
from xt_jax.report.statistics.scores import CONFIDENCE, as_frame, direct_first, first_metrics


@dataclass(frozen=True)
class Gap:
    """What an intermediate task adds to direct fine-tuning, paired by seed.

    Attributes:
        target, metric: "" for the mean over all targets on which the model has a gap.
        language: "" for the mean over languages.
        collapsed: seeds in which either side is at chance on English.
        without_collapsed: the estimate from the other seeds; None where there are none, or where
            `collapsed` is empty.
    """

    model: str
    encoder_params: int
    total_params: int
    intermediate: str
    target: str
    metric: str
    language: str
    estimate: Estimate
    collapsed: tuple[int, ...] = ()
    without_collapsed: Estimate | None = None


@dataclass(frozen=True)
class Slope:
    """How a gap (mean over languages) changes with the logarithm of the number of parameters.

    Attributes:
        family: the family of models, as `families.family_of` names it.
        intermediate, target: "" for the mean over all that every size has.
        parameters: `encoder` (without embeddings) or `total`.
        sizes: the number of different sizes.
        without_collapsed: as in `Gap`, from the sizes and tasks that keep at least two seeds.
    """

    family: str
    intermediate: str
    target: str
    parameters: str
    sizes: int
    estimate: Estimate
    without_collapsed: Estimate | None = None


@dataclass(frozen=True)
class Findings:
    """Everything that a study shows.

    Attributes:
        collapsed: (model, intermediate or `direct`, target, seed) of every run at chance.
    """

    gaps: tuple[Gap, ...] = ()
    slopes: tuple[Slope, ...] = ()
    collapsed: tuple[tuple[str, str, str, int], ...] = ()


@dataclass(frozen=True)
class Multiplicity:
    """How many of the intervals would exclude 0 by chance, and how many do.

    Attributes:
        tested: gaps on a single target, mean over languages, that have an interval.
        by_chance: how many would exclude 0 if no intermediate task had an effect.
        excluding: how many do.
        kept: the gaps that Benjamini and Hochberg (1995) keep, of which a share of at most
            1 - CONFIDENCE is expected to be chance. The procedure allows for gaps that are
            positively dependent because they share their direct runs.
    """

    tested: int
    by_chance: float
    excluding: int
    kept: tuple[Gap, ...]


def find(
    rows: pd.DataFrame | Sequence[Row],
    example_scores: ExampleScores,
    malformed: Malformed | None = None,
) -> Findings:
    """Computes the gaps and slopes of each target's first metric.

    Args:
        rows: the rows that count, see `scores.one_setting`.
        example_scores: returns those of a run and a data set; where there are none, intervals are
            from seeds alone.
        malformed: called with the error of per-example scores that cannot be used, which are then
            left out.

    Raises:
        DataError: damaged per-example scores, or others than the row's, unless `malformed` is
            given.
    """
    rows = as_frame(rows)
    first = first_metrics(rows)
    by_model = {str(model): of_model for model, of_model in first.groupby("model", sort=False)}
    shifts = shifts_of(first, example_scores, malformed)
    at_chance = {m: collapsed(of_model.to_dict("records")) for m, of_model in by_model.items()}
    comparisons = {m: list(contrasts(by_model[m], at_chance[m], shifts)) for m in by_model}
    return Findings(
        tuple(gap for of_model in comparisons.values() for gap in _gaps(of_model)),
        tuple(_slopes(ladders(rows), comparisons)),
        tuple((model, *run) for model, runs in at_chance.items() for run in sorted(runs)),
    )


def multiplicity(gaps: Sequence[Gap]) -> Multiplicity:
    """Counts how many gaps on single targets (means over languages) chance would show."""
    tested = [g for g in gaps if g.target and not g.language and g.estimate.has_interval]
    error = 1 - CONFIDENCE
    ranked = sorted(tested, key=_p_value)
    passed = [i for i, gap in enumerate(ranked, 1) if _p_value(gap) <= error * i / len(ranked)]
    return Multiplicity(
        len(tested),
        error * len(tested),
        sum(gap.estimate.excludes_zero for gap in tested),
        tuple(ranked[: max(passed, default=0)]),
    )


def _p_value(gap: Gap) -> float:
    """Returns the two-sided p-value of a gap of 0."""
    return 2 * min(gap.estimate.positive, 1 - gap.estimate.positive)


def _gaps(comparisons: Sequence[Contrast]) -> Iterator[Gap]:
    """Yields one model's gaps: means over languages, each language, means over targets."""
    for contrast in comparisons:
        views = {"": contrast.mean, **{lang: contrast.of(lang) for lang in contrast.languages}}
        for language, paired in views.items():
            bad = tuple(seed for seed in contrast.collapsed if seed in paired.seeds)
            good = without(paired, bad) if bad else None
            yield Gap(
                *_about(contrast),
                contrast.target,
                contrast.metric,
                language,
                _mean([paired]),
                bad,
                _mean([good]) if good else None,
            )
    for name in direct_first({contrast.intermediate for contrast in comparisons}):
        of_task = [contrast for contrast in comparisons if contrast.intermediate == name]
        means = [contrast.mean_without_collapsed for contrast in of_task]
        good_means = [mean for mean in means if mean is not None]
        bad = tuple(sorted({seed for contrast in of_task for seed in contrast.collapsed}))
        yield Gap(
            *_about(of_task[0]),
            "",
            "",
            "",
            _mean([contrast.mean for contrast in of_task]),
            bad,
            _mean(good_means) if bad and good_means else None,
        )


def _about(contrast: Contrast) -> tuple[str, int, int, str]:
    c = contrast
    return c.model, c.encoder_params, c.total_params, c.intermediate


def _mean(parts: Sequence[Paired]) -> Estimate:
    return estimate([Term(1 / len(parts), "", part) for part in parts])


def _slopes(
    families: dict[str, list[str]], comparisons: dict[str, list[Contrast]]
) -> Iterator[Slope]:
    """Yields slopes: means over everything first, then one intermediate task, target, or pair."""
    for family, models in families.items():
        of_models = [{c.key: c for c in comparisons.get(model, [])} for model in models]
        every = list(dict.fromkeys(key for by_key in of_models for key in by_key))
        common = [key for key in every if all(key in by_key for by_key in of_models)]
        names = direct_first({name for name, _ in every})
        targets = list(dict.fromkeys(target for _, target in every))
        for name in ("", *names):
            for target in ("", *targets):
                if name and target:
                    keys = [(name, target)]
                else:
                    keys = [k for k in common if name in ("", k[0]) and target in ("", k[1])]
                have = [by_key for by_key in of_models if keys and all(k in by_key for k in keys)]
                sizes = [[by_key[key] for key in keys] for by_key in have]
                for parameters in ("encoder", "total"):
                    slope = _slope(sizes, parameters)
                    if slope is not None:
                        yield Slope(family, name, target, parameters, *slope)


def _slope(
    sizes: Sequence[Sequence[Contrast]], parameters: str
) -> tuple[int, Estimate, Estimate | None] | None:
    """Returns the number of sizes, the slope, and the slope without collapsed runs.

    None where there are too few sizes.
    """
    slope = _fitted([[(c, c.mean) for c in size] for size in sizes], parameters)
    if slope is None:
        return None
    without_collapsed = None
    if any(c.collapsed for size in sizes for c in size):
        lost = {c.key for size in sizes for c in size if c.mean_without_collapsed is None}
        if len(sizes[0]) == 1:
            lost = set()  # a size is lost, not the pair at every size
        good_sizes = [
            [
                (c, c.mean_without_collapsed)
                for c in size
                if c.mean_without_collapsed is not None and c.key not in lost
            ]
            for size in sizes
        ]
        without_collapsed = _fitted([size for size in good_sizes if size], parameters)
    return len({_parameters(size[0], parameters) for size in sizes}), slope, without_collapsed


def _fitted(sizes: Sequence[Sequence[tuple[Contrast, Paired]]], parameters: str) -> Estimate | None:
    """Returns the least-squares slope of the sizes' means."""
    x = [math.log10(_parameters(size[0][0], parameters)) for size in sizes]
    if len(set(x)) < MIN_SIZES:
        return None
    return estimate(
        [
            Term(weight / len(size), contrast.model, paired)
            for weight, size in zip(slope_weights(x).tolist(), sizes, strict=True)
            for contrast, paired in size
        ]
    )


def _parameters(contrast: Contrast, parameters: str) -> int:
    return contrast.encoder_params if parameters == "encoder" else contrast.total_params
