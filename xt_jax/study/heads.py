"""Creates the models of a phase: one encoder, and a head for each task or a shared one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from xt_jax import hosts
from xt_jax.config import digest
from xt_jax.model.encoder import Encoder, param_path
from xt_jax.model.heads import Head, Model
from xt_jax.model.pretrained import Pretrained
from xt_jax.model.sharding import place_param, place_params
from xt_jax.tasks.table import FAMILIES, Task
from xt_jax.train.pruning import whole_table

WORDS = "encoder/embeddings/word/embedding"


@dataclass(frozen=True)
class Models:
    """The encoder and heads that one member of a phase trains.

    Attributes:
        graphdefs: each task's model without its parameters.
        heads: each task's head in `params["heads"]`; "" where a single task has `params["head"]`.
        params: the parameters, on the mesh.
        words: [K] ids of the word embeddings in `params`; None if `params` has all.
        table: [V, D] all word embeddings before training, on the host; None if `params` has all.
    """

    graphdefs: dict[str, Any]
    heads: dict[str, str]
    params: nnx.State
    words: np.ndarray | None = None
    table: np.ndarray | None = None

    def with_all_words(self, params: nnx.State, decay: float) -> nnx.State:
        """Returns `params` with all word embeddings; untrained rows have decayed by `decay`."""
        if self.table is None or self.words is None:
            return params
        table, words = self.table, self.words

        def whole(path: tuple, leaf: jax.Array) -> jax.Array | np.ndarray:
            if param_path(path) != WORDS:
                return leaf
            return whole_table(table, words, hosts.get(leaf), decay)

        return jax.tree_util.tree_map_with_path(whole, params)


def new_models(
    tasks: Sequence[Task],
    source: Pretrained,
    folder: epath.Path | None,
    seed: int,
    mesh: Mesh,
    layout: str,
    *,
    shared: bool = False,
    words: np.ndarray | None = None,
) -> Models:
    """Creates new heads on the encoder of `folder` (None: the source's own).

    Masked language modelling continues with the source's own head where its folder has one.

    Args:
        shared: whether tasks of one family with the same labels share a head.
        words: [K] ids of the word embeddings to train; None: all.
    """
    table = None

    def place(path: str, array: Any) -> jax.Array:
        nonlocal table
        if words is not None and path == WORDS:
            table = np.asarray(array)
            array = table[words]
        return place_param(path, array, mesh, layout)

    encoder = source.load(folder, place)
    if len(tasks) == 1:
        (task,) = tasks
        graphdef, params = nnx.split(Model(encoder, _new_head(task, encoder, source, seed)))
        params = place_params(params, mesh, layout)
        return Models({task.name: graphdef}, {task.name: ""}, params, words, table)
    heads = _names(tasks, shared)
    graphdefs: dict[str, Any] = {}
    states: dict[str, nnx.State] = {}
    for task in tasks:
        name = heads[task.name]
        head = _new_head(task, encoder, source, int(digest(seed, name)[:7], 16))
        graphdefs[task.name], params = nnx.split(Model(encoder, head))
        states.setdefault(name, params["head"])
    together = nnx.State({"encoder": params["encoder"], "heads": nnx.State(states)})
    return Models(graphdefs, heads, place_params(together, mesh, layout), words, table)


def _names(tasks: Sequence[Task], shared: bool) -> dict[str, str]:
    names: dict[str, str] = {}
    alike: dict[tuple, str] = {}
    for task in tasks:
        names[task.name] = task.name
        if shared:
            names[task.name] = alike.setdefault((task.family, task.labels), task.name)
    return names


def _new_head(task: Task, encoder: Encoder, source: Pretrained, seed: int) -> Head:
    family = FAMILIES[task.family]
    assert family.head is not None
    if family.published_head is not None and source.folder is not None:
        published = family.published_head(source.folder)
        if published is not None:
            return published
    return family.head(encoder.config, len(task.labels), nnx.Rngs(seed))
