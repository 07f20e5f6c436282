"""Builds rows and logs of a whole study with known gaps, and their analysis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from rows import rows_of

from xt_jax.records.results import Row
from xt_jax.report import plots
from xt_jax.report.phase_logs import PhaseLog
from xt_jax.report.study_results import StudyResults, results_of
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
LEVELS = (45, 65, 60, 75, 30, 32, 36, 25, 55)
PUBLISHED = {"xlm-roberta-base": 85_054_464, "xlm-roberta-large": 302_309_376}
THREE = dict(list(MINI.items())[:3])


def effect(intermediate: str, params: int, target: str) -> float:
    """Returns the true gap of a run, from that of the smallest size and its change with size."""
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
    """Returns scores that grow with size, with noise; `languages` None: the official ones."""
    random = np.random.default_rng(7)
    rows: list[Row] = []
    for model, params in sizes.items():
        for branch in branches:
            for target in targets:
                codes = languages or TASKS[target].languages
                if target in ("bucc", "tatoeba"):
                    codes = [code for code in codes if code != "en"]
                level = LEVELS[TARGETS.index(target)] + 5 * math.log10(params / 56_544)
                for seed in range(seeds):
                    shift = random.normal(0, noise)
                    values = {
                        code: round(
                            min(99.0, max(1.0, level + effect(branch, params, target) + shift
                            + random.normal(0, noise) + 3 * math.sin(7 * i))), 2)
                        for i, code in enumerate(codes)
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


def analysed(rows: list[Row], only=(), phases: Sequence[PhaseLog] = ()) -> StudyResults:
    """Returns the results of rows alone, without per-example scores."""
    return results_of(rows, lambda run, data: None, only, phases)


def phase_logs(sizes: Sequence[str] = tuple(MINI), seeds: int = 3) -> list[PhaseLog]:
    """Returns logs of phases that learn faster after an intermediate task."""
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


def draw(study: StudyResults, name: str) -> Figure:
    """Draws one picture of a report."""
    (drawing,) = (each for each in plots.drawings(study) if each.name == name)
    return plots.draw(drawing)


def titles(study: StudyResults) -> dict[str, str]:
    """Returns the titles of all pictures of a report, by their names."""
    return {each.name: each.title for each in plots.drawings(study)}


def ladder(sizes: dict[str, int], targets: tuple[str, ...] = ("xnli",), seeds: int = 2):
    """Returns scores 10 and 11 (seeds 0, 1) for direct at the first size, 10 more per next size."""
    return [
        row
        for i, (model, params) in enumerate(sizes.items())
        for seed in range(seeds)
        for target in targets
        for name, more in (("direct", 0.0), ("mnli", 5.0))
        for row in rows_of(
            name,
            {"de": 9.0 + 10 * i + seed + more, "sw": 11.0 + 10 * i + seed + more},
            seed=seed,
            target=target,
            model=model,
            encoder_params=params,
        )
    ]
