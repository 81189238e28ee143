"""A decision tree as an outline: one line per answer, indented by its depth, each end with the shares of the classes.

Set out like this, and not as a pyramid, a tree is as readable on a phone as on paper.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dealerkit.charts.house import INK, MUTED, SHADES, SOFT, Words, few_text, new_figure, nothing, style
from dealerkit.charts.layout import Snug

_LINE, _BAR, _GAP, _STEP = 0.2, 0.24, 0.12, 0.17  # inches: a line of text, a bar, the room between parts, an indent


def tree(frame: pd.DataFrame, parts: Sequence[str], part_texts: Sequence[str], t: Words, size: str = "third") -> Figure:
    """Outline of a decision tree, from the top down.

    Args:
        frame: one row per node, each followed by the nodes under it: ``depth`` (0: everybody), ``text`` (the answer
            that leads there), ``is_leaf``, ``n`` (persons), and one column of shares (0–1) per part.
        parts: columns of the shares.
        part_texts: what the parts are called, said once, under the tree.
        size: ``third`` or ``wide``.

    A leaf of fewer than 30 persons shows no shares, one of fewer than five not its number either.
    """
    if frame.empty:
        return nothing(t, size)
    if len(parts) > len(SHADES):
        raise ValueError(f"{len(parts)} classes cannot be told apart; join some, {len(SHADES)} are the most")
    with style(size) as width:
        rows = list(frame.itertuples())
        texts = [_wrapped(row.text, width, row.depth) for row in rows]
        heights = [
            _LINE * len(lines) + (_BAR if row.is_leaf else 0) + _GAP for row, lines in zip(rows, texts, strict=True)
        ]
        legend = _legend_lines(part_texts, width)
        total = sum(heights) + _LINE * len(legend) + _GAP
        fig, ax = new_figure(width, total, scales=False)
        fig.set_layout_engine(Snug(0.02))
        ax.set(xlim=(0, width), ylim=(total, 0))
        tops = np.concatenate([[0], np.cumsum(heights)])
        for i, (row, lines) in enumerate(zip(rows, texts, strict=True)):
            _node(ax, row, lines, tops[i], width, parts, t)
            _connect(ax, rows, tops, [len(part) for part in texts], i)
        _legend(ax, legend, tops[-1] + _GAP)
        return fig


def _wrapped(text: str, width: float, depth: int) -> list[str]:
    wide = sum(ord(c) > 0x2E80 for c in text) > len(text) / 3
    room = int((width - _STEP * depth) / (0.155 if wide else 0.08))
    return textwrap.wrap(str(text), max(8, room), break_long_words=wide) or [" "]


def _node(ax: Axes, row, lines: list[str], top: float, width: float, parts: Sequence[str], t: Words) -> None:
    left = _STEP * row.depth + 0.02
    for k, text in enumerate(lines):
        ax.text(left, top + _LINE * (k + 0.5), text, va="center", color=INK if row.is_leaf else SOFT)
    if not row.is_leaf:
        return
    y, room = top + _LINE * len(lines), 0.75
    if not row.n >= 30:
        ax.text(left, y + _BAR / 2, few_text(row.n, t), va="center", color=SOFT)
        return
    whole, start = width - room - left, left
    for k, part in enumerate(parts):
        share = float(getattr(row, part))
        ax.barh(y + _BAR / 2, share * whole, left=start, height=_BAR - 0.03, color=SHADES[k], edgecolor="white", lw=0.8)
        if share * whole >= 0.5:
            ink = "white" if k < 2 else INK
            shown = t.value(share, "share")
            ax.text(start + share * whole / 2, y + _BAR / 2, shown, ha="center", va="center", color=ink, size=8.5)
        start += share * whole
    ax.text(left + whole + 0.06, y + _BAR / 2, f"n {t.value(row.n, 'count')}", va="center", color=SOFT)


def _connect(ax: Axes, rows: list, tops: np.ndarray, lines: Sequence[int], i: int) -> None:
    """An elbow from under the text of the node's parent."""
    row = rows[i]
    if row.depth == 0:
        return
    parent = max(k for k in range(i) if rows[k].depth == row.depth - 1)
    x = _STEP * (row.depth - 1) + 0.06
    y = tops[i] + _LINE / 2
    ax.plot(
        [x, x, x + 0.09],
        [tops[parent] + _LINE * (lines[parent] - 0.05), y, y],
        color=MUTED,
        lw=1.1,
        solid_joinstyle="miter",
    )


def _legend_lines(names: Sequence[str], width: float) -> list[list[tuple[int, str, float]]]:
    """Names of the parts with their places, in as many lines as they need."""
    lines: list[list[tuple[int, str, float]]] = [[]]
    x = 0.02
    for k, name in enumerate(names):
        need = 0.3 + sum(0.14 if ord(c) > 0x2E80 else 0.075 for c in name)
        if lines[-1] and x + need > width:
            lines.append([])
            x = 0.02
        lines[-1].append((k, name, x))
        x += need + 0.1
    return lines


def _legend(ax: Axes, lines: list[list[tuple[int, str, float]]], top: float) -> None:
    for at, line in enumerate(lines):
        y = top + _LINE * (at + 0.4)
        for k, name, x in line:
            ax.barh(y, 0.13, left=x, height=0.13, color=SHADES[k])
            ax.text(x + 0.19, y, name, va="center", color=SOFT)
