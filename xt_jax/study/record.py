"""What a trained phase says of itself in `phase.json`, for model cards."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from xt_jax.data.packing import Plan
from xt_jax.files import atomic_write_text
from xt_jax.study.prepare import Phase

FILE = "phase.json"


def write_record(
    directory: epath.Path,
    phase: Phase,
    order: np.ndarray,
    plans: Sequence[Plan],
    steps: int,
    **names: Any,
) -> None:
    """Writes `phase.json`: the last command that trained the phase, settings, tokens, machine.

    Args:
        order: [steps planned] the task of each step.
        plans: of each task.
        steps: made, which is fewer than planned where patience ended.
        names: further entries.
    """
    made = np.bincount(order[:steps], minlength=len(plans))
    record = {
        **names,
        "phase": phase.name,
        "role": phase.role,
        "command": f"python {shlex.join(sys.argv)}",
        "recipe": dataclasses.asdict(phase.recipe),
        "steps": steps,
        "rows": {
            part.task.name: [p.rows, p.length] for part, p in zip(phase.parts, plans, strict=True)
        },
        "tokens": sum(map(_tokens, phase.parts, plans, made.tolist())),
        "machine": machine(),
    }
    atomic_write_text(directory / FILE, json.dumps(record, indent=1) + "\n")


def machine() -> str:
    """`2 CPU cores` or `4 TPU v5p`."""
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"{cores} CPU cores"
    return f"{jax.device_count()} {jax.devices()[0].device_kind}"


def _tokens(part, plan: Plan, steps: int) -> int:
    """Without padding."""
    return int(part.train.features.lengths[plan.feature[: plan.splits[steps]]].sum(dtype=np.int64))
