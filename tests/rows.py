"""Builds hand-made rows of `results.jsonl`."""

from __future__ import annotations

from typing import cast

from xt_jax.records.results import Row


def rows_of(intermediate: str, values: dict[str, float], **fields) -> list[Row]:
    """Returns a row per language of one training run, with other examples in each language."""
    target, seed = fields.get("target", "xnli"), fields.get("seed", 0)
    row = {
        "model": "base",
        "encoder_params": 85_054_464,
        "total_params": 277_453_056,
        "intermediate": intermediate,
        "target": target,
        "seed": seed,
        "metric": "accuracy",
        "n": 100,
        "split": "test",
        "step": 10,
        "selected_by": "accuracy",
        "run": f"{target} after {intermediate}, seed {seed}",
        **fields,
    }
    examples = row.pop("examples", "all")
    return [
        cast(Row, row | {"language": lang, "value": v, "data": f"{target} {lang} {examples}"})
        for lang, v in values.items()
    ]


def keys(rows: list[Row]) -> set[tuple[str, str]]:
    return {(row["run"], row["data"]) for row in rows}
