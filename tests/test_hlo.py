"""What is read off compiled programs: against counts by hand, and how it falls with the devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from training import CONFIG, new_params, pair_features, spec_of

from tpu import hlo
from xt_jax.data.packing import plan_training
from xt_jax.model.sharding import make_mesh, place_batch, place_params
from xt_jax.train.batches import TrainedTask, batch_stream
from xt_jax.train.step import compile_step, init_state
from xt_jax.train.throughput import train_flops


def compiled(function, *arrays) -> str:
    return jax.jit(function).lower(*arrays).compile().as_text()


def test_products_in_nested_loops_count_as_often_as_they_run():
    def inner(x, _):
        return jnp.tanh(x @ x), None

    def outer(x, _):
        return jax.lax.scan(inner, jnp.tanh(x @ x), None, length=3)[0], None

    text = compiled(lambda x: jax.lax.scan(outer, x, None, length=5)[0] @ x, jnp.ones((8, 8)))
    assert hlo.count(text).flops == (5 * 4 + 1) * 2 * 8**3


def test_products_with_batch_dimensions_and_float32_ones():
    a, b = jnp.ones((4, 8, 16), jnp.bfloat16), jnp.ones((4, 16, 2))

    def both(a, b):
        with jax.named_scope("wide"):
            wide = jnp.einsum("bij,bjk->bik", a.astype(jnp.float32), b)
        return wide

    counts = hlo.count(compiled(both, a, b))
    assert counts.flops == 2 * 4 * 8 * 16 * 2
    assert sum(counts.float32.values()) == counts.flops
    assert all("wide" in where for where in counts.float32)


@pytest.mark.parametrize(("options", "count"), [
    ({}, 5 * 3),
    ({"pad": "1_1"}, 7 * 3 - 2),
    ({"stride": "2"}, 3 * 3),
    ({"rhs_dilate": "2"}, 3 * 3),
    ({"lhs_dilate": "2", "pad": "0_0"}, 17),
])  # fmt: skip
def test_of_a_convolution_what_meets_padding_does_not_count(options, count):
    """Against a convolution of ones, whose sum is the number of meetings."""
    stride, left, right = (int(options.get(n, 1)) for n in ("stride", "lhs_dilate", "rhs_dilate"))
    low, high = map(int, options.get("pad", "0_0").split("_"))
    made = jax.lax.conv_general_dilated(
        jnp.ones((1, 1, 7)), jnp.ones((1, 1, 3)), (stride,), [(low, high)], (left,), (right,)
    )
    assert hlo._meetings(7, 3, made.shape[2], options) == int(made.sum())
    if not left > 1:
        assert int(made.sum()) == count


RING = """
%body.COPY (p: (f32[8,8], u32[])) -> (f32[8,8], u32[]) {
  %p = (f32[8,8]{1,0}, u32[]) parameter(0)
  %x = f32[8,8]{1,0} get-tuple-element(%p), index=0
  %i = u32[] get-tuple-element(%p), index=1
  %two = u32[] constant(2)
  %next = u32[] add(%i, %two)
  %dot = f32[8,8]{1,0} dot(%x, %x), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %send = (f32[8,8]{1,0}, f32[8,8]{1,0}, u32[], u32[]) collective-permute-start(%dot), channel_id=7
  %got = f32[8,8]{1,0} collective-permute-done(%send)
  ROOT %tuple = (f32[8,8]{1,0}, u32[]) tuple(%got, %next)
}

%condition.COPY (p: (f32[8,8], u32[])) -> pred[] {
  %limit = u32[] constant(8)
  %p = (f32[8,8]{1,0}, u32[]) parameter(0)
  %i = u32[] get-tuple-element(%p), index=1
  ROOT %less = pred[] compare(%i, %limit), direction=LT
}
"""
PARTS = """
%part.COPY (a: f32[2,8]) -> f32[8,8] {
  %a = f32[2,8]{1,0} parameter(0)
  ROOT %gather.COPY = f32[8,8]{1,0} all-gather(%a), channel_id=9, dimensions={0}
}
"""
ENTRY = """
ENTRY %main (p: (f32[8,8], u32[]), a: f32[2,8]) -> f32[8,8] {
  %p = (f32[8,8]{1,0}, u32[]) parameter(0)
  %a = f32[2,8]{1,0} parameter(1)
  %w.1 = (f32[8,8]{1,0}, u32[]) while(%p), condition=%condition.1, body=%body.1
  %w.2 = (f32[8,8]{1,0}, u32[]) while(%w.1), condition=%condition.2, body=%body.2
  %f.1 = f32[8,8]{1,0} fusion(%a), kind=kCustom, calls=%part.1
  ROOT %f.2 = f32[8,8]{1,0} fusion(%a), kind=kCustom, calls=%part.2
}
"""


def test_rings_as_a_tpus_compiler_makes_them():
    """Loops unrolled by two and copied with their channels; a gather in parts of one channel."""
    copies = [part.replace("COPY", n) for part in (RING, PARTS) for n in "12"]
    counts = hlo.count("".join([*copies, ENTRY]))
    assert counts.flops == 2 * 4 * 2 * 8**3
    assert counts.by_kind() == {
        "collective-permute": (2 * 4, 2 * 4 * 8 * 8 * 4),
        "all-gather": (1, 8 * 8 * 4),
    }


PADDED = """
ENTRY %main (a: f32[6,8]) -> f32[8,8] {
  %a = f32[6,8]{1,0} parameter(0)
  %zero = f32[] constant(0)
  %pad = f32[8,8]{1,0} pad(%a, %zero), padding=0_2x0_0
  ROOT %sum = f32[8,8]{1,0} all-reduce(%pad), channel_id=3, to_apply=%add
}
"""
REALIGNED = """
%all-reduce-scatter.1 (p: f32[8,8]) -> f32[2,8] {
  %p = f32[8,8]{1,0} parameter(0)
  %sum = f32[8,8]{1,0} all-reduce(%p), channel_id=3, to_apply=%add
  ROOT %mine = f32[2,8]{1,0} slice(%sum), slice={[0:2], [0:8]}
}

