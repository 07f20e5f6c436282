"""Runs the experiment of a configuration page: trains, scores zero-shot and prints the table.

    python run.py --config=configs/mnli_to_xtreme.py:size=base --config.data.dir=DATA --workdir=DIR

After a stop the same command resumes. Every field of the page can be set on the command line,
for example --config.target.learning_rate=3e-6.
"""

from __future__ import annotations

import os
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from xt_jax import command, hosts, preemption
from xt_jax.compilation import keep_programs
from xt_jax.config import Config, unknown_field
from xt_jax.errors import ConfigError, UserError

_CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration page.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for states, predictions and results.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print what would be run and its cost, then stop.")
_MFU = flags.DEFINE_float("mfu", 0.4, "Model FLOPs utilisation that --dry_run assumes.")
_LIKE = flags.DEFINE_string(
    "like",
    "",
    "A study's --workdir, or a packed study, from whose deviations --dry_run says how wide the "
    "intervals of slopes would be.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    "",
    "host:port of the first of several processes on one mesh, or auto on a TPU slice, with Slurm "
    "or Kubernetes; empty: this process is the only one.",
)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Number of processes, unless --coordinator=auto.")
_PROCESS = flags.DEFINE_integer("process", 0, "This process, from 0, unless --coordinator=auto.")
_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    os.environ.get("JAX_COMPILATION_CACHE_DIR", os.path.expanduser("~/.cache/xt_jax/xla")),
    "Folder of JAX's compilation cache.",
)


def main(_: list[str]) -> None:
    if not isinstance(_CONFIG.value, Config):  # what ml_collections gives for a missing file
        raise ConfigError(
            "There is no such configuration page.",
            where="--config",
            remedy="name a file in configs/, or your own file with a get_config() like theirs",
        )
    if _COORDINATOR.value:
        hosts.connect(str(_COORDINATOR.value), int(_PROCESSES.value), int(_PROCESS.value))
        if not hosts.is_first():
            logging.set_verbosity(logging.WARNING)  # the first process logs for all
    preemption.watch()
    keep_programs(str(_COMPILATION_CACHE.value))
    if _DRY_RUN.value:
        from xt_jax.study.forecast import forecast

        print(forecast(_CONFIG.value, str(_WORKDIR.value), float(_MFU.value), _LIKE.value))
        return
    from xt_jax.study.runner import run

    print(run(_CONFIG.value, str(_WORKDIR.value)))


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except UserError:
        raise
    except flags.Error as error:
        problem = str(error)[:1].upper() + str(error)[1:]
        raise ConfigError(problem, where="command line", remedy="--help lists the flags") from error
    except Exception as error:  # a page is any program; an unknown field is a KeyError
        raise unknown_field(argv) or _page_fault(error) from error


def _page_fault(error: Exception) -> ConfigError:
    return ConfigError(
        f"The configuration page cannot be loaded ({type(error).__name__}: {error}).",
        where="--config",
        remedy="name a file in configs/, or your own file with a get_config() like theirs",
    )


def _run() -> None:
    try:
        app.run(main, flags_parser=_parse_flags)
    except preemption.Preempted as ended:
        print(f"ended by {ended.signal}: the same command carries on from here", file=sys.stderr)
        raise


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    logging.set_verbosity(logging.INFO)
    command.run(_run)
