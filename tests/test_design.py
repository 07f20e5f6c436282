"""The expected width of a slope's interval, from the deviations of another study."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated import NOISE, PARAMS, gaps_of_runs, study
from synthetic import THREE, analysed, study_rows

from xt_jax.report.next_study import next_study
from xt_jax.report.statistics.design import Deviations, deviations, expected_half_width
from xt_jax.report.statistics.scaling import slope_of
from xt_jax.report.write import report

TIMES = 2000


@pytest.mark.parametrize("runs", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("line", "deviation", "seeds"), [(0.0, 0.0, 1), (0.0, 1.0, 2), (2.0, 0.5, 2), (0.5, 2.0, 5)]
)
def test_the_half_width_is_that_of_simulated_studies(runs, line, deviation, seeds):
    rng = np.random.default_rng(runs)
    found = []
    for _ in range(TIMES):
        sizes = study(rng, runs, deviation, -3.0, seeds, line)
        slope = slope_of(PARAMS, [[size] for size in sizes])
        found.append((slope.high - slope.low) / 2)
    known = Deviations(line, deviation, NOISE)
    expected = expected_half_width(PARAMS, runs, seeds, known)
    assert expected == pytest.approx(np.mean(found), rel=0.05)


@pytest.mark.parametrize(("line", "deviation"), [(2.0, 1.0), (1.5, 2.0)])
def test_the_deviations_are_those_that_were_drawn(line, deviation):
    rng = np.random.default_rng(1)
    found = [
        deviations(PARAMS, gaps_of_runs(rng, 4, deviation, -3.0, 3, line)) for _ in range(TIMES)
    ]
    variances = np.mean(np.square(found), axis=0)
    assert variances == pytest.approx([line**2, deviation**2, NOISE**2], rel=0.1)


def test_a_study_of_the_same_design_has_the_width_that_it_expects():
    """From runs of one seed, whose deviation is in that of the runs, or from one run a size."""
    rng = np.random.default_rng(2)
    for runs, seeds in ((4, 1), (1, 3)):
        widths, expected = [], []
        for _ in range(TIMES // 4):
            gaps = gaps_of_runs(rng, runs, 1.0, -3.0, seeds, line=0.0)
            known = deviations(PARAMS, gaps)
            assert math.isnan(known.seeds) == (seeds == 1)
            assert math.isnan(known.runs) == (runs == 1)
            expected.append(expected_half_width(PARAMS, runs, seeds, known))
        for _ in range(TIMES):
            slope = slope_of(PARAMS, [[size] for size in study(rng, runs, 1.0, -3.0, seeds)])
            widths.append((slope.high - slope.low) / 2)
        assert np.mean(expected) == pytest.approx(np.mean(widths), rel=0.1)


def test_what_gives_no_interval_or_no_doubt():
    assert math.isnan(expected_half_width(PARAMS[:2], 3, 2, Deviations(1.0, 1.0, 1.0)))
    assert expected_half_width(PARAMS, 3, 2, Deviations(1.0, 0.0, math.nan)) == 0
    assert math.isnan(deviations(PARAMS[:2], [[[1.0], [2.0]]] * 2).line)
    # Where runs cannot be told from sizes, all of their deviation may be that of runs.
    unknown = Deviations(1.0, math.nan, 0.0)
    assert expected_half_width(PARAMS, 3, 2, unknown) == expected_half_width(
        PARAMS, 3, 2, Deviations(0.0, 1.0, 0.0)
    )


def test_the_report_says_what_another_study_could_expect():
    rows = []
    for run in ("", "-s1", "-s2"):
        for row in study_rows(THREE, ("direct", "mnli"), seeds=2, noise=1.0 + len(run)):
            name = f"{row['model']}{run}"
            rows.append(row | {"model": name, "pretraining": name, "family": "mini"})
    study = analysed(rows)
    (fit, *others) = study.scalings("mini")
    gaps = [study_by_seed(study, size) for size in fit.sizes]
    assert fit.deviations == pytest.approx(deviations(fit.encoder_params, gaps), abs=1e-9)
    sentence, folded = next_study(study, "mini")
    halves = [
        expected_half_width(fit.encoder_params, runs, 2, fit.deviations) for runs in (1, 3, 5)
    ]
    one, three, five = (f"±{half:.1f}" for half in halves)
    line, of_runs, of_seeds = (f"{deviation:.1f}" for deviation in fit.deviations)
    assert sentence.text == (
        f"With the deviations seen here (sizes from the line {line}, between runs {of_runs} and "
        f"between seeds {of_seeds} points), 95 % intervals of the slope of trained targets in a "
        f"study of these 3 sizes and 2 seeds are expected to be {one} points with 1 pretraining "
        f"run of each size, {three} with 3 and {five} with 5."
    )
    table, _ = folded.blocks
    assert [row[0] for row in table.rows[1:]] == [fit.contrast for fit in (fit, *others)]
    assert sentence in [block for part in report(study) for block in getattr(part, "blocks", ())]


def study_by_seed(study, size: str) -> list[list[float]]:
    """Returns the gap of the trained targets of each run and seed from the rows themselves."""
    scores = study.rows.query("language != 'en' and target not in ('tatoeba', 'bucc')")
    scores = scores[scores["size"] == size]
    on = ["pretraining", "seed", "target", "language"]
    after, direct = (scores.query(f"intermediate == '{name}'") for name in ("mnli", "direct"))
    both = after.merge(direct, on=on, suffixes=("", "_direct"))
    both["gap"] = both["value"] - both["value_direct"]
    by_target = both.groupby(["pretraining", "seed", "target"])["gap"].mean()
    means = by_target.groupby(["pretraining", "seed"]).mean()
    return [of_run.tolist() for _, of_run in means.groupby("pretraining")]