ENTRY %main (a: f32[8,8]) -> f32[1,8] {
  %a = f32[8,8]{1,0} parameter(0)
  %scattered = f32[2,8]{1,0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1
  %part = f32[1,8]{1,0} slice(%scattered), slice={[1:2], [0:8]}
  %next = f32[1,8]{1,0} collective-permute(%part), channel_id=4
  %other = f32[3,8]{1,0} slice(%a), slice={[1:4], [0:8]}
  ROOT %also = f32[3,8]{1,0} collective-permute(%other), channel_id=5
}
"""


def test_what_is_padded_to_be_shared_is_known_by_its_own_shape():
    (passed,) = hlo.count(PADDED).passed
    assert passed == hlo.Passed("all-reduce", hlo.Shape("f32", (6, 8)), "")


def test_slices_of_a_sum_on_their_way_to_their_place_are_part_of_it():
    counts = hlo.count(REALIGNED)
    assert {(each.kind, each.shape.dims) for each in counts.passed} == {
        ("all-reduce", (8, 8)),
        ("collective-permute", (3, 8)),
    }
    assert counts.by_kind()["collective-permute"][0] == 2


def test_the_bytes_of_collectives():
    mesh = make_mesh(1, jax.devices()[:4])
    cut = NamedSharding(mesh, P("data"))
    x = jax.device_put(jnp.ones((8, 16)), cut)
    gathered = jax.jit(lambda x: x * 2, out_shardings=NamedSharding(mesh, P()))
    counts = hlo.count(gathered.lower(x).compile().as_text())
    assert counts.by_kind() == {"all-gather": (1, 8 * 16 * 4)}
    assert {(each.kind, each.shape.dims) for each in counts.passed} == {("all-gather", (8, 16))}
    counts = hlo.count(compiled(lambda x: x.sum(0), x))
    assert counts.by_kind() == {"all-reduce": (1, 16 * 4)}


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["replicated", "fsdp"])
def test_a_step_is_shared_evenly_and_sends_what_data_parallelism_sends(layout):
    """FLOPs of a device fall as 1/n; of gradients every device receives all, or FSDP's parts."""
    features = pair_features()
    plan = plan_training(features.lengths, 16, 1, 0, rows_multiple=8)
    flops = {}
    for devices in (1, 2, 4, 8):
        mesh = make_mesh(1, jax.devices()[:devices])
        graphdef, params = new_params()
        params = place_params(params, mesh, layout)
        spec = spec_of(graphdef, plan.steps)
        state = init_state(params, spec.optimizer, mesh, [0])
        stream = TrainedTask("pairs", spec, (plan,), features)
        batch = next(batch_stream([stream], np.zeros(plan.steps, np.int32), 1, mesh))
        step = compile_step(spec, state).lower(state, place_batch(batch, mesh)).compile()
        counts = hlo.count(step.as_text())
        flops[devices] = counts.flops
        size = sum(leaf.size * 4 for leaf in jax.tree.leaves(params))
        sent = {kind: total for kind, (_, total) in counts.by_kind().items()}
        if devices == 1:
            assert not sent
        elif layout == "replicated":
            assert size <= sent.pop("all-reduce") <= size + 64
            assert not sent
        else:
            assert sum(sent.values()) <= 2 * size + 2**15
    assert flops[1] == pytest.approx(train_flops(CONFIG, plan.rows, plan.length), rel=0.01)
    for devices, each in flops.items():
        assert each == flops[1] / devices
