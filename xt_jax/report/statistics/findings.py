"""What a study found: gaps to direct fine-tuning and how they change with model size."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xt_jax.records.results import Row
from xt_jax.report.statistics.bootstrap import Estimate, Paired, Term, estimate, slope_weights
from xt_jax.report.statistics.collapse import collapsed
from xt_jax.report.statistics.compare import CONFIDENCE, collect, direct_first, first_metrics
from xt_jax.report.statistics.contrasts import (
    Contrast,
    ExampleScores,
    contrasts,
    shifts_of,
    without,
)
from xt_jax.report.statistics.families import MIN_SIZES, ladders


@dataclass(frozen=True)
class Gap:
    """What an intermediate task adds to direct fine-tuning, paired by seed.

    Attributes:
        target, metric: "" for the mean over all targets that the model has a gap on.
        language: "" for the mean over languages.
        collapsed: seeds of which either side is at chance on English.
        without_collapsed: the estimate from the other seeds; None where `collapsed` is empty or
            nothing is left.
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
        family: of models, as `families.family_of` names it.
        intermediate, target: "" for the mean over all that every size has.
        parameters: `encoder` (without embeddings) or `total`.
        sizes: how many there are.
        without_collapsed: as in `Gap`, from the sizes and tasks that keep two seeds at least.
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
    """Attributes:
    collapsed: (model, intermediate or `direct`, target, seed) of every run at chance.
    """

    gaps: tuple[Gap, ...]
    slopes: tuple[Slope, ...]
    collapsed: tuple[tuple[str, str, str, int], ...] = ()


@dataclass(frozen=True)
class Multiplicity:
    """What to make of many intervals at once.

    Attributes:
        tested: gaps on a single target, mean over languages, that have an interval.
        by_chance: how many would exclude 0 if no intermediate task did anything.
        excluding: how many do.
        kept: those that Benjamini and Hochberg (1995) keep, of which at most 1 - CONFIDENCE are
            expected to be chance. Gaps share their direct runs and so err alike, which it bears.
    """

    tested: int
    by_chance: float
    excluding: int
    kept: tuple[Gap, ...]


def find(rows: Sequence[Row], example_scores: ExampleScores) -> Findings:
    """Gaps and slopes of each target's first metric.

    Args:
        rows: those that count, see `compare.one_setting`.
        example_scores: of single examples; where it has none, intervals are from seeds alone.

    Raises:
        DataError: example_scores that do not give the row's value.
    """
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_model[row["model"]].append(row)
    first = {model: first_metrics(collect(mine)) for model, mine in by_model.items()}
    counting = {model: _rows_of(first[model]) for model in by_model}
    drawn = shifts_of([row for some in counting.values() for row in some], example_scores)
    at_chance = {model: collapsed(some) for model, some in counting.items()}
    found = {
        model: list(contrasts(mine, first[model], at_chance[model], drawn))
        for model, mine in by_model.items()
    }
    return Findings(
        tuple(gap for some in found.values() for gap in _gaps(some)),
        tuple(_slopes(ladders(rows), found)),
        tuple((model, *run) for model, runs in at_chance.items() for run in sorted(runs)),
    )


def multiplicity(gaps: Sequence[Gap]) -> Multiplicity:
    """How many of the gaps on single targets (mean over languages) chance would show."""
    tested = [
        gap
        for gap in gaps
        if gap.target and not gap.language and not math.isnan(gap.estimate.positive)
    ]
    error = 1 - CONFIDENCE
    ranked = sorted(tested, key=_p_value)
    passed = [i for i, gap in enumerate(ranked, 1) if _p_value(gap) <= error * i / len(ranked)]
    return Multiplicity(
        len(tested),
        error * len(tested),
        sum(not gap.estimate.low <= 0 <= gap.estimate.high for gap in tested),
        tuple(ranked[: max(passed, default=0)]),
    )


def _p_value(gap: Gap) -> float:
    """Two-sided."""
    return 2 * min(gap.estimate.positive, 1 - gap.estimate.positive)


def _rows_of(scores: dict) -> list[Row]:
    return [
        row
        for columns in scores.values()
        for seeds in columns.values()
        for by_language in seeds.values()
        for row in by_language.values()
    ]


