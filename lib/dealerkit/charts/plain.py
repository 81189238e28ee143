"""Bars, lines and heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from dealerkit.charts.house import (
    ACCENT,
    BAD,
    GRID,
    HEAT,
    INK,
    LABEL_PAD,
    MUTED,
    SOFT,
    Words,
    broken,
    few_text,
    mark_line,
    new_figure,
    nothing,
    put_row_labels,
    row_places,
    style,
    ticks,
    wrapped,
    x_ticks,
)


def bars(
    frame: pd.DataFrame,
    x: str,
    y: str,
    t: Words,
    kind: str = "count",
    n: str | None = None,
    lo: str | None = None,
    hi: str | None = None,
    highlight: Sequence[object] | None = None,
    tone: str = "accent",
    size: str = "third",
    persons: bool = False,
) -> Figure:
    """Horizontal bars, one per row of the frame, the first on top, the value at each bar.

    Args:
        x, y: columns of the names and of the values; `kind`: kind of the values.
        n: column of the number of cases behind each value, shown in brackets.
        lo, hi: columns with the ends of an interval, drawn as a thin line.
        highlight: names to stand out, the others are muted; None: all in the main colour.
        tone: ``accent`` or ``bad``, the colour that stands out.
        persons: the cases are persons: a value on 1–4 is left out as "<5", one on 5–29 is left out with its n shown.
    """
    if frame.empty:
        return nothing(t, size)
    with style(size) as width:
        names, values = frame[x].tolist(), frame[y].astype(float).to_numpy()
        counts = frame[n].tolist() if n else [None] * len(frame)
        few = [persons and n is not None and (c != c or c < 30) for c in counts]
        strong = BAD if tone == "bad" else ACCENT
        colours = [strong if highlight is None or name in highlight else MUTED for name in names]
        labels = wrapped(names, size)
        fig, ax = new_figure(width, 0.35 + sum(0.34 + 0.16 * label.count("\n") for label in labels), scales=False)
        rows = row_places(ax, labels)
        shown = np.where(few, 0, np.nan_to_num(values))
        ax.barh(rows, shown, color=colours, height=0.62)
        reach = shown.copy()
        if lo and hi:
            low, high = frame[lo].astype(float).to_numpy(), frame[hi].astype(float).to_numpy()
            ax.hlines(rows, np.where(few, 0, low), np.where(few, 0, high), color=INK, lw=1.1, alpha=0.7)
            reach = np.maximum(reach, np.where(few, 0, np.nan_to_num(high)))
        largest = max(float(np.max(reach)), float(-np.min(shown)), 1e-12)
        beside = ax.get_yaxis_text2_transform(4)[0]
        for row, value, end, count, hidden in zip(rows, values, reach, counts, few, strict=True):
            label = few_text(count, t) if hidden else t.value(value, kind)
            ax.text(max(end, 0) + 0.02 * largest, row, label, va="center")
            if n and not hidden:
                ax.text(1, row, f"n {t.value(count, 'count')}", transform=beside, va="center", color=SOFT)
        ax.set_xlim(min(0.0, float(np.min(shown)) * 1.15), largest * (1.34 if size == "third" else 1.16))
        return fig


def line(
    frame: pd.DataFrame,
    x: str,
    y: str,
    t: Words,
    kind: str = "number",
    lo: str | None = None,
    hi: str | None = None,
    x_kind: str = "number",
    mark: object = None,
    mark_text: str = "",
    xlabel: str = "",
    least: float = 0.0,
    size: str = "third",
) -> Figure:
    """One line with its band, the last value written at its end; `mark` is a point of x with a text; the axis of y is at
    least ``least`` high, so that a small step does not look like a fall."""
    data = frame.dropna(subset=[x, y])
    if data.empty:
        return nothing(t, size)
    with style(size) as width:
        fig, ax = new_figure(width, 2.6 if size == "third" else 3.0)
        ax.grid(axis="y", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        if lo and hi:
            ax.fill_between(data[x], data[lo].astype(float), data[hi].astype(float), color=ACCENT, alpha=0.16, lw=0)
        dots = {"marker": "o", "markersize": 4, "markeredgewidth": 0} if len(data) <= 12 else {}
        sns.lineplot(
            x=data[x], y=data[y].astype(float), ax=ax, color=ACCENT, lw=2.2, estimator=None, errorbar=None, **dots
        )
        ax.set(xlabel="", ylabel="")
        last = data.iloc[-1]
        ax.annotate(
            t.value(last[y], kind),
            (last[x], float(last[y])),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=ACCENT,
        )
        low = float(data[[c for c in (y, lo) if c]].astype(float).min().min())
        high = float(data[[c for c in (y, hi) if c]].astype(float).max().max())
        room = max((high - low) * 0.12 or abs(high) * 0.1 or 1.0, (least - (high - low)) / 2)
        top = min(high + room, 1.03) if kind == "share" and high <= 1 else high + room
        # Counts and money start at nothing, or a small rise would look like a large one.
        whole = kind in ("count", "yuan") and low >= 0
        ax.set_ylim(0 if whole or 0 <= low < 0.4 * high else low - room, top)
        ax.set_yticks(*ticks(t, kind, *ax.get_ylim(), 4))
        ax.tick_params(axis="x", pad=7)
        if x_kind in ("day", "month"):
            spots = _spots(data[x], *((3, 0.42) if size == "third" else (5, 0.2)))
            ax.set_xticks(spots, [t.value(v, x_kind) for v in spots])
        else:
            x_ticks(ax, t, x_kind, float(data[x].min()), float(data[x].max()), 4 if size == "third" else 7)
        if mark is not None:
            mark_line(ax, mark, mark_text, data[x].min(), data[x].max())
        if xlabel:
            ax.set_xlabel(xlabel)
        return fig


def _spots(days: pd.Series, most: int, apart: float) -> pd.Series:
    """Days that are named under an axis: the last, the first, and between them, ``most`` in all, those as evenly spread as
    there are, ``apart`` of the whole width at least from one another."""
    place = pd.to_datetime(days).astype("int64").astype(float)
    place = (place - place.iloc[0]) / max(place.iloc[-1] - place.iloc[0], 1)
    kept = [len(days) - 1]
    for wanted in (0.0, *np.linspace(0, 1, most)[1:-1]):
        at = int((place - wanted).abs().argmin())
        if (place.iloc[at] - place.iloc[kept]).abs().min() >= apart:
            kept.append(at)
    return days.iloc[sorted(kept)]


def paired_bars(
    frame: pd.DataFrame,
    x: str,
    first: str,
    second: str,
    first_text: str,
    second_text: str,
    t: Words,
    kind: str = "share",
    size: str = "third",
) -> Figure:
    """Two bars per row, the first strong, the second muted; the words beside the numbers say which is which."""
    if frame.empty:
        return nothing(t, size)
    with style(size) as width:
        labels = wrapped(frame[x].tolist(), size)
        fig, ax = new_figure(width, 0.3 + 0.56 * len(labels), scales=False)
        rows = row_places(ax, labels)
        largest = max(float(frame[[first, second]].astype(float).max().max()), 1e-12)
        for column, text, offset, colour, ink in (
            (first, first_text, 0.2, ACCENT, INK),
            (second, second_text, -0.2, MUTED, SOFT),
        ):
            values = frame[column].astype(float).to_numpy()
            ax.barh(rows + offset, np.nan_to_num(values), height=0.37, color=colour)
            for row, value in zip(rows + offset, values, strict=True):
                ax.text(
                    (0 if np.isnan(value) else value) + 0.02 * largest,
                    row,
                    f"{t.value(value, kind)} {text}",
                    va="center",
                    color=ink,
                )
        ax.set_xlim(0, largest * (1.6 if size == "third" else 1.25))
        return fig


def heat(
    frame: pd.DataFrame, t: Words, kind: str = "count", low: float = 0, high: float = 100, size: str = "wide"
) -> Figure:
    """A table with coloured cells and the number in each: index down, columns across; empty cells say so by a dash."""
    if frame.empty:
        return nothing(t, size)
    with style(size) as width:
        values = frame.astype(float).to_numpy()
        # letters that a column has room for, beside the row labels
        room = int((6.6 if size == "wide" else 2.8) / len(frame.columns) / 0.075)
        columns = ["\n".join(broken(str(c), room)) or " " for c in frame.columns]
        above = 0.17 * max(c.count("\n") for c in columns)
        fig, ax = new_figure(width, 0.35 + 0.36 * len(frame) + above, scales=False)
        looks = {"cmap": HEAT, "vmin": low, "vmax": high, "cbar": False, "linewidths": 2, "linecolor": "white"}
        sns.heatmap(values, ax=ax, mask=np.isnan(values), xticklabels=False, yticklabels=False, **looks)
        for (i, j), value in np.ndenumerate(values):
            missing = np.isnan(value)
            cell = ax.text(
                j + 0.5,
                i + 0.5,
                "–" if missing else t.value(value, kind),
                ha="center",
                va="center",
                color=SOFT if missing else INK,
            )
            cell.set_in_layout(False)  # it lies within: the layout need not measure it
        where, va, ha = ax.get_xaxis_text2_transform(LABEL_PAD)
        for j, column in enumerate(columns):
            ax.text(j + 0.5, 1, column, transform=where, va="bottom", ha=ha, color=SOFT, size=9 if room < 14 else None)
        put_row_labels(ax, np.arange(len(frame)) + 0.5, wrapped(frame.index.tolist(), size))
        return fig


def heat_size(frame: pd.DataFrame) -> str:
    """Size in which the columns of a heat map have room: ``third`` up to four."""
    return "third" if len(frame.columns) <= 4 else "wide"
