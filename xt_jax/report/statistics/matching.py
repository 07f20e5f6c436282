"""Places every checkpoint of every pretraining run by its direct score and its gap.

Larger models score higher directly, so a gap that follows size may only follow the direct score.
Checkpoints along pretraining separate the two: do sizes differ at equal direct score?
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from xt_jax.report.statistics.combined import RETRIEVAL, TRAINED, is_trained
from xt_jax.report.statistics.scores import ENGLISH, comparable, first_metrics, pairs


class Point(NamedTuple):
    """One checkpoint: means over all languages but English, targets, intermediate tasks, seeds.

    Attributes:
        contrast: TRAINED or RETRIEVAL.
        steps: of pretraining; 0 where they are not recorded.
        direct: score of direct fine-tuning, 0..100.
        gap: what the intermediate tasks add, in points.
    """

    contrast: str
    size: str
    encoder_params: int
    pretraining: str
    steps: int
    direct: float
    gap: float


def matched(rows: pd.DataFrame) -> Iterator[Point]:
    """Yields the points of each contrast, over what every checkpoint has; [] where nothing is.

    Args:
        rows: the rows that count, of all checkpoints.
    """
    both = comparable(pairs(first_metrics(rows)))
    both = both[both["language"] != ENGLISH]
    trained = both["target"].map(is_trained).astype(bool)
    for contrast, of_contrast in ((TRAINED, both[trained]), (RETRIEVAL, both[~trained])):
        means = (
            of_contrast.assign(gap=of_contrast["value"] - of_contrast["value_direct"])
            .groupby(["intermediate", "target", "model"])[["value_direct", "gap"]]
            .mean()
        )
        models = of_contrast["model"].unique()
        counts = means.groupby(["intermediate", "target"]).size()
        common = counts.index[counts == len(models)]
        for model, about in of_contrast.groupby("model", sort=False):
            of_model = [means.loc[(*key, model)] for key in common]
            if of_model:
                direct, gap = pd.concat(of_model, axis=1).mean(axis=1)
                last = about.iloc[-1]
                yield Point(
                    *(contrast, last["size"], int(last["encoder_params"]), last["pretraining"]),
                    *(int(last["pretraining_steps"]), float(direct), float(gap)),
                )
