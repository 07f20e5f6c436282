"""The device mesh and where each array lives on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xt_jax import hosts
from xt_jax.config import TrainConfig
from xt_jax.errors import ConfigError
from xt_jax.model.encoder import param_path

Rules = tuple[tuple[str, P], ...]
MEMBER = "member"  # the mesh axis that divides runs which are trained side by side

# Ordered (pattern of the whole parameter path, spec); the first match decides, one must match.
# Stacked layers carry a leading axis L that is never sharded.
RULES: dict[str, Rules] = {
    "replicated": ((r".*", P()),),
    "fsdp": (
        (r"encoder/embeddings/word/embedding", P(None, "data")),
        (r"encoder/layers/attention/(query|key|value)/kernel", P(None, "data", "model")),
        (r"encoder/layers/attention/out/kernel", P(None, "model", "data")),
        (r"encoder/layers/ffn/up/kernel", P(None, "data", "model")),
        (r"encoder/layers/ffn/down/kernel", P(None, "model", "data")),
        (r"encoder/.*/(bias|scale|embedding)", P()),
        (r"heads?/.*", P()),
    ),
}


def make_mesh(model_axis: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arranges `devices` (default: all) as a mesh with the axes (data, model).

    Raises:
        ConfigError: the devices do not divide by `model_axis`.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    if model_axis < 1 or count % model_axis:
        raise ConfigError(
            f"{count} devices cannot be divided into groups of {model_axis} for one model.",
            where="--config.train.model_axis",
            remedy=f"use a divisor of {count}",
        )
    return jax.make_mesh(
        (count // model_axis, model_axis),
        ("data", "model"),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices,
    )


def member_mesh(mesh: Mesh, chips: int) -> Mesh:
    """Regroups a mesh (data, model) as (member, data, model), with `chips` devices to a member.

    Args:
        chips: 0, or all devices: the mesh stays as it is.

    Raises:
        ConfigError: the devices do not divide so, or belong to several processes.
    """
    if chips in (0, mesh.size):
        return mesh
    if jax.process_count() > 1:
        raise ConfigError(
            "Several processes train one seed at a time, on all chips.",
            where="--config.train.member_chips",
            remedy="leave it at 0, or give each of several hosts a --config.shard of the study",
        )
    model = mesh.shape["model"]
    if chips % model or mesh.size % chips:
        raise ConfigError(
            f"{mesh.size} devices cannot be divided into groups of {chips}, of whole groups of "
            f"{model} for one model.",
            where="--config.train.member_chips",
            remedy=f"use a divisor of {mesh.size} that is a multiple of {model}",
        )
    return _mesh(mesh.devices.reshape(-1, chips // model, model), (MEMBER, "data", "model"))


def whole_mesh(mesh: Mesh) -> Mesh:
    """Returns the mesh (data, model) that `member_mesh` has regrouped."""
    return _mesh(mesh.devices.reshape(-1, mesh.shape["model"]), ("data", "model"))


def members_of(mesh: Mesh) -> P:
    """Returns the layout of the members' leading axis: cut over the groups of a `member_mesh`."""
    return P(MEMBER) if MEMBER in mesh.axis_names else P(None)


def _mesh(devices: np.ndarray, axes: tuple[str, ...]) -> Mesh:
    return Mesh(devices, axes, axis_types=(AxisType.Auto,) * len(axes))


def place_param(path: str, array: Any, mesh: Mesh, layout: str) -> jax.Array:
    """Places one parameter on the mesh by the rules of `layout`; `path` as in `RULES`.

    Raises:
        ConfigError: no rule matches, or the array does not divide.
    """
    return hosts.put(array, param_sharding(path, array.shape, mesh, layout))


def param_sharding(path: str, shape: tuple[int, ...], mesh: Mesh, layout: str) -> NamedSharding:
    """Returns where `place_param` places a parameter of this shape; errors are the same."""
    spec = _match(path, RULES[layout])
    _check_divides(path, shape, spec, mesh)
    return NamedSharding(mesh, spec)


