"""The estimated time of a TPU program: against hand counts of small programs, and by parts."""

from __future__ import annotations

import json

import pytest
from tpu_compiler import compile_for_tpu

from tpu import slices
from tpu.estimate import OTHER, estimate

V5E = slices.CHIPS["v5e"]
MEMORY = V5E.memory * 1e9

STEP = """
%fused.1 (a: bf16[8,8]) -> f32[8,8] {
  %a = bf16[8,8]{1,0} parameter(0)
  ROOT %dot.1 = f32[8,8]{1,0} dot(%a, %a), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%fused.2 (t: f32[1024,256], i: s32[4]) -> f32[4,256] {
  %t = f32[1024,256]{1,0} parameter(0)
  %i = s32[4]{0} parameter(1)
  %g.1 = f32[4,256]{1,0} gather(%t, %i)
  ROOT %s.1 = f32[4,256]{1,0} scatter(%g.1, %i, %g.1)
}

%body (p: (s32[], bf16[8,8])) -> (s32[], bf16[8,8]) {
  %p = (s32[], bf16[8,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = bf16[8,8]{1,0} get-tuple-element(%p), index=1
  %f.1 = f32[8,8]{1,0} fusion(%x), calls=%fused.1, metadata={op_name="jit(f)/jvp()/while/body/dot_general"}, backend_config={"estimated_cycles":"1000"}
  %f.2 = f32[8,8]{1,0} fusion(%x), calls=%fused.1, metadata={op_name="jit(f)/jvp()/while/body/jvp(attend)/dot_general"}, backend_config={"estimated_cycles":"300"}
  %f.3 = f32[8,8]{1,0} copy(%x), metadata={op_name="jit(f)/while/body/norm/mul"}, backend_config={"estimated_cycles":"20"}
  %f.4 = f32[8,8]{1,0} copy(%x), metadata={op_name="jit(f)/jvp()/while/body/dynamic_update_slice"}, backend_config={"estimated_cycles":"7"}
  ROOT %t = (s32[], bf16[8,8]) tuple(%i, %x)
}

%condition (p: (s32[], bf16[8,8])) -> pred[] {
  %n = s32[] constant(12)
  %p = (s32[], bf16[8,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (p: (s32[], bf16[8,8]), q: f32[1024]) -> f32[8,8] {
  %p = (s32[], bf16[8,8]{1,0}) parameter(0)
  %q = f32[1024]{0} parameter(1)
  %w = (s32[], bf16[8,8]{1,0}) while(%p), condition=%condition, body=%body
  %u = f32[1024]{0} copy(%q), metadata={op_name="jit(f)/optimizer/add"}, backend_config={"estimated_cycles":"50"}
  %e = f32[1024]{0} copy(%q), metadata={op_name="jit(f)/transpose(jvp(embeddings))/scatter-add"}, backend_config={"estimated_cycles":"40"}
  %c = f32[1024]{0} convert(%q), backend_config={"estimated_cycles":"30"}
  %o = f32[1024]{0} copy(%q), backend_config={"estimated_cycles":"9"}
  %g = f32[4,256]{1,0} fusion(%q), kind=kCustom, calls=%fused.2, metadata={op_name="jit(f)/jvp(embeddings)/gather"}
  %k = f32[1024]{0} custom-call(%q), custom_call_target="tpu_custom_call"
  %r = f32[1024]{0} all-reduce(%q), channel_id=1, to_apply=%sum
  %s = (f32[1024]{0}, f32[1024]{0}) all-gather-start(%q), channel_id=2
  ROOT %d = f32[8,8]{1,0} get-tuple-element(%w), index=1
}
"""  # noqa: E501


def test_loops_count_as_often_as_they_run_and_each_part_has_its_own():
    found = estimate(STEP, V5E, 8)
    cycles = {part: round(1e-3 * ms * V5E.clock) for part, ms in found.ms.items()}
    assert cycles == {
        "products": 12_000,
        "attention": 3_600,
        "norms": 240,
        "residuals": 84,
        "optimizer": 50,
        "embedding gradient": 40,
        "conversion": 30,
        OTHER: 9 + round(V5E.clock * (2 + 3) * 4 * 256 * 4 / MEMORY),  # rows looked up and added
    }
    assert list(found.ms) == sorted(found.ms, key=found.ms.get, reverse=True)
    assert found.kernels == 1
    assert found.peak == pytest.approx(1e3 * 12 * 2 * 2 * 8**3 / 197e12)


