"""Predicts the contrasts of sizes that have not been scored yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xt_jax.errors import ConfigError
from xt_jax.report.document import Block, Table, Text
from xt_jax.report.statistics.scaling import predicted
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import StudyResults

_NOTE = (
    "The gap that the line through the sizes of a family predicts for the mean of a new size, in "
    f"points, with its {100 * CONFIDENCE:.0f} % interval over sizes."
)


def predictions(study: StudyResults, params: Sequence[int]) -> pd.DataFrame:
    """Returns a row per contrast and number of encoder parameters: value, low and high, in points.

    Raises:
        ConfigError: no family has three sizes, through which a line can be drawn.
    """
    rows = []
    for fit in study.findings.scalings:
        x, means = np.log10(fit.encoder_params), np.array([mean.value for mean in fit.means])
        for count in params:
            value, low, high = predicted(x, means, float(np.log10(count)))
            rows.append([fit.family, fit.contrast, count, value, low, high])
    if not rows:
        raise ConfigError(
            "There is no line to predict from.",
            where="--predict",
            remedy="add sizes: a family needs three with a direct and an intermediate run",
        )
    names = ["family", "contrast", "encoder_params", "value", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def prediction_table(predictions: pd.DataFrame) -> list[Block]:
    rows = [["family", "contrast", "encoder parameters", "predicted gap"]]
    for row in predictions.itertuples():
        interval = f"{row.value:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"
        rows.append([row.family, row.contrast, f"{row.encoder_params:,}", interval])
    return [Text(_NOTE), Table(rows)]
