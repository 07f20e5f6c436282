"""The lock of a workdir: at most one process appends to each result file.

A lock is a small file beside the result file (`results.lock`, `results-3-of-16.lock`) that says who
has it. Shards of one division work side by side; a whole study and a shard exclude each other, and
so do shards of different divisions, since they would do the same jobs twice.

A lock whose process is gone is taken over. On the same machine the process table tells whether it
is; for another machine (a shared disk, a bucket) the owner says every `BEAT` seconds that it is
alive, and counts as gone after `PATIENCE` seconds without a word, by the clocks of both machines.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from absl import logging
from etils import epath

from xt_jax.errors import UserError
from xt_jax.files import atomic_write_text, is_local
from xt_jax.records.shard import shard_file

BEAT = 30.0  # seconds
PATIENCE = 300.0  # seconds
_SETTLE = 2.0  # seconds in which processes that lock a bucket at the same time see one another


class Owner(NamedTuple):
    """The process that has a lock, as the lock file holds it.

    Attributes:
        host: its name.
        machine: tells machines (and containers) of one name apart.
        process: its number, and `started`, which tells it from a later one of that number.
        since, alive: in seconds since 1970: when it took the lock, and last said that it runs.
        token: of this lock alone.
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
        """Whether the process does not run any more."""
        if self.machine == _machine():
            return _started(self.process) != self.started
        return time.time() - self.alive > PATIENCE


@contextlib.contextmanager
def locked(workdir: epath.PathLike, shard: str = "") -> Iterator[None]:
    """Within, this process owns the result file of the shard ("" for the whole study).

    Raises:
        UserError: another process owns it, or one that would do the same jobs.
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
        yield
    finally:
        ended.set()
        beat.join()
        if _is_owned_by(path, me):
            path.unlink(missing_ok=True)


def owner_of(path: epath.PathLike) -> Owner | None:
    """The owner that a lock file names; None where there is no file or it is damaged."""
    try:
        return Owner(**json.loads(epath.Path(path).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _refuse_if_taken(folder: epath.Path, path: epath.Path, me: Owner | None = None) -> None:
    for other in sorted(folder.glob("results*.lock")):
        owner = owner_of(other)
        if owner is None or owner.is_gone() or (me and owner.token == me.token):
            continue
        if other == path or _division(other.name) != _division(path.name):
            if me and _is_owned_by(path, me):
                path.unlink(missing_ok=True)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
            raise UserError(
                f"Another run writes the results of this folder: `{owner.command}`, process "
                f"{owner.process} on {owner.host}, since {since}.",
                where=other,
                remedy="wait for it or stop it, or use another --workdir; to share the work, give "
                "every process its shard (--config.shard=1/2 and 2/2). A killed run is noticed "
                f"at once on its own machine, and after {PATIENCE / 60:.0f} minutes on another; if "
                "you know that it is gone, delete the file",
            )


def _division(name: str) -> str:
    """The number of shards, or "" of a whole study."""
    return name.removesuffix(".lock").partition("-of-")[2]


def _this_process() -> Owner:
    now, process = time.time(), os.getpid()
    command = f"python {shlex.join(sys.argv)}"
    return Owner(
        *(socket.gethostname(), _machine(), process, _started(process) or ""),
        *(now, now, command, uuid.uuid4().hex),
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
    """Within, no other process takes a lock in the folder; False where that cannot be had."""
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
    """Changes with every start of the machine, and from container to container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"


def _started(process: int) -> str | None:
    """When a process of this machine started, in a form to compare; None if it does not run."""
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