def test_collectives_take_their_bytes_at_the_rate_of_the_links_beside_the_computation():
    found = estimate(STEP, V5E, 8)
    size = 1024 * 4
    assert found.links == pytest.approx({
        "all-reduce": 1e3 * size * 2 * 7 / 8 / 200e9,
        "all-gather": 1e3 * size * 7 / 8 / 200e9,
    })  # fmt: skip
    assert found.hidden == 0.5  # the gather has a start, the sum has none
    links = sum(found.links.values())
    assert found.step == pytest.approx(found.computing + links / 2)
    slow = found._replace(hidden=1.0, links={"all-reduce": 1e3})
    assert slow.step == 1e3
    assert slow.mfu == found.peak / 1e3
    assert not estimate(STEP.replace("all-", "no-"), V5E, 1).links


PROGRAMS = """
import json, sys
import jax, jax.numpy as jnp, optax
from jax.sharding import SingleDeviceSharding
from tpu import slices
from tpu.estimate import estimate

layout = SingleDeviceSharding(slices.devices_of("v5e-1")[0])

def shape(*dims, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(dims, dtype, sharding=layout)

def update(params, gradient, state):
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

def products(x):
    return jax.lax.scan(lambda x, _: (x @ x, None), x, None, length=int(sys.argv[1]))[0]

def add_rows(table, index, rows):
    return table.at[index].add(rows)

optimizer = optax.adamw(1e-3)
table = shape(8192, 1024)
moments = jax.eval_shape(optimizer.init, table)
state = jax.tree.map(lambda a: shape(*a.shape, dtype=a.dtype), moments)
rows = shape(4096, dtype=jnp.int32), shape(4096, 1024)
square = shape(4096, 4096, dtype=jnp.bfloat16)
programs = {
    "product": (jnp.matmul, (square, square), ()),
    "adamw": (update, (table, table, state), (0, 2)),
    "scatter": (add_rows, (table, *rows), (0,)),
    "softmax": (jax.nn.softmax, (shape(8192, 4096),), ()),
    "loop": (products, (shape(1024, 1024, dtype=jnp.bfloat16),), ()),
}
for name, (function, arrays, donated) in programs.items():
    text = jax.jit(function, donate_argnums=donated).lower(*arrays).compile().as_text()
    found = estimate(text, slices.chip_of("v5e-1"), 1)
    print(json.dumps([name, found.computing, found.peak]))
"""


@pytest.mark.slow
def test_small_programs_take_about_what_a_hand_count_says():
    """Products at the chip's peak, the rest by the bytes that must pass its memory."""

    def run(length: int) -> dict[str, tuple[float, float]]:
        lines = compile_for_tpu(PROGRAMS, str(length)).splitlines()
        return {name: (ms, peak) for name, ms, peak in map(json.loads, lines)}

    found = run(10)
    table = 8192 * 1024 * 4
    by_hand = {
        "product": 1e3 * 2 * 4096**3 / 197e12,
        "adamw": 1e3 * 7 * table / MEMORY,  # reads parameters, gradient, two moments; writes three
        "scatter": 1e3 * 3 * 4096 * 1024 * 4 / MEMORY,  # reads rows and what is added, writes rows
        "softmax": 1e3 * 4 * 8192 * 4096 * 4 / MEMORY,  # reads for maximum, sum and result; writes
        "loop": 1e3 * 10 * 2 * 1024**3 / 197e12,
    }
    assert found["product"][1] == pytest.approx(by_hand["product"])
    assert found["loop"][1] == pytest.approx(by_hand["loop"])
    ratios = {name: found[name][0] / by_hand[name] for name in by_hand}
    assert all(0.9 < ratio < 2.5 for ratio in ratios.values()), ratios
    assert run(40)["loop"][0] == pytest.approx(4 * found["loop"][0], rel=0.05)
