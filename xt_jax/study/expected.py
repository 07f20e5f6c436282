"""Says how wide the intervals of a study's slopes would be, if it deviates as another one did."""

from __future__ import annotations

from collections import Counter

from xt_jax import model as models
from xt_jax.config import Config, of_model
from xt_jax.errors import DataError
from xt_jax.model.pretrained import architecture_of, origin_of
from xt_jax.places import as_path
from xt_jax.report.packed import unpacked
from xt_jax.report.statistics.design import expected_half_width
from xt_jax.report.statistics.families import MIN_SIZES
from xt_jax.report.statistics.scaling import Scaling
from xt_jax.report.statistics.scores import CONFIDENCE
from xt_jax.report.study_results import read_study

_NOTE = (
    f"Half of the expected {100 * CONFIDENCE:.0f} % interval of a slope, in points per tenfold "
    "encoder parameters, if sizes, pretraining runs and seeds deviate as in {like}; without the "
    f"part over test examples. A slope takes {MIN_SIZES} sizes of a family."
)


def expected_slopes(config: Config, like: str) -> tuple[str, list[list[str]]]:
    """Returns an explanation, and a row per family of the configured models.

    Args:
        config: checked by `check`.
        like: the folder of a study with a slope.

    Raises:
        DataError: the study has no slope, or its records are damaged.
    """
    fits = _fits(like)
    rows = [["family", "sizes", "runs of each", *(fit.contrast for fit in fits)]]
    for family, runs in _families(config).items():
        fewest = min(runs.values())
        widths = (expected_half_width([*runs], fewest, config.seeds, f.deviations) for f in fits)
        cells = [f"{w:.1f}" for w in widths] if len(runs) >= MIN_SIZES else ["none"] * len(fits)
        rows.append([family, str(len(runs)), str(fewest), *cells])
    return _NOTE.format(like=like), rows


def _fits(like: str) -> list[Scaling]:
    """Returns the fits of the study's family with most sizes."""
    folder = as_path(like)
    with unpacked(folder) as results:
        study = read_study(results)
    ladders = [fits for family in study.families if (fits := study.scalings(family))]
    if not ladders:
        raise DataError(
            f"There is no study with a slope in this folder, which takes {MIN_SIZES} sizes.",
            where=folder,
            remedy="give --like the --workdir of a finished study, or a packed study",
        )
    return max(ladders, key=lambda fits: len(fits[0].sizes))


def _families(config: Config) -> dict[str, Counter[int]]:
    """Returns for each family of the models how many runs each size has, by its parameters."""
    families: dict[str, Counter[int]] = {}
    for name in config.models or (config.model.name,):
        family = origin_of(of_model(config, name).model).family
        params, _ = models.count_params(models.abstract_encoder(architecture_of(name)))
        families.setdefault(family, Counter())[params] += 1
    return families
