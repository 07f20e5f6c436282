"""Which models are sizes of one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from xt_jax.records.results import Row

MIN_SIZES = 3  # of a family, for anything to be said against size


def ladders(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Families of at least `MIN_SIZES` sizes: their models from small to large."""
    sizes = {row["model"]: row["encoder_params"] for row in rows}
    families: dict[str, list[str]] = defaultdict(list)
    for model in sorted(sizes, key=lambda model: (sizes[model], model)):
        families[family_of(model)].append(model)
    return {
        family: models
        for family, models in families.items()
        if len({sizes[model] for model in models}) >= MIN_SIZES
    }


def family_of(model: str) -> str:
    """The name without its owner and its size: `facebook/xlm-roberta-xl` is an `xlm-roberta`.

    What was distilled from XLM-R is its smallest sizes. Random weights are a family apart.
    """
    if model.endswith("-distilled-from-XLMR-Large"):
        return "xlm-roberta"
    name = model.rstrip("/").rsplit("/", 1)[-1]
    plain = name.removesuffix("-random")
    return plain.rsplit("-", 1)[0] + name[len(plain) :]
