"""Rows of a whole study with known gaps, and findings for them by the plainest statistics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np
from rows import rows_of
from scipy.special import stdtr

from xt_jax.study.compare import collect, gap, half_width, seed_means, without_layers
from xt_jax.study.evidence import MEAN, Evidence, models_of
from xt_jax.study.families import MIN_SIZES, family_of
from xt_jax.study.findings import Estimate, Findings, Gap, Slope
from xt_jax.study.phase_logs import PhaseLog
from xt_jax.study.results import Row
from xt_jax.tasks.table import TARGETS, TASKS

MINI = {
    "mini-48": 56_544,
    "mini-64": 149_952,
    "mini-128": 793_088,
    "mini-192": 2_669_184,
    "mini-256": 6_324_000,
}
LAYERS = {"mini-48": 2, "mini-64": 3, "mini-128": 4, "mini-192": 6, "mini-256": 8}
BRANCHES = ("direct", "mnli", "squad", "qqp", "hellaswag", "mnli+squad+qqp+hellaswag")
WORLD = ("ar", "de", "en", "es", "hi", "ru", "tr", "zh")
EFFECTS = {"mnli": (3.0, -1.5), "squad": (2.0, 0.2), "qqp": (-1.0, 0.0), "hellaswag": (0.8, -0.6)}
LEVELS = (45, 50, 60, 75, 22, 27, 30, 25, 55)


def effect(intermediate: str, params: int, target: str) -> float:
    """The true gap: of the smallest size, and what ten times the parameters add."""
    if intermediate == "direct":
        return 0.0
    start, slope = EFFECTS.get(intermediate, (3.5, -1.0))
    of_target = 1 + 0.8 * math.sin(TARGETS.index(target) * 2 + len(intermediate))
    return of_target * (start + slope * math.log10(params / 56_544))


def study_rows(
    sizes: dict[str, int] = MINI,
    branches: Sequence[str] = BRANCHES,
    targets: Sequence[str] = TARGETS,
    seeds: int = 5,
    languages: Sequence[str] | None = WORLD,
    *,
    layers: bool = False,
    second_metrics: bool = False,
    noise: float = 1.0,
) -> list[Row]:
    """Scores that grow with size, noise per seed and language; `None` is the official languages."""
    random = np.random.default_rng(7)
    rows: list[Row] = []
    for model, params in sizes.items():
        for branch in branches:
            for target in targets:
                mine = languages or TASKS[target].languages
                if target in ("bucc", "tatoeba"):
                    mine = [code for code in mine if code != "en"]
                level = LEVELS[TARGETS.index(target)] + 5 * math.log10(params / 56_544)
                for seed in range(seeds):
                    shift = random.normal(0, noise)
                    values = {
                        code: round(
                            min(99.0, max(1.0, level + effect(branch, params, target) + shift
                            + random.normal(0, noise) + 3 * math.sin(7 * i))), 2)
                        for i, code in enumerate(mine)
                    }  # fmt: skip
                    fields = {"seed": seed, "target": target, "model": model}
                    fields |= {"encoder_params": params, "total_params": params + 220_000}
                    metrics = TASKS[target].metrics if second_metrics else TASKS[target].metrics[:1]
                    for k, metric in enumerate(metrics):
                        lower = {code: round(0.9**k * v, 2) for code, v in values.items()}
                        rows += rows_of(branch, lower, metric=metric, **fields)
                    if layers and target in ("bucc", "tatoeba"):
                        depth = LAYERS.get(model, 4)
                        for layer in range(depth + 1):
                            part = 1 - 1.4 * (layer / depth - 0.6) ** 2
                            at = {code: round(v * part, 2) for code, v in values.items()}
                            name = f"{metrics[0]}@layer={layer}"
                            rows += rows_of(branch, at, metric=name, **fields)
    return rows


def estimate(means: Sequence[float]) -> Estimate:
    """Student's interval over seeds; of one seed neither interval nor probability."""
    value = fmean(means)
    half = half_width(list(means))
    if math.isnan(half):
        return Estimate(value, math.nan, math.nan, math.nan, len(means), False)
    spread = stdev(means) / math.sqrt(len(means))
    positive = float(stdtr(len(means) - 1, value / spread)) if spread else float(value > 0)
    return Estimate(value, value - half, value + half, positive, len(means), False)


