"""Several processes as one: a TPU slice has one on each of its hosts.

All run the same program on the same configuration; what they compute together must be started by
all in the same order. So whatever decides what to do next (a file that is there, the time of day)
is asked of the first process and told to the others (`agree`), and the first alone writes. With one
process nothing here communicates.

The first alone writes, and that must hold no collective: logs (train/log), the status
(records/progress), best weights (model/hf), everything of study/record, the report (study/runner).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
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


def connect(coordinator: str, processes: int, process: int) -> None:
    """Joins the processes; must come before anything else asks JAX for devices.

    Args:
        coordinator: `host:port` of the first process; `auto` where JAX knows by itself who is
            there (TPU slices, Slurm, Kubernetes), which the other arguments are then left to.

    Raises:
        ConfigError: the processes do not find each other.
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
            f"The processes cannot be joined: {error}",
            where=f"--coordinator={coordinator}",
            remedy="give every process the address of the first (host:port), --processes and its "
            "own --process from 0; --coordinator=auto where JAX finds them itself",
        ) from error


def is_first() -> bool:
    """Whether this process writes."""
    return jax.process_index() == 0


def meet(where: str) -> None:
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def met(where: str, seconds: float) -> bool:
    """Whether all processes reach this call within `seconds`; each `where` can be used once.

    This asks the coordination service and no device: the devices of the others may be waiting for
    what this process will never compute. `jax.distributed` has no public name for the service's
    barrier (0.10.2); where a later version has moved it the answer is no, which ends the run.
    """
    if jax.process_count() == 1:
        return True
    try:
        from jax._src.distributed import global_state

        barrier = global_state.client.wait_at_barrier  # type: ignore[union-attr]
    except (ImportError, AttributeError):
        logging.error("This version of JAX does not tell whether all processes are at %s", where)
        return False
    try:
        barrier(where, int(1000 * seconds))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def leave(error: Exception) -> NoReturn:
    """Ends this process at once, and thereby the others, which wait for it."""
    logging.error("Process %d ends: %s", jax.process_index(), error)
    logging.flush()
    os._exit(1)


@contextlib.contextmanager
def first_ahead(where: str) -> Iterator[None]:
    """The others enter when the first process has left: they find the files that it wrote."""
    if not is_first():
        meet(where)
    try:
        yield
    finally:
        if is_first():
            meet(where)


def agree(value: T) -> T:
    """The first process's `value`, which is anything that JSON holds, on all of them."""
    if jax.process_count() == 1:
        return value
    text = json.dumps(value).encode() if is_first() else b""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.frombuffer(text.ljust(length), np.uint8) if is_first() else np.zeros(length, "u1")
    return json.loads(np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes())


def put(array: Any, sharding: Sharding) -> jax.Array:
    """What every process has as a whole, laid out over the devices of all."""
    if jax.process_count() == 1 or not getattr(array, "is_fully_addressable", True):
        return jax.device_put(array, sharding)  # the latter is laid out over all devices already
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        bits = put(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(bits, dtype=array.dtype)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def put_rows(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """What the processes have the parts of (see `sharding.local_rows`), as whole arrays."""
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }


def get(tree: Any) -> Any:
    """As numpy arrays, whole, on every process; all must call it."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.device_get(jax.tree.map(_whole, tree))


def _whole(array: Any) -> Any:
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return array
    if not array.is_fully_replicated:
        assert isinstance(array.sharding, NamedSharding)
        array = _replicate(array.sharding.mesh)(array)
    return array.addressable_data(0)


@functools.cache
def _replicate(mesh: jax.sharding.Mesh) -> Any:
    return jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))
