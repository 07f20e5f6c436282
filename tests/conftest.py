"""Eight CPU devices for every test, and the paths and small things that many tests need."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import jax
import pytest
from jax._src import compiler

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Compiled programs are kept for equal ones of later tests, and for the commands that tests start.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "xt_jax_test_xla")
)
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_num_cpu_devices", 8)

_compile_or_get_cached = compiler.compile_or_get_cached


def _cached_for_one_device(backend, module, devices, options, callbacks, placed, *rest):
    """Those for several CPU devices may abort the process when they come from the cache."""
    if devices.size == 1:
        return _compile_or_get_cached(backend, module, devices, options, callbacks, placed, *rest)
    return compiler.backend_compile_and_load(backend, module, placed, options, callbacks)


compiler.compile_or_get_cached = _cached_for_one_device

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each process takes a row of tests of the same files, so that fixtures are made once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(autouse=True)
def quick_to_compile(request):
    """XLA compiles twice as fast; the parity tests run fully optimised."""
    jax.config.update("jax_disable_most_optimizations", "parity" not in request.keywords)


@pytest.fixture
def one_device(monkeypatch):
    """Studies run on one of the devices: the real vocabulary eight times over is slow."""
    from xt_jax.model.sharding import make_mesh
    from xt_jax.study import build

    monkeypatch.setattr(build, "make_mesh", lambda _: make_mesh(1, jax.devices()[:1]))


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data, the real vocabulary and scorer verdicts, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared")
    return SHARED


@pytest.fixture(scope="session")
def xlmr_tokenizer(shared):
    from xt_jax.data.tokenize import load_tokenizer

    return load_tokenizer(str(shared / "tokenizer" / "xlm-roberta"))


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """The embedded world, small, in the official formats."""
    from xt_jax import mini

    sizes = mini.Sizes(train=1500, tagged=500, dev=150, parallel=200, pairs=30, alone=120, text=400)
    return Path(mini.write_world(tmp_path_factory.mktemp("world") / "data", sizes))


@pytest.fixture(scope="session")
def mini_tokenizer_folder() -> Path:
    """The tokenizer that comes with the package."""
    from xt_jax.mini.weights import tokenizer_folder

    return Path(tokenizer_folder())


@pytest.fixture(scope="session")
def mini_tokenizer(mini_tokenizer_folder):
    from xt_jax.data.tokenize import load_tokenizer

    return load_tokenizer(str(mini_tokenizer_folder))
