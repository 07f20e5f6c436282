"""Several seeds trained as one program give what they give one by one."""

from __future__ import annotations

import dataclasses
import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from etils import epath
from flax import nnx
from test_study import mini  # noqa: F401
from training import CONFIG, ONE, RECIPE, Killed, Selection, new_params, pair_features, spec_of

from xt_jax.config import TrainConfig
from xt_jax.data.packing import plan_training
from xt_jax.errors import ConfigError
from xt_jax.model import Encoder, preset
from xt_jax.model.heads import Model
from xt_jax.model.sharding import MEMBER, make_mesh, member_mesh, place_batch, place_params
from xt_jax.records import results
from xt_jax.study import runner
from xt_jax.study.phases import sensible_seeds
from xt_jax.study.schedule import PhasePlan
from xt_jax.study.train import PlannedMember, together
from xt_jax.tasks.table import FAMILIES
from xt_jax.train.batches import TrainedTask, batch_stream, filled
from xt_jax.train.loop import Run, fit
from xt_jax.train.step import compile_step, init_state, stack_params

pytestmark = pytest.mark.slow

SEEDS = (3, 4, 5)
FEATURES = pair_features()
RECIPE_OF_SEEDS = dataclasses.replace(RECIPE, eval_every=4)


def fitted(
    folder,
    seeds,
    mesh=ONE,
    *,
    layout="replicated",
    evaluate=lambda: 0.0,
    kill_at: int = 0,
    **config,
) -> tuple[list[dict], dict]:
    """Returns progress, and by seed the parameters at every evaluation."""
    models = []
    for seed in seeds:
        encoder = Encoder(CONFIG, rngs=nnx.Rngs(seed))
        head = FAMILIES["pairs"].head(CONFIG, 2, nnx.Rngs(seed))
        models.append(nnx.split(Model(encoder, head)))
    plans = [plan_training(FEATURES.lengths, 16, 1, seed, rows_multiple=8) for seed in seeds]
    seen: dict[int, list] = {seed: [] for seed in seeds}
    calls = []

    def score(params) -> float:
        calls.append(jax.device_get(params))
        seed = seeds[(len(calls) - 1) % len(seeds)]
        seen[seed].append(calls[-1])
        if kill_at and len(calls) == kill_at:
            raise Killed
        return evaluate()

    spec = spec_of(models[0][0], plans[0].steps, accumulate=config.get("accumulate", 1))
    folder = epath.Path(folder)
    run = Run(
        folders={f"s{seed}": folder / str(seed) for seed in seeds},
        seeds=tuple(seeds),
        tasks=(TrainedTask("pairs", spec, tuple(plans), FEATURES),),
        order=np.zeros(plans[0].steps, np.int32),
        recipe=RECIPE_OF_SEEDS,
        selection=Selection(score),
        states=folder / "states",
        pad_id=1,
    )
    if MEMBER in mesh.axis_names:
        each = filled([jax.device_get(p) for _, p in models], -(-len(models) // 4) * 4)
    else:
        each = [place_params(p, mesh, layout) for _, p in models]
    params = stack_params(each, mesh, layout)
    return fit(run, params, CONFIG, TrainConfig(log_every=4, **config), mesh), seen


@pytest.mark.parametrize(
    ("devices", "layout", "accumulate"),
    [(1, "replicated", 1), (4, "fsdp", 1), (1, "replicated", 2)],
)
def test_seeds_together_are_the_seeds_one_by_one(tmp_path, devices, layout, accumulate):
    mesh = make_mesh(devices=jax.devices()[:devices])
    _, seen = fitted(tmp_path / "all", SEEDS, mesh, layout=layout, accumulate=accumulate)
    for seed in SEEDS:
        alone = fitted(tmp_path / str(seed), [seed], accumulate=accumulate)[1][seed]
        assert len(alone) == len(seen[seed]) == 3
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(seen[seed]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    last = [jax.tree.leaves(seen[seed][-1]["head"])[0] for seed in SEEDS]
    assert np.abs(last[0] - last[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("devices", "layout", "accumulate"),
    [(4, "replicated", 1), (8, "fsdp", 1), (4, "replicated", 2)],
)
@pytest.mark.parametrize("seeds", [SEEDS, tuple(range(3, 9))])
def test_members_on_devices_of_their_own_are_the_seeds_one_by_one(
    tmp_path, devices, layout, accumulate, seeds
):
    """Trains 3 or 6 seeds on four groups of devices; the last seed fills the groups left over."""
    mesh = member_mesh(make_mesh(devices=jax.devices()[:devices]), devices // 4)
    one = make_mesh(devices=jax.devices()[: devices // 4])
    _, seen = fitted(tmp_path / "all", seeds, mesh, layout=layout, accumulate=accumulate)
    for seed in seeds:
        _, alone = fitted(tmp_path / str(seed), [seed], one, layout=layout, accumulate=accumulate)
        assert len(alone[seed]) == len(seen[seed]) == 3
        for a, b in zip(jax.tree.leaves(alone[seed]), jax.tree.leaves(seen[seed]), strict=True):
            if len(seeds) <= 4 and layout == "replicated":  # the same program
                np.testing.assert_array_equal(a, b)
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_members_killed_end_with_the_same_numbers(tmp_path):
    mesh = member_mesh(make_mesh(devices=jax.devices()[:4]), 1)
    config = {"save_every_steps": 4}
    _, whole = fitted(tmp_path / "whole", SEEDS, mesh, **config)
    with pytest.raises(Killed):
        fitted(tmp_path / "killed", SEEDS, mesh, kill_at=5, **config)
    _, rest = fitted(tmp_path / "killed", SEEDS, mesh, **config)
    for seed in SEEDS:
        for a, b in zip(jax.tree.leaves(whole[seed][1:]), jax.tree.leaves(rest[seed]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_members_pass_nothing_to_one_another(tmp_path):
    mesh = member_mesh(make_mesh(devices=jax.devices()[:4]), 1)
    graphdef, params = new_params()
    each = [jax.device_get(params)] * 4
    spec = spec_of(graphdef, 10)
    state = init_state(stack_params(each, mesh, "replicated"), spec.optimizer, mesh, (*SEEDS, 6))
    plan = plan_training(FEATURES.lengths, 16, 1, 0)
    task = TrainedTask("pairs", spec, (plan,) * 4, FEATURES)
    batch = next(batch_stream([task], np.zeros(plan.steps, np.int32), 1, mesh, members=4))
    text = compile_step(spec, state).lower(state, place_batch(batch, mesh, 1)).compile().as_text()
    assert not re.findall(r"all-reduce|all-gather|all-to-all|collective-permute", text)


@pytest.mark.parametrize(("chips", "model"), [(3, 1), (1, 2), (6, 2)])
def test_devices_that_do_not_divide_are_refused(chips, model):
    with pytest.raises(ConfigError, match="cannot be divided"):
        member_mesh(make_mesh(model), chips)


def test_several_processes_do_not_train_seeds_side_by_side(monkeypatch):
    mesh = make_mesh()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="Several processes train one seed at a time"):
        member_mesh(mesh, 1)
    assert member_mesh(mesh, 0) is member_mesh(mesh, 8) is mesh


def test_seeds_killed_together_end_with_the_same_numbers(tmp_path):
    config = {"save_every_steps": 4}
    _, whole = fitted(tmp_path / "whole", SEEDS, **config)
    with pytest.raises(Killed):
        fitted(tmp_path / "killed", SEEDS, kill_at=5, **config)
    _, rest = fitted(tmp_path / "killed", SEEDS, **config)
    for seed in SEEDS:
        assert len(rest[seed]) == 2  # the first evaluation was saved
        for a, b in zip(jax.tree.leaves(whole[seed][1:]), jax.tree.leaves(rest[seed]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_seed_out_of_patience_keeps_its_best_while_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setitem(
        globals(), "RECIPE_OF_SEEDS", dataclasses.replace(RECIPE, eval_every=2, patience=2)
    )
    scores = iter([5.0, 1.0, 4.0, 2.0, 3.0, 3.0, 4.0, 5.0])  # the first seed is asked three times
    progress, _ = fitted(tmp_path, (3, 4), evaluate=lambda: next(scores))
    assert (progress[0]["best"], progress[0]["best_step"], progress[0]["steps"]) == (5.0, 2, 6)
    assert progress[1]["steps"] == 10


def test_every_seed_has_its_own_log(tmp_path):
    fitted(tmp_path, SEEDS)
    losses = []
    for seed in SEEDS:
        lines = (tmp_path / str(seed) / "log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines if '"loss"' in line])
    assert len({tuple(each) for each in losses}) == 3


def test_a_study_of_seeds_together_has_the_rows_of_one_by_one(mini, tmp_path):  # noqa: F811
    """Few examples are scored: equal parameters give equal scores."""
    mini.seeds = 2
    mini.intermediates = ("mnli",)
    mini.languages = ("en", "de")
    rows = []
    mini.train.rows_multiple = 8
    for at_once, chips in ((1, 0), (2, 0), (1, 1), (1, 4)):
        mini.train.parallel_seeds, mini.train.member_chips = at_once, chips
        folder = tmp_path / f"{at_once}-{chips}"
        runner.run(mini, str(folder))
        found = results.read_rows(folder / "results.jsonl")
        rows.append(sorted(json.dumps(row, sort_keys=True) for row in found))
        assert not list((folder / "phases").glob("together-*"))
    assert rows[1:] == rows[:1] * 3


def test_together_are_equal_shapes_of_one_task_and_not_too_many():
    def planned(*rows: int) -> PlannedMember:
        plans = [SimpleNamespace(rows=r, length=8, segments=2, steps=5) for r in rows]
        return PlannedMember(None, PhasePlan(None, plans))

    rows = [(4,), (4,), (4,), (5,), (4, 4), (4, 4), (4,)]
    groups = together([planned(*each) for each in rows], 2)
    assert [len(group) for group in groups] == [2, 1, 1, 1, 1, 1]


def test_small_models_are_trained_together_where_they_leave_room(monkeypatch):
    small, base, large = (preset(name).config for name in ("mini-48", "base", "large"))
    assert sensible_seeds(small) == 1  # on a CPU
    limit = 20 * 2**30
    device = SimpleNamespace(memory_stats=lambda: {"bytes_limit": limit})
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert [sensible_seeds(config) for config in (small, base, large)] == [8, 1, 1]
    limit = 139 * 2**30
    assert [sensible_seeds(config) for config in (small, base, large)] == [8, 8, 1]
