"""Charts in the house style: labels on the marks, one colour that stands out, n shown, no legend to decode.

Every function takes a table that is already computed and returns a matplotlib figure that pyplot does not know;
`png` and `texts` turn it into bytes and into the texts it shows. The font comes with the environment, so that
Chinese is drawn and the bytes are the same on every machine.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

INK, SOFT, GRID = "#16202c", "#5a6675", "#e8ebef"
ACCENT, MUTED, BAD, GOOD = "#0b5cad", "#a9b8c9", "#b3261e", "#1a7f4b"
#: Parts of a whole, from strong to faint, ink readable on each.
SHADES = ("#0b5cad", "#4f8bc9", "#93b7dd", "#cddcec", "#e4e7eb")
DPI = 144
#: Width in inches.
SIZES = {"wide": 7.4, "third": 3.7}
_HEAT = LinearSegmentedColormap.from_list("heat", ["#f2b8b0", "#fbe6d4", "#eef3f7", "#b9d3ea", "#7fb0dd"])


class Words(Protocol):
    """What charts need of a `Translator`."""

    def value(self, value: object, kind: str = "text") -> str: ...
    def say(self, template: str, **values: object) -> str: ...
    def text(self, msgid: str) -> str: ...


@lru_cache(maxsize=1)
def _font() -> str:
    """Name of the bundled font, registered with matplotlib on first use."""
    import pylopdf_fonts_zh_cn

    path = pylopdf_fonts_zh_cn.sans_path()
    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()


def _defaults() -> dict:
    """Matplotlib's own settings of looks, whatever the notebook has set; the backend is left alone."""
    other = ("backend", "interactive", "toolbar", "webagg", "tk", "savefig.directory", "docstring")
    return {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(other)}


@contextmanager
def _style(size: str) -> Iterator[float]:
    """House style for the time a figure is made or drawn; gives the width in inches."""
    points = 9.5 if size == "third" else 10
    with (
        matplotlib.rc_context(_defaults()),
        matplotlib.rc_context(
            {
                "font.family": [_font(), "DejaVu Sans"],
                "font.size": points,
                "axes.unicode_minus": True,
                "text.parse_math": False,
                "text.color": INK,
                "axes.labelsize": points,
                "xtick.labelsize": points,
                "ytick.labelsize": points,
                "axes.labelcolor": SOFT,
                "figure.dpi": DPI,
                "savefig.dpi": DPI,
            }
        ),
    ):
        yield SIZES[size]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    fig.get_layout_engine().set(w_pad=0.04, h_pad=0.04)
    ax = fig.add_subplot()
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0, colors=SOFT)
    return fig, ax