def found(rows: list[Row], collapsed: dict[tuple[str, str, str], tuple[int, ...]] | None = None):
    """Findings: every gap, their means over targets, and the slopes over sizes.

    Args:
        collapsed: (model, intermediate, target) -> seeds.
    """
    gaps: list[Gap] = []
    by_seed: dict[tuple[str, str, str], dict[int, float]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for model in models_of(rows):
        sizes[model.name] = (model.encoder_params, model.total_params)
        of_targets: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (target, metric), columns in without_layers(collect(model.rows)).items():
            for name in columns:
                numbers = gap(columns, name) if name != "direct" else {}
                if not numbers:
                    continue
                means = dict(zip(numbers, seed_means(numbers), strict=True))
                fields = (model.name, *sizes[model.name], name, target, metric)
                bad = (collapsed or {}).get((model.name, name, target), ())
                rest = [v for seed, v in means.items() if seed not in bad]
                without = estimate(rest) if bad and rest else None
                gaps.append(Gap(*fields, "", estimate([*means.values()]), bad, without))
                for code in sorted({code for by in numbers.values() for code in by}):
                    values = [by[code] for by in numbers.values() if code in by]
                    gaps.append(Gap(*fields, code, estimate(values)))
                if metric == model.first[target][0]:
                    by_seed[model.name, name, target] = means
                    for seed, value in means.items():
                        of_targets[name][seed].append(value)
        for name, values in of_targets.items():
            means = {seed: fmean(v) for seed, v in values.items()}
            by_seed[model.name, name, MEAN] = means
            whole = estimate([*means.values()])
            gaps.append(Gap(model.name, *sizes[model.name], name, MEAN, "", "", whole))
    return Findings(tuple(gaps), tuple(_slopes(by_seed, sizes)))


def _slopes(by_seed, sizes):
    families: dict[str, list[str]] = defaultdict(list)
    for model in sizes:
        families[family_of(model)].append(model)
    branches = dict.fromkeys(name for _, name, _ in by_seed)
    targets = dict.fromkeys(target for _, _, target in by_seed)
    for family, models in families.items():
        for i, parameters in enumerate(("encoder", "total")):
            lines: dict[str, list[list[float]]] = defaultdict(list)
            for name in branches:
                for target in targets:
                    have = [m for m in models if (m, name, target) in by_seed]
                    if len({sizes[m][i] for m in have}) < MIN_SIZES:
                        continue
                    seeds = set.intersection(*({*by_seed[m, name, target]} for m in have))
                    x = np.log10([sizes[m][i] for m in have])
                    fits = [
                        float(np.polyfit(x, [by_seed[m, name, target][s] for m in have], 1)[0])
                        for s in sorted(seeds)
                    ]
                    lines[target].append(fits)
                    number = len(have)
                    yield Slope(family, name, target, parameters, number, estimate(fits))
            if lines[MEAN]:
                fits = [fmean(each) for each in zip(*lines[MEAN], strict=False)]
                yield Slope(family, MEAN, MEAN, parameters, len(models), estimate(fits))


def evidence(rows: list[Row], only=(), phases: Sequence[PhaseLog] = (), **options) -> Evidence:
    return Evidence(models_of(rows, only), found(rows, **options), tuple(phases))


def phase_logs(sizes: Sequence[str] = tuple(MINI), seeds: int = 3) -> list[PhaseLog]:
    """Phases that learn, faster after an intermediate task."""
    random = np.random.default_rng(3)
    logs = []
    for model in sizes:
        for after in ("", "mnli", "squad"):
            for task in ("xnli", "pawsx", "panx", "tydiqa"):
                for seed in range(seeds):
                    steps = range(100, 1001, 100)
                    rate = 300 if after else 500
                    dev = [40 + 40 * (1 - math.exp(-s / rate)) + random.normal() for s in steps]
                    folder = f"{task}{f'-after-{after}' if after else ''}-s{seed}-0123456789ab"
                    logs.append(
                        PhaseLog(
                            folder, model, task, after, seed, 1000, 400_000, 61.5,
                            tuple(zip(steps, dev, strict=True)), (), "python run.py --seed=0",
                            "2 CPU cores",
                        )
                    )  # fmt: skip
    return logs
