"""Charts of groups: how sure each is, against bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dealerkit.charts.house import ACCENT, BAD, MUTED, SOFT, Words, new_figure, nothing, row_places, style, wrapped


def against_bounds(
    frame: pd.DataFrame,
    x: str,
    y: str,
    bounds: Sequence[tuple[float, str]],
    t: Words,
    kind: str = "number",
    size: str = "third",
) -> Figure:
    """Horizontal bars of values between 0 and 1 with dashed lines at bounds, a word on each.

    Args:
        x, y: columns of the names and of the values.
        bounds: (value, word) from low to high; bars under the lowest are drawn as bad, under the next one muted.
    """
    if frame.empty:
        return nothing(t, size)
    with style(size) as width:
        values = frame[y].astype(float).to_numpy()
        labels = wrapped(frame[x].tolist(), size)
        lines = [bound for bound, _word in bounds]
        fig, ax = new_figure(width, 0.75 + sum(0.36 + 0.15 * label.count("\n") for label in labels), scales=False)
        rows = row_places(ax, labels)
        colours = [BAD if v < lines[0] else MUTED if len(lines) > 1 and v < lines[1] else ACCENT for v in values]
        ax.barh(rows, np.nan_to_num(values), color=colours, height=0.55)
        top, low = float(np.max(rows)), float(np.min(rows))
        for step, (bound, word) in enumerate(bounds):
            place = top + 0.55 + 0.42 * step
            ax.plot([bound, bound], [low - 0.45, place], color=SOFT, lw=1.0, ls=(0, (4, 3)))
            ax.text(bound - 0.01, place - 0.05, f"{t.value(bound, kind)} {word}", ha="right", va="center", color=SOFT)
        for row, value in zip(rows, values, strict=True):
            ax.text(1.02, row, t.value(value, kind), va="center")
        ax.set_xlim(0, 1.16)
        ax.set_ylim(low - 0.5, top + 0.75 + 0.42 * (len(bounds) - 1))
        return fig
