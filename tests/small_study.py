"""A study of three sizes, two intermediate tasks and three targets with random scores."""

from __future__ import annotations

import numpy as np
from rows import rows_of

from xt_jax.report.statistics.findings import Findings, Gap, Slope, find
from xt_jax.tasks.table import TASKS

MODELS = {"mini-48": (56_000, 500_000), "mini-64": (150_000, 700_000), "mini-128": (790_000, 10**6)}
TARGETS = ("xquad", "panx", "tatoeba")  # 50 % is far above chance
LANGUAGES = ("en", "de", "th")
N = 40


class Study:
    """A study whose runs answer at random, each with its own accuracy, the same examples.

    Attributes:
        rows: the rows as a study writes them; direct retrieval is one run whatever the seed.
        arrays: the per-example scores of (run, data).
    """

    def __init__(self, key: int = 0, seeds: int = 3, models=MODELS, targets=TARGETS):
        rng = np.random.default_rng(key)
        self.arrays: dict[tuple[str, str], np.ndarray] = {}
        self.rows = []
        for model, target in [(m, t) for m in models for t in targets]:
            for name in ("direct", "mnli", "squad"):
                for seed in range(seeds):
                    run = f"{model} {name} {target} {seed}"
                    if (name, target) == ("direct", "tatoeba"):
                        run = f"{model} start"  # the untrained encoder, whatever the seed
                    values = {}
                    for language in LANGUAGES:
                        key_ = run, f"{target} {language} all"
                        if key_ not in self.arrays:
                            right = rng.random(N) < rng.uniform(0.4, 0.9)
                            self.arrays[key_] = np.stack([right, np.ones(N)], axis=-1)
                        values[language] = 100 * self.arrays[key_][:, 0].mean()
                    fields = {"model": model, "target": target, "seed": seed, "run": run, "n": N}
                    encoder, total = models[model]
                    params = {"encoder_params": encoder, "total_params": total}
                    metric = TASKS[target].metrics[0]
                    self.rows += rows_of(name, values, metric=metric, **fields, **params)

    def example_scores(self, run: str, data: str) -> np.ndarray | None:
        return self.arrays.get((run, data))

    def find(self) -> Findings:
        return find(self.rows, self.example_scores)

    def lower(self, *runs: tuple[str, str, str, int]) -> None:
        """Makes every answer of (model, intermediate, target, seed) wrong."""
        for row in self.rows:
            if (row["model"], row["intermediate"], row["target"], row["seed"]) in runs:
                row["value"] = 0.0
                self.arrays[row["run"], row["data"]] = np.stack([np.zeros(N), np.ones(N)], axis=-1)


def gaps_of(found: Findings) -> dict[tuple[str, str, str, str], Gap]:
    return {(g.size, g.intermediate, g.target, g.language): g for g in found.gaps}


def slopes_of(found: Findings) -> dict[tuple[str, str, str], Slope]:
    return {(s.intermediate, s.target, s.parameters): s for s in found.slopes}
