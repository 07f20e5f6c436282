"""Names the TPU slices that Google offers and makes their devices, to compile without a TPU."""

from __future__ import annotations

import math
import os
import re
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from xt_jax.errors import ConfigError


class Chip(NamedTuple):
    """A chip's figures, from the maker's pages.

    Attributes:
        hbm: memory in GiB.
        peak: of dense bf16 products, in TFLOP/s.
        memory: what its memory reads or writes, in GB/s.
        links: what all links to other chips bring it, in GB/s.
        clock: in Hz, which follows from the peak and the products that it can make in a cycle.
    """

    hbm: float
    peak: float
    memory: float
    links: float
    clock: float


# https://cloud.google.com/tpu/docs/v4, v5e, v5p, v6e
CHIPS = {
    "v4": Chip(32, 275, 1200, 300, 1.05e9),
    "v5e": Chip(16, 197, 819, 200, 1.5e9),
    "v5p": Chip(95, 459, 2765, 600, 1.75e9),
    "v6e": Chip(32, 918, 1600, 400, 1.75e9),
}

# What JAX calls them. The numbers of v4 and v5p count cores, of which a chip has two.
TOPOLOGIES = {
    "v4-8": "v4:2x2x1",
    "v4-16": "v4:2x2x2",
    "v4-32": "v4:2x2x4",
    "v4-64": "v4:2x4x4",
    "v4-128": "v4:4x4x4",
    "v5e-1": "v5e:1x1",
    "v5e-4": "v5e:2x2",
    "v5e-8": "v5e:2x4",
    "v5e-16": "v5e:4x4",
    "v5e-32": "v5e:4x8",
    "v5e-64": "v5e:8x8",
    "v5p-8": "v5p:2x2x1",
    "v5p-16": "v5p:2x2x2",
    "v5p-32": "v5p:2x2x4",
    "v5p-64": "v5p:2x4x4",
    "v5p-128": "v5p:4x4x4",
    "v6e-1": "v6e:1x1",
    "v6e-4": "v6e:2x2",
    "v6e-8": "v6e:2x4",
    "v6e-16": "v6e:4x4",
    "v6e-32": "v6e:4x8",
}

# libtpu as a mere compiler: it may be loaded beside others, asks no metadata server about this
# machine and does not complain about missing settings.
_ALONE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
}

_CHIPS_OF_A_HOST = 4  # as libtpu assumes


def topology_of(name: str) -> str:
    """Returns JAX's name for a slice such as `v5e-8` or `v5e:2x4`.

    Raises:
        ConfigError: no such slice.
    """
    topology = TOPOLOGIES.get(name, name)
    if not re.fullmatch(rf"({'|'.join(CHIPS)}):\d+x\d+(x\d+)?", topology):
        raise ConfigError(
            f"There is no slice `{name}`.",
            where="--topology",
            remedy=f"use one of {', '.join(TOPOLOGIES)}, or a topology such as v5e:2x4",
        )
    return topology


def chip_of(name: str) -> Chip:
    return CHIPS[topology_of(name).partition(":")[0]]


def devices_of(name: str) -> list[jax.Device]:
    """Returns devices to compile for, none of which need be present.

    Raises:
        ConfigError: no such slice, or no compiler for TPUs.
    """
    topology = topology_of(name)
    generation, _, extent = topology.partition(":")
    sides = [int(side) for side in extent.split("x")]
    options: dict[str, Any] = {}
    if math.prod(sides) < _CHIPS_OF_A_HOST:
        options["chips_per_host_bounds"] = (*sides, 1)
    if generation == "v4":
        options["chip_config_name"] = "megacore"  # one device a chip, as JAX has it there
    for variable, value in _ALONE.items():
        os.environ.setdefault(variable, value)
    try:
        return list(topologies.get_topology_desc(topology, "tpu", **options).devices)
    except Exception as error:  # JAX raises what the plugin gives
        raise ConfigError(
            f"Nothing can be compiled for {topology}: {error}",
            where="--topology",
            remedy="pip install 'xt_jax[tpu]', which brings libtpu; no TPU is needed",
        ) from error