def _wrapped(labels: Sequence[object], size: str) -> list[str]:
    """Labels of rows, broken so that they leave room for the marks; Chinese counts double."""
    width = 15 if size == "third" else 42
    done = []
    for label in map(str, labels):
        wide = sum(ord(c) > 0x2E80 for c in label) > len(label) / 2
        done.append("\n".join(textwrap.wrap(label, width // 2 if wide else width, max_lines=2, placeholder="…")) or " ")
    return done


def _rows(ax: Axes, labels: Sequence[str]) -> np.ndarray:
    """Put one row per label, the first on top; gives their heights on the axis."""
    y = np.arange(len(labels))[::-1].astype(float)
    ax.set_yticks(y, labels)
    ax.set_ylim(-0.6, len(labels) - 0.4)
    ax.set_xticks([])
    return y


def _empty(t: Words, size: str) -> Figure:
    with _style(size) as width:
        fig, ax = _figure(width, 1.0)
        ax.set_axis_off()
        ax.text(0.5, 0.5, t.text("nothing to show"), ha="center", va="center", color=SOFT, transform=ax.transAxes)
        return fig


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
        return _empty(t, size)
    with _style(size) as width:
        names, values = frame[x].tolist(), frame[y].astype(float).to_numpy()
        counts = frame[n].tolist() if n else [None] * len(frame)
        few = [persons and n is not None and (c != c or c < 30) for c in counts]
        strong = BAD if tone == "bad" else ACCENT
        colours = [strong if highlight is None or name in highlight else MUTED for name in names]
        labels = _wrapped(names, size)
        fig, ax = _figure(width, 0.35 + sum(0.5 if "\n" in label else 0.34 for label in labels))
        rows = _rows(ax, labels)
        shown = np.where(few, 0, np.nan_to_num(values))
        ax.barh(rows, shown, color=colours, height=0.62)
        reach = shown.copy()
        if lo and hi:
            low, high = frame[lo].astype(float).to_numpy(), frame[hi].astype(float).to_numpy()
            ax.hlines(rows, np.where(few, 0, low), np.where(few, 0, high), color=INK, lw=1.1, alpha=0.7)
            reach = np.maximum(reach, np.where(few, 0, np.nan_to_num(high)))
        largest = max(float(np.max(reach)), float(-np.min(shown)), 1e-12)
        for row, value, end, count, hidden in zip(rows, values, reach, counts, few, strict=True):
            label = _few(count, t) if hidden else t.value(value, kind)
            ax.text(max(end, 0) + 0.02 * largest, row, label, va="center")
            if n and not hidden:
                ax.annotate(
                    f"n {t.value(count, 'count')}",
                    (1, row),
                    xycoords=("axes fraction", "data"),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    color=SOFT,
                )
        ax.set_xlim(min(0.0, float(np.min(shown)) * 1.15), largest * (1.34 if size == "third" else 1.16))
        return fig


def _few(count: object, t: Words) -> str:
    shown = "<5" if count is not None and count == count and 0 < count < 5 else t.value(count, "count")
    return t.say("n {n:text}, too few", n=shown)


def hist(
    values: Sequence[float],
    t: Words,
    kind: str = "number",
    bins: Sequence[float] | int = 24,
    mark: float | None = None,
    mark_text: str = "",
    xlabel: str = "",
    size: str = "third",
) -> Figure:
    """Histogram of values, empty ones left out; `mark` is a line with a text, for the median or a rule's limit."""
    data = pd.Series(values, dtype=float).dropna().to_numpy()
    if not len(data):
        return _empty(t, size)
    with _style(size) as width:
        counts, edges = np.histogram(data, bins=bins)
        fig, ax = _figure(width, 2.5 if size == "third" else 2.9)
        sns.histplot(x=data, bins=list(edges), ax=ax, color=ACCENT, alpha=1, edgecolor="white", linewidth=0.8)
        ax.set(xlabel="", ylabel="")
        ax.set_yticks([])
        ax.set_ylim(0, max(int(counts.max()), 1) * 1.2)
        _x_ticks(ax, t, kind, edges[0], edges[-1], 4 if size == "third" else 7)
        if mark is not None:
            _mark(ax, mark, mark_text, edges[0], edges[-1])
        ax.annotate(
            f"n {t.value(len(data), 'count')}", (1, 1), xycoords="axes fraction", ha="right", va="top", color=SOFT
        )
        if xlabel:
            ax.set_xlabel(xlabel)
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
    size: str = "third",
) -> Figure:
    """One line with its band, the last value written at its end; `mark` is a point of x with a text."""
    data = frame.dropna(subset=[x, y])
    if data.empty:
        return _empty(t, size)
    with _style(size) as width:
        fig, ax = _figure(width, 2.6 if size == "third" else 3.0)
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
        room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
        top = min(high + room, 1.03) if kind == "share" and high <= 1 else high + room
        # Counts and money start at nothing, or a small rise would look like a large one.
        whole = kind in ("count", "yuan") and low >= 0
        ax.set_ylim(0 if whole or 0 <= low < 0.4 * high else low - room, top)
        ax.set_yticks(*_ticks(t, kind, *ax.get_ylim(), 4))
        ax.tick_params(axis="x", pad=7)
        if x_kind in ("day", "month"):
            spots = data[x].iloc[
                np.unique(np.linspace(0, len(data) - 1, 3 if size == "third" else 6).round().astype(int))
            ]
            ax.set_xticks(spots, [t.value(v, x_kind) for v in spots])
        else:
            _x_ticks(ax, t, x_kind, float(data[x].min()), float(data[x].max()), 4 if size == "third" else 7)
        if mark is not None:
            _mark(ax, mark, mark_text, data[x].min(), data[x].max())
        if xlabel:
            ax.set_xlabel(xlabel)
        return fig


def _x_ticks(ax: Axes, t: Words, kind: str, low: float, high: float, count: int) -> None:
    if 0 < low < 0.05 * high:
        low = 0.0
        ax.set_xlim(left=-0.02 * high)
    ax.set_xticks(*_ticks(t, kind, low, high, count))


def _ticks(t: Words, kind: str, low: float, high: float, count: int) -> tuple[list[float], list[str]]:
    """Round places between two values, with their labels; decimals only where one needs them."""
    steps = [1, 2, 3, 6, 10] if kind == "months" or kind == "number" and 11 < high <= 48 else [1, 2, 2.5, 5, 10]
    places = [round(float(v), 9) for v in MaxNLocator(count, steps=steps).tick_values(low, high) if low <= v <= high]
    labels = [t.value(v, kind) for v in places]
    if kind in ("share", "points") and all(round(100 * v, 9).is_integer() for v in places):
        labels = [label.replace(".0", "") for label in labels]
    return places, labels


def _mark(ax: Axes, at: object, text: str, low: object, high: object) -> None:
    """A dashed line with its text, on the side where there is room."""
    right = (at - low) <= (high - low) * 0.55
    ax.axvline(at, color=BAD, lw=1.3, ls=(0, (4, 3)))
    ax.annotate(
        text,
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, -3),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=BAD,
    )


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
        return _empty(t, size)
    with _style(size) as width:
        labels = _wrapped(frame[x].tolist(), size)
        fig, ax = _figure(width, 0.3 + 0.56 * len(labels))
        rows = _rows(ax, labels)
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
        return _empty(t, size)
    with _style(size) as width:
        values = frame.astype(float).to_numpy()
        room = int(6.6 / len(frame.columns) / 0.075)  # letters that a column has room for, beside the row labels
        columns = ["\n".join(textwrap.wrap(str(c), room, break_long_words=False)) or " " for c in frame.columns]
        fig, ax = _figure(width, 0.35 + 0.36 * len(frame) + 0.17 * max(c.count("\n") for c in columns))
        looks = {"cmap": _HEAT, "vmin": low, "vmax": high, "cbar": False, "linewidths": 2, "linecolor": "white"}
        sns.heatmap(values, ax=ax, mask=np.isnan(values), xticklabels=False, yticklabels=False, **looks)
        for (i, j), value in np.ndenumerate(values):
            missing = np.isnan(value)
            ax.text(
                j + 0.5,
                i + 0.5,
                "–" if missing else t.value(value, kind),
                ha="center",
                va="center",
                color=SOFT if missing else INK,
            )
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.set_xticks(np.arange(len(columns)) + 0.5, columns, va="bottom", size=9 if room < 14 else None)
        ax.set_yticks(np.arange(len(frame)) + 0.5, _wrapped(frame.index.tolist(), size))
        return fig


def stacked_share(
    frame: pd.DataFrame, x: str, parts: Sequence[str], part_texts: Sequence[str], t: Words, size: str = "wide"
) -> Figure:
    """Shares of a whole per row (`parts` are columns of shares, 0–1), the name of each part over the first row."""
    if frame.empty:
        return _empty(t, size)
    if len(parts) > len(SHADES):
        raise ValueError(f"{len(parts)} parts of a whole cannot be told apart; join some, {len(SHADES)} are the most")
    with _style(size) as width:
        labels = _wrapped(frame[x].tolist(), size)
        fig, ax = _figure(width, 0.55 + 0.4 * len(labels))
        rows = _rows(ax, labels)
        left = np.zeros(len(frame))
        for k, (part, text) in enumerate(zip(parts, part_texts, strict=True)):
            values = np.nan_to_num(frame[part].astype(float).to_numpy())
            ax.barh(rows, values, left=left, height=0.66, color=SHADES[k], edgecolor="white", linewidth=1)
            for row, value, start in zip(rows, values, left, strict=True):
                if value >= (0.13 if size == "third" else 0.065):
                    ax.text(
                        start + value / 2,
                        row,
                        t.value(value, "share"),
                        ha="center",
                        va="center",
                        color="white" if k < 2 else INK,
                    )
            if values[0] >= 0.02:
                room = max(4, int(values[0] * (40 if size == "third" else 80)))
                ax.text(
                    left[0] + 0.004,
                    rows[0] + 0.46,
                    "\n".join(textwrap.wrap(text, room, break_long_words=False)),
                    va="baseline",
                    ha="left",
                    color=SOFT,
                )
            left = left + values
        ax.set_xlim(0, 1)
        return fig


def texts(fig: Figure) -> list[str]:
    """Every text that the figure shows, in a fixed order; the leak gate reads them.

    A text broken into lines is given a second time in one piece, so that no value hides behind the break.
    """
    found = [artist.get_text().strip() for artist in fig.findobj(Text) if artist.get_visible()]
    return list(dict.fromkeys(form for text in found if text for form in (text, text.replace("\n", ""))))


def png(fig: Figure) -> bytes:
    """The figure as a small PNG: 144 dpi, at most 128 colours, nothing in it that changes between runs."""
    raw = io.BytesIO()
    with _style("wide"):
        fig.savefig(raw, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    picture = Image.open(raw).convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    picture.save(out, format="png", optimize=True)
    return out.getvalue()
