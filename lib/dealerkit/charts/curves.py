"""Curves of what is still to come, with the numbers at risk, and predicted against observed rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dealerkit.charts.house import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    SOFT,
    Words,
    few_text,
    mark_line,
    new_figure,
    nothing,
    row_places,
    style,
    ticks,
    wrapped,
    x_ticks,
)

#: Colours of several curves, told apart without a legend by their labels.
_COLOURS = (ACCENT, "#b3261e", "#1a7f4b", "#8a5a00", "#6b3fa0", "#4a6572")


def curves(
    frame: pd.DataFrame,
    t: Words,
    x: str = "month",
    y: str = "away",
    group: str | None = None,
    lo: str | None = None,
    hi: str | None = None,
    n: str | None = None,
    mark: float | None = None,
    mark_text: str = "",
    xlabel: str = "",
    size: str = "wide",
) -> Figure:
    """Falling curves of shares over months, each with its band and its name, the numbers at risk under the axis.

    Args:
        frame: one row per group and place on the axis.
        x, y: columns of months and of shares (0–1); `lo`, `hi`: ends of the interval.
        group: column of names, one curve each (six at most); None: one curve.
        n: column with the numbers at risk.
        mark: place of a line with a text.
    """
    data = frame.dropna(subset=[x, y])
    if data.empty:
        return nothing(t, size)
    names = list(dict.fromkeys(data[group])) if group else [""]
    if len(names) > len(_COLOURS):
        raise ValueError(f"{len(names)} curves cannot be told apart; {len(_COLOURS)} are the most")
    with style(size) as width:
        under = 0.2 * len(names) + 0.2 if n else 0
        fig, ax = new_figure(width, (2.7 if size == "third" else 3.2) + under)
        ax.grid(axis="y", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        parts = [data[data[group] == name] if group else data for name in names]
        for part, colour in zip(parts, _COLOURS, strict=False):
            at = part[x].astype(float)
            if lo and hi:
                band = part[lo].astype(float), part[hi].astype(float)
                ax.fill_between(at, *band, color=colour, alpha=0.13, lw=0, step="post" if len(part) < 6 else None)
            ax.plot(at, part[y].astype(float), color=colour, lw=2.2 if len(names) == 1 else 1.7)
        first, last = float(data[x].min()), float(data[x].max())
        places, labels = ticks(t, "number", first, last, 4 if size == "third" else 7)
        ax.set_xticks(places, labels)
        ax.set_ylim(0, 1.03)
        ax.set_yticks(*ticks(t, "share", 0, 1, 5))
        ax.set_xlim(first - 0.02 * (last - first), last)
        if mark is not None:
            mark_line(ax, mark, mark_text, first, last)
        if len(names) > 1:
            _named(ax, parts, names, x, y)
        if n:
            _at_risk(ax, parts, names, places, x, n, t, size)
        if xlabel:
            ax.set_xlabel(xlabel, labelpad=3 if not n else 11 + 14 * len(names))
        return fig


def _named(ax, parts, names, x, y) -> None:
    """The name of each curve in its colour where falling curves leave room, top right, the highest curve first."""
    middle = 0.5 * max(float(part[x].max()) for part in parts)
    heights = [float(np.interp(middle, part[x], part[y].astype(float))) for part in parts]
    order = sorted(range(len(names)), key=lambda i: -heights[i])
    for row, i in enumerate(order):
        ax.annotate(
            names[i],
            (1, 1),
            xycoords="axes fraction",
            xytext=(-4, -6 - 15 * row),
            textcoords="offset points",
            va="top",
            ha="right",
            color=_COLOURS[i],
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )


def _at_risk(ax, parts, names, places, x, n, t: Words, size: str) -> None:
    """The numbers at risk at the ticks, one line per curve, in its colour."""
    put = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False}
    for row, (part, _name) in enumerate(zip(parts, names, strict=True)):
        known = part.set_index(part[x].astype(float).round(6))[n]
        for place in places:
            if round(place, 6) in known.index:
                ax.annotate(
                    t.value(int(known.loc[round(place, 6)]), "count"),
                    (place, 0),
                    xytext=(0, -27 - 14 * row),
                    ha="center",
                    va="center",
                    color=_COLOURS[row] if len(names) > 1 else SOFT,
                    fontsize=8 if size == "third" else 8.5,
                    **put,
                )


def calibration(
    frame: pd.DataFrame,
    t: Words,
    predicted: str = "predicted",
    observed: str = "observed",
    lo: str = "low",
    hi: str = "high",
    n: str = "n",
    xlabel: str = "",
    ylabel: str = "",
    size: str = "third",
) -> Figure:
    """What was predicted against what happened, a dot per bin with its interval; on the diagonal both agree.

    Bins of fewer than 30 cases are left out.
    """
    data = frame.dropna(subset=[predicted, observed])
    data = data[data[n] >= 30]
    if data.empty:
        return nothing(t, size)
    with style(size) as width:
        fig, ax = new_figure(width, 2.9 if size == "third" else 3.4)
        ax.grid(color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        top = min(1.0, 1.08 * float(max(data[predicted].max(), data[hi].max())))
        ax.plot([0, top], [0, top], color=MUTED, lw=1.2, ls=(0, (4, 3)))
        ax.vlines(data[predicted], data[lo].astype(float), data[hi].astype(float), color=INK, lw=1.1, alpha=0.6)
        ax.plot(data[predicted], data[observed].astype(float), "o", color=ACCENT, ms=6, mec="white", mew=0.6)
        ax.set_xlim(-0.02 * top, top)
        ax.set_ylim(-0.02 * top, top)
        ax.set_xticks(*ticks(t, "share", 0, top, 4))
        ax.set_yticks(*ticks(t, "share", 0, top, 4))
        if xlabel:
            ax.set_xlabel(xlabel)
        if ylabel:
            ax.set_ylabel(ylabel)
        return fig


def dots(
    frame: pd.DataFrame,
    x: str,
    y: str,
    t: Words,
    lo: str,
    hi: str,
    kind: str = "number",
    highlight: Sequence[object] | None = None,
    mark: float | None = None,
    mark_text: str = "",
    n: str | None = None,
    size: str = "third",
) -> Figure:
    """A dot per row with its interval and its value: for values whose distance from nothing says nothing.

    Args:
        x, y: columns of the names and of the values; `lo`, `hi`: ends of the interval.
        highlight: names to stand out; None: all.
        mark: place of a line with a text.
        n: column of the number of cases; below 30 the value is left out.
    """
    if frame.empty:
        return nothing(t, size)
    with style(size) as width:
        names = frame[x].tolist()
        labels = wrapped(names, size)
        fig, ax = new_figure(width, 0.75 + sum(0.36 + 0.15 * label.count("\n") for label in labels))
        rows = row_places(ax, labels)
        few = [n is not None and (count != count or count < 30) for count in (frame[n] if n else [0] * len(frame))]
        value = frame[y].astype(float).to_numpy()
        low, high = frame[lo].astype(float).to_numpy(), frame[hi].astype(float).to_numpy()
        shown = ~np.array(few) & np.isfinite(value)
        if not shown.any():
            return nothing(t, size)
        ends = [np.nanmin(low[shown]), np.nanmax(high[shown])] + ([mark] if mark is not None else [])
        first, last = min(ends), max(ends)
        room = (last - first) * 0.08 or 0.05
        ax.set_xlim(first - room, last + room * (4.5 if size == "third" else 2.2))
        for i, name in enumerate(names):
            colour = ACCENT if highlight is None or name in highlight else MUTED
            if not shown[i]:
                ax.text(first, rows[i], few_text(frame[n].iloc[i] if n else None, t), va="center", color=SOFT)
                continue
            ax.hlines(rows[i], low[i], high[i], color=colour, lw=2.4, alpha=0.55)
            ax.plot([value[i]], [rows[i]], "o", color=colour, ms=7, mec="white", mew=0.6)
            ax.text(high[i] + room * 0.35, rows[i], t.value(value[i], kind), va="center")
        if mark is not None:
            mark_line(ax, mark, mark_text, first, last)
        x_ticks(ax, t, kind, first, last, 3 if size == "third" else 6)
        return fig
