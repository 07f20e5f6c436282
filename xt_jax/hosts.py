"""Lets several processes work as one, as on a TPU slice, which has a process on each host.

All processes run the same program on the same configuration, and must start their common
computations in the same order. So whatever decides what to do next (whether a file exists, the time
of day) is decided by the first process and sent to the others (`agree`), and only the first process
writes. With a single process nothing in this module communicates.

Only the first process writes the logs (train/log), the status (records/progress), best weights
(model/hf), phase.json (study/phases), the record of a target (study/job) and the report
(study/runner); that code must run no collective.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, Sharding
from jax.sharding import PartitionSpec as P

from xt_jax.errors import ConfigError

T = TypeVar("T")
_CLOCK = 16  # steps between requests for the first process's clock, if there are several


def connect(coordinator: str, processes: int, process: int) -> None:
    """Connects the processes; must be called before anything else asks JAX for devices.

    Args:
        coordinator: `host:port` of the first process; `auto` where JAX finds the processes by
            itself (TPU slices, Slurm, Kubernetes), which then ignores the other arguments.

    Raises:
        ConfigError: the processes cannot connect to each other.
    """
    known: dict[str, Any] = {}
    if coordinator != "auto":
        known = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
        }
    try:
        jax.distributed.initialize(**known)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"The processes cannot be connected: {error}",
            where=f"--coordinator={coordinator}",
            remedy="give every process the address of the first (host:port), --processes and its "
            "own --process from 0; use --coordinator=auto where JAX finds them itself",
        ) from error


def is_first() -> bool:
    """Whether this is the first process, which alone writes files."""
    return jax.process_index() == 0


def meet(where: str) -> None:
    """Waits until all processes have reached this call; `where` names it."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def met(where: str, seconds: float) -> bool:
    """Waits until all processes reach this call; returns whether they do within `seconds`.

    Each `where` can be used only once. The barrier is the coordination service's and uses no
    device, since the devices of the others may be waiting for what this process will never compute.
    `jax.distributed` has no public name for that barrier (0.10.2); if a later version has moved it,
    this returns False, which ends the run.
    """
    if jax.process_count() == 1:
        return True
    try:
        from jax._src.distributed import global_state

        client = global_state.client
        assert client is not None, "several processes have joined a coordination service"
        barrier = client.wait_at_barrier
    except (ImportError, AttributeError):
        logging.error("This version of JAX has no barrier to wait for all processes at %s", where)
        return False
    try:
        barrier(where, int(1000 * seconds))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def leave(error: Exception) -> NoReturn:
    """Ends this process at once, and thereby the others, which are waiting for it."""
    logging.error("Process %d ends: %s", jax.process_index(), error)
    logging.flush()
    os._exit(1)


@contextlib.contextmanager
def first_ahead(where: str) -> Iterator[None]:
    """Lets the first process run the block before the others, so that they find its files."""
    if not is_first():
        meet(where)
    try:
        yield
    finally:
        if is_first():
            meet(where)


def agree(value: T) -> T:
    """Returns the first process's `value`, which JSON must be able to hold, on every process."""
    if jax.process_count() == 1:
        return value
    text = json.dumps(value).encode() if is_first() else b""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.frombuffer(text.ljust(length), np.uint8) if is_first() else np.zeros(length, "u1")
    return json.loads(np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes())


def have_passed(seconds: float, since: float, step: int) -> bool:
    """Returns whether `seconds` have passed since `since`, by the first process's clock.

    All processes must call this after the same steps, and get the same answer. With several
    processes the clock is asked after every 16th step only; after the others the answer is False.

    Args:
        since: a time of `time.monotonic`.
        step: training steps made.
    """
    if jax.process_count() > 1 and step % _CLOCK:
        return False
    return agree(time.monotonic() - since >= seconds)


def put(array: Any, sharding: Sharding) -> jax.Array:
    """Lays out an array that every process holds in full over the devices of all processes."""
    if jax.process_count() == 1 or not getattr(array, "is_fully_addressable", True):
        return jax.device_put(array, sharding)  # a global array is already on all devices
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        bits = put(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(bits, dtype=array.dtype)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def put_rows(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Builds global arrays from the rows that each process holds (see `sharding.local_rows`)."""
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }


def get(tree: Any) -> Any:
    """Copies a tree to whole numpy arrays on every process; all processes must call it."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.device_get(jax.tree.map(_addressable, tree))


def _addressable(array: Any) -> Any:
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return array
    if not array.is_fully_replicated:
        assert isinstance(array.sharding, NamedSharding)
        array = _replicate(array.sharding.mesh)(array)
    return array.addressable_data(0)


@functools.cache
def _replicate(mesh: jax.sharding.Mesh) -> Any:
    return jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))
