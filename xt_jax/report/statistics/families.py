"""Groups models into sizes, and sizes into families that differ in size alone.

A size may have several pretraining runs, each a model of the study, and a run may have checkpoints
along it, of which the last stands for the run.
"""

from __future__ import annotations

import re

import pandas as pd

MIN_SIZES = 3  # that a family needs for a statement about size

_RUN = re.compile(r"-s[0-9]+$")
_FAMILIES = {
    "mMiniLMv2": re.compile(r"mMiniLMv2-.*-distilled-from-XLMR-Large$"),
    "xlm-roberta-xl": re.compile(r"xlm-roberta-xx?l$"),
}


def with_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds the columns that rows of before lack, and `size`, the name of all runs of one size.

    A model without a recorded pretraining run is a run of its own. The runs `mini-64`, `mini-64-s1`
    and `mini-64-s2` are of the size `mini-64`.
    """
    names = rows["model"].astype(str)
    pretraining = rows["pretraining"].where(rows["pretraining"].notna(), names)
    return rows.assign(
        family=rows["family"].where(rows["family"].notna(), names.map(family_of)),
        pretraining=pretraining,
        pretraining_steps=rows["pretraining_steps"].fillna(0),
        recipe=rows["recipe"].where(rows["recipe"].notna(), ""),
        substitutes=rows["substitutes"].where(rows["substitutes"].notna(), ""),
        size=pretraining.map(lambda run: _RUN.sub("", run)),
    )


def is_last(rows: pd.DataFrame) -> pd.Series:
    """Returns whether each row is of the last checkpoint of its pretraining run."""
    steps = rows["pretraining_steps"]
    return steps == steps.groupby(rows["pretraining"]).transform("max")


def ladders(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Returns families of at least `MIN_SIZES` sizes, with the sizes' names from small to large."""
    sizes = rows.groupby("size")[["encoder_params", "family"]].last().reset_index()
    sizes = sizes.sort_values(["encoder_params", "size"])
    return {
        str(family): of_family["size"].tolist()
        for family, of_family in sizes.groupby("family", sort=False)
        if of_family["encoder_params"].nunique() >= MIN_SIZES
    }


def family_of(model: str) -> str:
    """Returns the family of a model whose rows do not name it: its name without owner and size.

    Random weights are a separate family.
    """
    name = model.rstrip("/").rsplit("/", 1)[-1]
    plain = name.removesuffix("-random")
    known = [family for family, pattern in _FAMILIES.items() if pattern.search(plain)]
    return (known[0] if known else plain.rsplit("-", 1)[0]) + name[len(plain) :]
