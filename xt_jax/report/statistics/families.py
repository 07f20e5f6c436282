"""Groups models into families that differ in size alone."""

from __future__ import annotations

import pandas as pd

MIN_SIZES = 3  # that a family needs for a statement about size


def ladders(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Returns families of at least `MIN_SIZES` sizes, with their models from small to large."""
    models = rows.groupby("model")["encoder_params"].last().reset_index()
    models = models.sort_values(["encoder_params", "model"])
    families = models.groupby(models["model"].map(family_of), sort=False)
    return {
        str(family): of_family["model"].tolist()
        for family, of_family in families
        if of_family["encoder_params"].nunique() >= MIN_SIZES
    }


def family_of(model: str) -> str:
    """Returns a model's name without owner and size: `xlm-roberta` for `facebook/xlm-roberta-xl`.

    Encoders distilled from XLM-R count as its smallest sizes. Random weights are a separate family.
    """
    if model.endswith("-distilled-from-XLMR-Large"):
        return "xlm-roberta"
    name = model.rstrip("/").rsplit("/", 1)[-1]
    plain = name.removesuffix("-random")
    return plain.rsplit("-", 1)[0] + name[len(plain) :]
