"""Locks a folder, so that at most one process appends to each of its result files.

A lock is a small file beside the result file (`results.lock`, `results-3-of-16.lock`) that names
its owner. Shards of one division run side by side; a whole study and a shard exclude each other,
and so do shards of different divisions, since they would do the same jobs twice.

A lock whose process has ended is taken over. On the same machine the process table shows whether it
has; for other machines (a shared disk, a bucket) the owner renews the lock every `BEAT` seconds,
and counts as gone after `PATIENCE` seconds without renewal, by the clocks of both machines.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from absl import logging
from etils import epath

from xt_jax.command_line import command_line
from xt_jax.errors import DataError, UserError
from xt_jax.files import atomic_write_text, find
from xt_jax.places import is_local
from xt_jax.records.json_files import number_fault, read_object
from xt_jax.records.shard import shard_file

BEAT = 30.0  # seconds
PATIENCE = 300.0  # seconds
_SETTLE = 2.0  # seconds after which processes that lock a bucket at the same time see each other


class Owner(NamedTuple):
    """The process that owns a lock, as stored in the lock file.

    Attributes:
        host: name of the machine.
        machine: distinguishes machines (and containers) of one name.
        process: the process id; `started` distinguishes it from a later process of that id.
        since, alive: when it took the lock and when it last renewed it, in seconds since 1970.
        token: a random name that only this lock has.
    """

    host: str
    machine: str
    process: int
    started: str
    since: float
    alive: float
    command: str
    token: str

    def is_gone(self) -> bool:
        """Whether the process no longer runs, or has not renewed its lock for `PATIENCE`."""
        if self.machine == _machine():
            return _started(self.process) != self.started
        return time.time() - self.alive > PATIENCE


@contextlib.contextmanager
def locked(workdir: epath.PathLike, shard: str = "") -> Iterator[Callable[[], None]]:
    """Makes this process the owner of a shard's result file ("": whole study) inside the block.

    Yields a function that raises a UserError if the process has lost the file, because the folder
    was moved, removed or unmounted, or the lock taken over.

    Raises:
        UserError: another process owns it, or owns a file whose jobs are the same.
    """
    folder = epath.Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / shard_file("results.lock", shard)
    me = _this_process()
    with _one_at_a_time(folder) as is_exclusive:
        _refuse_if_taken(folder, path)
        _write(path, me)
    if not is_exclusive:
        time.sleep(_SETTLE)
        _refuse_if_taken(folder, path, me)
    ended = threading.Event()
    beat = threading.Thread(target=_keep_alive, args=(path, me, ended), daemon=True)
    beat.start()
    try:
        yield functools.partial(_check_owned, path, me)
    finally:
        ended.set()
        beat.join()
        if _is_owned_by(path, me):
            path.unlink(missing_ok=True)


def owner_of(path: epath.PathLike) -> Owner | None:
    """Reads the owner from a lock file; returns None if the file is missing or damaged."""
    try:
        owner = Owner(**read_object(path))
    except (DataError, TypeError):
        return None
    texts = owner.host, owner.machine, owner.started, owner.command, owner.token
    faults = [
        number_fault("process", owner.process, 1, 2**31 - 1, int),
        *(number_fault("time", at, 0, 1e11) for at in (owner.since, owner.alive)),
    ]
    return owner if all(isinstance(text, str) for text in texts) and not any(faults) else None


def _check_owned(path: epath.Path, me: Owner) -> None:
    owner = owner_of(path)
    if owner is None:
        raise UserError(
            "The folder was moved, removed or unmounted while this run wrote to it, or its lock "
            "was deleted.",
            where=path,
            remedy="put the folder back and run the same command again: it resumes where it "
            "stopped",
        )
    if owner.token != me.token:
        raise UserError(
            f"Another run took this folder over: `{owner.command}` on {owner.host}.",
            where=path,
            remedy="let that run end",
        )


def _refuse_if_taken(folder: epath.Path, path: epath.Path, me: Owner | None = None) -> None:
    for other in find(folder, "results*.lock"):
        owner = owner_of(other)
        if owner is None or owner.is_gone() or (me and owner.token == me.token):
            continue
        if other == path or _division(other.name) != _division(path.name):
            if me and _is_owned_by(path, me):
                path.unlink(missing_ok=True)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
            raise UserError(
                f"Another run is writing to this folder: `{owner.command}`, process "
                f"{owner.process} on {owner.host}, since {since}.",
                where=other,
                remedy="wait for that run or stop it, or use another folder; to share a study, "
                "give every process its shard (--config.shard=1/2 and 2/2). A killed run is "
                f"noticed at once on its own machine, and after {PATIENCE / 60:.0f} minutes on "
                "another; if you know that it has ended, delete the file",
            )


def _division(name: str) -> str:
    """Returns the number of shards in a lock file's name, or "" for a whole study."""
    return name.removesuffix(".lock").partition("-of-")[2]


def _this_process() -> Owner:
    now, process = time.time(), os.getpid()
    return Owner(
        *(socket.gethostname(), _machine(), process, _started(process) or ""),
        *(now, now, command_line(), uuid.uuid4().hex),
    )


def _keep_alive(path: epath.Path, me: Owner, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        if not _is_owned_by(path, me):
            logging.error("%s: the lock was deleted or taken over while this run had it", path)
            return
        with contextlib.suppress(OSError):  # the next beat may succeed
            _write(path, me._replace(alive=time.time()))


def _is_owned_by(path: epath.Path, me: Owner) -> bool:
    owner = owner_of(path)
    return owner is not None and owner.token == me.token


def _write(path: epath.Path, owner: Owner) -> None:
    atomic_write_text(path, json.dumps(owner._asdict(), indent=1) + "\n")


@contextlib.contextmanager
def _one_at_a_time(folder: epath.Path) -> Iterator[bool]:
    """Keeps other processes from locking in this folder; yields False if that is impossible."""
    if not is_local(folder):
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        is_exclusive = True
    except OSError:  # some network disks
        is_exclusive = False
    try:
        yield is_exclusive
    finally:
        os.close(descriptor)


def _machine() -> str:
    """Returns an id of this machine that changes with every boot and between containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"


def _started(process: int) -> str | None:
    """Returns when a process of this machine started, for comparison; None if it does not run."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return None if state in "ZX" else fields[18]