def _gaps(found: Sequence[Contrast]) -> Iterator[Gap]:
    """Of one model: each target's mean over languages and each language; then means of targets."""
    for one in found:
        views = {"": one.mean, **{language: one.of(language) for language in one.languages}}
        for language, paired in views.items():
            bad = tuple(seed for seed in one.collapsed if seed in paired.seeds)
            left = without(paired, bad) if bad else None
            yield Gap(
                *_about(one),
                target=one.target,
                metric=one.metric,
                language=language,
                estimate=estimate([Term(1.0, one.model, paired)]),
                collapsed=bad,
                without_collapsed=estimate([Term(1.0, one.model, left)]) if left else None,
            )
    for name in direct_first({one.intermediate for one in found}):
        some = [one for one in found if one.intermediate == name]
        rest = [left for one in some if (left := one.mean_without_collapsed) is not None]
        bad = tuple(sorted({seed for one in some for seed in one.collapsed}))
        yield Gap(
            *_about(some[0]),
            target="",
            metric="",
            language="",
            estimate=_mean([one.mean for one in some]),
            collapsed=bad,
            without_collapsed=_mean(rest) if bad and rest else None,
        )


def _about(one: Contrast) -> tuple[str, int, int, str]:
    return one.model, one.encoder_params, one.total_params, one.intermediate


def _mean(parts: Sequence[Paired]) -> Estimate:
    return estimate([Term(1 / len(parts), "", part) for part in parts])


def _slopes(families: dict[str, list[str]], found: dict[str, list[Contrast]]) -> Iterator[Slope]:
    """Means over all first, then one intermediate task, one target, single pairs."""
    for family, models in families.items():
        of_models = {model: {_pair(one): one for one in found[model]} for model in models}
        every = list(dict.fromkeys(pair for pairs in of_models.values() for pair in pairs))
        common = [pair for pair in every if all(pair in pairs for pairs in of_models.values())]
        names = direct_first({name for name, _ in every})
        targets = list(dict.fromkeys(target for _, target in every))
        for name in ("", *names):
            for target in ("", *targets):
                if name and target:
                    pairs = [(name, target)]
                else:
                    pairs = [p for p in common if name in ("", p[0]) and target in ("", p[1])]
                have = [of for of in of_models.values() if pairs and all(p in of for p in pairs)]
                sizes = [[of[pair] for pair in pairs] for of in have]
                for parameters in ("encoder", "total"):
                    slope = _slope(sizes, parameters)
                    if slope is not None:
                        yield Slope(family, name, target, parameters, *slope)


def _pair(one: Contrast) -> tuple[str, str]:
    return one.intermediate, one.target


def _slope(
    sizes: Sequence[Sequence[Contrast]], parameters: str
) -> tuple[int, Estimate, Estimate | None] | None:
    """(sizes, slope, slope without collapsed runs); None where there are too few sizes."""
    whole = _fitted([[(one, one.mean) for one in size] for size in sizes], parameters)
    if whole is None:
        return None
    rest = None
    if any(one.collapsed for size in sizes for one in size):
        lost = {_pair(one) for size in sizes for one in size if one.mean_without_collapsed is None}
        if len(sizes[0]) == 1:
            lost = set()  # a size is lost, not the pair at every size
        left = [
            [
                (one, one.mean_without_collapsed)
                for one in size
                if one.mean_without_collapsed is not None and _pair(one) not in lost
            ]
            for size in sizes
        ]
        rest = _fitted([size for size in left if size], parameters)
    return len({_parameters(size[0], parameters) for size in sizes}), whole, rest


def _fitted(sizes: Sequence[Sequence[tuple[Contrast, Paired]]], parameters: str) -> Estimate | None:
    """The least-squares slope of each size's mean."""
    x = [math.log10(_parameters(size[0][0], parameters)) for size in sizes]
    if len(set(x)) < MIN_SIZES:
        return None
    return estimate(
        [
            Term(weight / len(size), one.model, paired)
            for weight, size in zip(slope_weights(x).tolist(), sizes, strict=True)
            for one, paired in size
        ]
    )


def _parameters(one: Contrast, parameters: str) -> int:
    return one.encoder_params if parameters == "encoder" else one.total_params
