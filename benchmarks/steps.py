"""Measures a training step of given dimensions; started by `duel.Worker` for scaling.py."""

from __future__ import annotations

import duel

CPUS = duel.limit_processors()

import math  # noqa: E402
import re  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
from flax import nnx  # noqa: E402
from ours import training_batches, training_step  # noqa: E402
from work import Work  # noqa: E402

from xt_jax import model as models  # noqa: E402
from xt_jax.data.packing import Features, Plan, plan_training  # noqa: E402
from xt_jax.model.sharding import make_mesh, place_batch  # noqa: E402
from xt_jax.tasks.recipes import Recipe  # noqa: E402
from xt_jax.tasks.table import FAMILIES, NLI  # noqa: E402
from xt_jax.train.throughput import train_flops  # noqa: E402

SEGMENT = 64  # tokens in every example, a divisor of ROW so that rows are full
ROW = 256
VOCABULARY = 8192
HEAD = 64
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1, "s64": 8, "f64": 8}


class Steps:
    """The service that `duel.Worker` calls."""

    def cost(
        self, *, tokens: int, layers: int, hidden: int, dtype: str, steps: int
    ) -> dict[str, Any]:
        """Returns the median seconds of a step over all devices, and figures of its program."""
        mesh = make_mesh()
        config = models.EncoderConfig(
            model_type="xlm-roberta",
            vocab_size=VOCABULARY,
            hidden_size=hidden,
            num_layers=layers,
            num_heads=hidden // HEAD,
            intermediate_size=4 * hidden,
            max_positions=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_id=1,
            dtype=dtype,
        )
        rngs = nnx.Rngs(0)
        head = FAMILIES["pairs"].head
        assert head is not None
        model = models.Model(models.Encoder(config, rngs=rngs), head(config, len(NLI), rngs))
        work = Work("", "mnli", dtype=dtype, batch_size=tokens // SEGMENT, steps=steps + 2)
        features, plan = full_rows(work, len(mesh.devices.flat))
        state, step = training_step(model, work, Recipe(), mesh)
        batches = training_batches(work, plan, features, pad_id=1)
        batch = place_batch(next(batches), mesh)
        compiled = step.lower(state, batch).compile()
        text, analysis = compiled.as_text(), compiled.cost_analysis() or {}
        seconds = []
        for _ in range(steps + 1):
            began = time.perf_counter()
            state, sums = compiled(state, place_batch(next(batches), mesh))
            jax.block_until_ready(sums)
            seconds.append(time.perf_counter() - began)
        return {
            "seconds": statistics.median(seconds[1:]),
            "flops": train_flops(config, plan.rows, plan.length),
            "compiled_flops_per_device": analysis.get("flops", math.nan),
            "collective_bytes": collective_bytes(text),
            "devices": len(mesh.devices.flat),
        }


def full_rows(work: Work, devices: int) -> tuple[Features, Plan]:
    """Returns examples of equal length, so that every row is full, and their plan."""
    count = work.batch_size * work.steps
    ids = np.random.default_rng(0).integers(3, VOCABULARY, count * SEGMENT, dtype=np.int32)
    lengths = np.full(count, SEGMENT, np.int32)
    fields = {name: np.zeros(count, np.int32) for name in ("example", "label")}
    features = Features(lengths, {"input_ids": ids}, fields)
    plan = plan_training(
        lengths, work.batch_size, 1, 0, row_multiple=ROW, rows_multiple=devices, hidden_size=10**6
    )
    return features, plan


def collective_bytes(text: str) -> int:
    """Returns the bytes that all collectives of an HLO program produce on one device."""
    total = 0
    text = re.sub(r"/\*.*?\*/", "", text)  # /*index=5*/ in long tuples
    names = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    for shapes in re.findall(rf" = (\(?[^=]*?) (?:{names})(?:-start)?\(", text):
        for dtype, dims in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            total += _BYTES.get(dtype, 4) * math.prod(int(n) for n in dims.split(",") if n)
    return total


if __name__ == "__main__":
    duel.serve(Steps())
