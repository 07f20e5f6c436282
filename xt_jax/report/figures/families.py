"""Draws the contrasts of models of all families against their size, without a line."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xt_jax.report.figures.panels import Margins, abreast, label, limits
from xt_jax.report.figures.size_axis import size_axis
from xt_jax.report.figures.style import (
    GAP,
    LEVEL,
    SIZES,
    SMALL,
    entries,
    legend,
    legend_height,
    palette,
)
from xt_jax.report.statistics.findings import Across


def family_figure(across: Sequence[Across]) -> Figure:
    """Draws a panel for each contrast: a point for each size, in the colour of its family.

    No line is fitted, and none joins the points, as families differ in more than size.
    """
    contrasts = list(dict.fromkeys(one.contrast for one in across))
    styles = palette(list(dict.fromkeys(one.family for one in across)))
    sizes = sorted({one.encoder_params for one in across})
    shown = entries(styles)
    margins = Margins(top=legend_height(shown) + 0.1, bottom=0.85, across=0.55, down=0.3)
    figure, panels = abreast(contrasts, 2.6, margins, ladders=[sizes])
    for axes, contrast in zip(panels, contrasts, strict=True):
        axes.axhline(0, color="0.25", linewidth=0.9, zorder=2)
        for family, style in styles.items():
            of_family = [o for o in across if (o.contrast, o.family) == (contrast, family)]
            x, y = [o.encoder_params for o in of_family], [o.estimate.value for o in of_family]
            axes.plot(
                x, y, label=family, zorder=3, **style.line | {"linestyle": "", "markersize": 6}
            )
            for one in of_family:
                if one.estimate.has_interval:
                    ends = one.estimate.low, one.estimate.high
                    axes.vlines(one.encoder_params, *ends, color=style.colour, alpha=0.5, lw=1.2)
        size_axis(axes, sizes)
        axes.tick_params(labelsize=SMALL)
        axes.set_ylim(limits([one.estimate for one in across if one.contrast == contrast]))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    legend(figure, shown)
    bars = f"; bars: {LEVEL} intervals of single sizes, cut at the edge"
    has_bars = any(one.estimate.has_interval for one in across)
    note = f"families differ in more than size: no line is fitted{bars if has_bars else ''}"
    label(figure, f"{SIZES}\n{note}", GAP)
    return figure
