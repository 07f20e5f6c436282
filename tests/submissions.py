"""Makes up submissions and compares scores with the official scorers' figures to 1e-9.

How the figures were made: `reference/make_score_reference.py`, and conformance/README.md of the
shared data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from xt_jax.tasks.benchmarks import BENCHMARKS
from xt_jax.tasks.submission.official import Verdict, evaluate

REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(REFERENCE))
import score_inputs as ref  # noqa: E402

TOLERANCE = 1e-9
STORED = json.loads((REFERENCE / "scores.json").read_text())
MADE_UP = STORED["made up"]


def assert_equal(found, expected) -> None:
    found, expected = ref.flat(found), ref.flat(expected)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=0, abs=TOLERANCE)


def made_up(folder: Path, version: str = "xtreme") -> Path:
    """Writes predictions and labels for every task and language of the version into the folder."""
    ref.write_made_up(folder, version, BENCHMARKS[version].languages)
    return folder


def verdict(folder: Path, version: str = "xtreme", **options) -> Verdict:
    return evaluate(folder / "predictions", folder / "labels", version, **options)
