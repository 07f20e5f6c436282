"""Gives every test eight CPU devices, and provides paths and fixtures that many tests need."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more slow down small products six times
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "xt_jax_test_xla")
)

import jax
import pytest
from jax._src import compiler

# Compiled programs are cached for later tests, and for the commands that tests start.
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_num_cpu_devices", 8)

_compile_or_get_cached = getattr(compiler, "compile_or_get_cached", None)


def _cached_for_one_device(backend, module, devices, options, callbacks, placed, *rest):
    """Bypasses the cache for several CPU devices: JAX has no setting, and loaded programs crash."""
    if devices.size == 1:
        return _compile_or_get_cached(backend, module, devices, options, callbacks, placed, *rest)
    return compiler.backend_compile_and_load(backend, module, placed, options, callbacks)


if _compile_or_get_cached is None:  # another JAX: it is private
    jax.config.update("jax_enable_compilation_cache", False)
else:
    compiler.compile_or_get_cached = _cached_for_one_device

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def pytest_configure(config):
    """Makes programs quick to compile, except with `-m parity`, which tests what users run."""
    if config.option.markexpr == "parity":
        return
    flags = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"  # for the commands that tests start
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives each process consecutive tests of one file, so that fixtures are made once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture
def one_device(monkeypatch):
    """Runs studies on one device, as the real vocabulary on eight devices is slow."""
    from xt_jax.model.sharding import make_mesh
    from xt_jax.study import build

    monkeypatch.setattr(build, "make_mesh", lambda _: make_mesh(1, jax.devices()[:1]))


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, vocabulary and scorer figures, which are outside the project."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared")
    return SHARED


@pytest.fixture(scope="session")
def xlmr_tokenizer(shared):
    from xt_jax.data.tokenize import load_tokenizer

    return load_tokenizer(str(shared / "tokenizer" / "xlm-roberta"))


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """The folder of a small embedded world in the official formats."""
    from xt_jax import mini

    sizes = mini.Sizes(train=1500, tagged=500, dev=150, parallel=200, pairs=30, alone=120, text=400)
    return Path(mini.write_world(tmp_path_factory.mktemp("world") / "data", sizes))


@pytest.fixture(scope="session")
def mini_tokenizer_folder() -> Path:
    """The folder of the tokenizer that comes with the package."""
    from xt_jax.mini.weights import tokenizer_folder

    return Path(tokenizer_folder())


@pytest.fixture(scope="session")
def mini_tokenizer(mini_tokenizer_folder):
    from xt_jax.data.tokenize import load_tokenizer

    return load_tokenizer(str(mini_tokenizer_folder))