def place_params(params: Any, mesh: Mesh, layout: str) -> Any:
    """Places all parameters as `place_param` does, adding `encoder/` to a bare encoder's paths."""

    def place(key_path: tuple, array: jax.Array) -> jax.Array:
        return place_param(_whole_path(key_path), array, mesh, layout)

    return jax.tree_util.tree_map_with_path(place, params)


def abstract_params(params: Any, mesh: Mesh, layout: str) -> Any:
    """Returns the shapes of `params` in the layout of `place_params`, without using memory."""

    def place(key_path: tuple, leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = param_sharding(_whole_path(key_path), leaf.shape, mesh, layout)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(place, params)


def _whole_path(key_path: tuple) -> str:
    path = param_path(key_path)
    return path if path.startswith(("encoder/", "head/", "heads/")) else f"encoder/{path}"


def place_batch(batch: dict[str, np.ndarray], mesh: Mesh, axis: int = 0) -> dict[str, jax.Array]:
    """Places this process's `local_rows` of a batch, its axis `axis` sharded over `data`.

    On a `member_mesh` the leading axis is that of the members.
    """
    if MEMBER not in mesh.axis_names:
        return hosts.put_rows(batch, NamedSharding(mesh, P(*[None] * axis, "data")))
    layout = NamedSharding(mesh, P(MEMBER, *[None] * (axis - 1), "data"))
    return {name: hosts.put(array, layout) for name, array in batch.items()}


def local_rows(mesh: Mesh, rows: int, accumulate: int = 1) -> np.ndarray | None:
    """Returns which rows of a batch this process makes, ascending; None for all.

    Args:
        rows: of the whole batch, those of all its `accumulate` micro-batches.
    """
    if jax.process_count() == 1 or MEMBER in mesh.axis_names:
        return None
    size = rows // accumulate
    parts = NamedSharding(mesh, P("data")).addressable_devices_indices_map((size,)).values()
    local = np.unique(np.concatenate([np.arange(size)[part] for part in parts]))
    return (np.arange(accumulate)[:, None] * size + local).ravel()


def row_multiple() -> int:
    """Returns what row lengths are a multiple of: a TPU's lane width, else a vector register."""
    return 128 if jax.default_backend() == "tpu" else 8


def rows_multiple(config: TrainConfig, mesh: Mesh) -> int:
    """Returns what the rows of a step are a multiple of, for equal shares of every micro-batch.

    Raises:
        ConfigError: the configured multiple does not divide over the devices.
    """
    devices = mesh.shape["data"]
    rows = config.rows_multiple or devices
    if rows % devices:
        raise ConfigError(
            f"Rows in multiples of {rows} do not divide over {devices} devices.",
            where="--config.train.rows_multiple",
            remedy=f"use a multiple of {devices}, or 0",
        )
    return rows * config.accumulate


def step_tokens(hidden_size: int) -> int:
    """Returns the default tokens of a step on each device: enough to fill an accelerator.

    On a CPU the widest array of a layer, 4 x `hidden_size` numbers a token, stays within 12 MiB of
    cache: XLM-R base predicts 1.3 times as many tokens a second in steps of 1,024 as of 8,192.
    """
    most = 8192
    if jax.default_backend() != "cpu":
        return most
    return min(most, 12 * 2**20 // (4 * 4 * hidden_size))


def _match(path: str, rules: Rules) -> P:
    for pattern, spec in rules:
        if re.fullmatch(pattern, path):
            return spec
    raise ConfigError(
        f"No sharding rule matches the parameter `{path}`.",
        where="xt_jax/model/sharding.py, RULES",
        remedy="add a (pattern, spec) row",
    )


def _check_divides(path: str, shape: tuple[int, ...], spec: P, mesh: Mesh) -> None:
    for size, axis in zip(shape, spec, strict=False):
        if axis is not None and size % mesh.shape[axis]:
            raise ConfigError(
                f"`{path}` {shape} does not divide over {mesh.shape[axis]} devices.",
                where="--config.train.sharding",
                remedy="use sharding=replicated, or another --config.train.model_axis",
            )
