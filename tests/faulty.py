"""Runs `run.py` repeatedly, each time in a fork that is killed at a chosen moment.

A server: for each line of JSON on its standard input {"arguments", "moment", "count", "delay",
"log"} it runs the command and answers with the exit status of the child. Thirty kills are
affordable because no child has to import everything again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from absl import flags, logging
from etils import epath

import run
from xt_jax.model import hf, predict
from xt_jax.train import loop
from xt_jax.train.checkpoint import SavedStates

MOMENTS: dict[str, tuple[Any, str]] = {
    "step": (loop, "place_batch"),
    "save": (SavedStates, "save"),
    "evaluation": (predict, "place_batch"),
    "write": (type(epath.Path("/")), "replace"),
    "weights": (hf, "write_safetensors"),
}


def kill_at(moment: str, count: int, delay: float) -> None:
    """Kills this process at the `count`-th call of the function that defines the moment.

    Args:
        delay: seconds after the call has returned (by a timer), below 0 before it is made; for
            "anywhere", seconds from now.
    """
    if moment == "anywhere":
        signal.setitimer(signal.ITIMER_REAL, delay)
        return
    owner, name = MOMENTS[moment]
    original: Callable = getattr(owner, name)
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != count:
            return original(*args, **kwargs)
        if moment == "weights":
            signal.setitimer(signal.ITIMER_REAL, 0.001)  # in the middle of the file
        elif delay < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
        return result

    setattr(owner, name, counted)


def child(job: dict[str, Any]) -> None:
    """Runs the command as `python run.py` does; does not return."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if job["moment"]:
        kill_at(job["moment"], job["count"], job["delay"])
    status = 1
    try:
        sys.argv = ["run.py", *job["arguments"]]  # ml_collections looks there too
        flags.FLAGS(sys.argv)
        logging.use_absl_handler()
        run._log_plainly()
        run.main([])
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    os._exit(status)


def serve() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
