"""The house style that every chart shares: fonts, sizes, colours, ticks, and the way out as bytes and texts."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, MultipleLocator
from PIL import Image

from dealerkit.charts.layout import Snug
from dealerkit.report.smallcells import SMALL, is_small

INK, SOFT, GRID = "#16202c", "#5a6675", "#e8ebef"
ACCENT, MUTED, BAD, GOOD = "#0b5cad", "#a9b8c9", "#b3261e", "#1a7f4b"
#: Parts of a whole, from strong to faint, ink readable on each.
SHADES = ("#0b5cad", "#4f8bc9", "#93b7dd", "#cddcec", "#e4e7eb")
DPI = 144
#: Between a label and the axes, in points.
LABEL_PAD = 3.5
#: Width in inches.
SIZES = {"wide": 7.4, "third": 3.7}
HEAT = LinearSegmentedColormap.from_list("heat", ["#f2b8b0", "#fbe6d4", "#eef3f7", "#b9d3ea", "#7fb0dd"])


class Words(Protocol):
    """What charts need of a `Translator`."""

    def value(self, value: object, kind: str = "text") -> str: ...
    def say(self, template: str, **values: object) -> str: ...
    def text(self, msgid: str) -> str: ...


@lru_cache(maxsize=1)
def font_name() -> str:
    """Name of the bundled font, registered with matplotlib on first use."""
    import pylopdf_fonts_zh_cn

    path = pylopdf_fonts_zh_cn.sans_path()
    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()


@lru_cache(maxsize=len(SIZES))
def settings(size: str) -> dict:
    """Matplotlib's own settings of looks, whatever the notebook has set, with those of the house; the backend is left
    alone."""
    points = 9.5 if size == "third" else 10
    other = ("backend", "interactive", "toolbar", "webagg", "tk", "savefig.directory", "docstring")
    own = {
        "font.family": [font_name(), "DejaVu Sans"],
        "font.size": points,
        "axes.unicode_minus": True,
        "text.parse_math": False,
        "text.hinting": "none",  # fitting letters to pixels takes a fifth of a drawing, for no better letters at this size
        "text.color": INK,
        "axes.labelsize": points,
        "xtick.labelsize": points,
        "ytick.labelsize": points,
        "axes.labelcolor": SOFT,
        "figure.dpi": DPI,
    }
    return {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith(other)} | own


@contextmanager
def style(size: str) -> Iterator[float]:
    """House style for the time a figure is made or drawn; gives the width in inches."""
    now = matplotlib.rcParams
    # Only what differs: matplotlib checks each setting anew.
    with matplotlib.rc_context({key: value for key, value in settings(size).items() if now[key] != value}):
        yield SIZES[size]


def new_figure(width: float, height: float, scales: bool = True) -> tuple[Figure, Axes]:
    """A figure of so many inches that pyplot does not know, and its axes without frame and tick marks; without
    ``scales`` they are not drawn at all, only what is put on them."""
    fig = Figure(figsize=(width, height), layout="constrained" if scales else Snug())
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    if not scales:
        ax.set_axis_off()
        return fig, ax
    fig.get_layout_engine().set(w_pad=0.04, h_pad=0.04)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0, colors=SOFT)
    return fig, ax


def wrapped(labels: Sequence[object], size: str) -> list[str]:
    """Labels of rows, broken so that they leave room for the marks; Chinese counts double.

    Two lines of 15 letters in a small picture, three of 22 where a label would not fit; two of 42 in a wide one.
    """
    done = []
    for label in map(str, labels):
        lines = broken(label, 15 if size == "third" else 42)
        if len(lines) > 2 and size == "third":
            lines = broken(label, 22)
        most = 3 if size == "third" else 2
        if len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1].rstrip(".,;:，。；：、 ") + "…"]
        done.append("\n".join(lines) or " ")
    return done


#: Where Chinese may be broken: not inside a number or a Latin word, not between a number and its unit, not before a mark.
_CJK = "\u2e80-\uffff"
_PIECES = re.compile(rf"(?:[^{_CJK}\s]+\s*[{_CJK}]?|[{_CJK}])[，。；：、！？）》”]*\s*")


def broken(label: str, width: int) -> list[str]:
    """The label in lines of at most so many letters, Chinese counting double and broken into lines of like length."""
    if len(re.findall(f"[{_CJK}]", label)) <= len(label) / 3:
        return textwrap.wrap(label, width, break_long_words=False)
    total = _letters(label)
    if total <= width:
        return [label]
    even, lines = total / -(-total // width), [""]
    for piece in _PIECES.findall(label):
        if lines[-1] and _letters(lines[-1]) + _letters(piece.rstrip()) / 2 > even:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def _letters(text: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)


def row_places(ax: Axes, labels: Sequence[str]) -> np.ndarray:
    """Put one row per label, the first on top; gives their heights on the axis."""
    y = np.arange(len(labels))[::-1].astype(float)
    ax.set_ylim(-0.6, len(labels) - 0.4)
    ax.set_yticks([])
    put_row_labels(ax, y, labels)
    return y


def put_row_labels(ax: Axes, places: Sequence[float], labels: Sequence[str]) -> None:
    """Labels left of the axes at those heights: texts, since a tick is six artists of which one would be seen."""
    where, va, ha = ax.get_yaxis_text1_transform(LABEL_PAD)
    for place, label in zip(places, labels, strict=True):
        ax.text(0, place, label, transform=where, va=va, ha=ha, color=SOFT)


def nothing(t: Words, size: str) -> Figure:
    """The figure of no rows: it says that there is nothing to show."""
    with style(size) as width:
        fig, ax = new_figure(width, 1.0, scales=False)
        ax.text(0.5, 0.5, t.text("nothing to show"), ha="center", va="center", color=SOFT, transform=ax.transAxes)
        return fig


def few_text(count: object, t: Words) -> str:
    """What stands in the place of a rate on too few persons: their number, or "<5"."""
    small = count is not None and is_small(count)
    return t.say("n {n:text}, too few", n=f"<{SMALL + 1}" if small else t.value(count, "count"))


def x_ticks(ax: Axes, t: Words, kind: str, low: float, high: float, count: int) -> None:
    """Put about so many round places from low to high on the x axis; it starts at 0 where that is near."""
    if 0 < low < 0.05 * high:
        low = 0.0
        ax.set_xlim(left=-0.02 * high)
    ax.set_xticks(*ticks(t, kind, low, high, count))


def ticks(t: Words, kind: str, low: float, high: float, count: int) -> tuple[list[float], list[str]]:
    """Round places between two values, with their labels; decimals only where one needs them."""
    months = kind == "months" or kind == "number" and 11 < high <= 48
    step = next((s for s in (1, 2, 3, 6, 12, 24, 36, 60) if (high - low) / count <= s), 120)
    found = MultipleLocator(step) if months and high - low >= count else MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])
    places = [round(float(v), 9) for v in found.tick_values(low, high) if low <= v <= high]
    labels = [t.value(v, kind) for v in places]
    if kind in ("share", "points") and all(round(100 * v, 9).is_integer() for v in places):
        labels = [label.replace(".0", "") for label in labels]
    return places, labels


def mark_line(ax: Axes, at: object, text: str, low: object, high: object) -> None:
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


def _parts(artist: Artist) -> Iterator[Artist]:
    """What an artist is made of, and itself; without scales that are not drawn, whose ticks would be made to be seen."""
    for part in artist.get_children():
        if not isinstance(part, Axis) or part.axes.axison:
            yield from _parts(part)
    yield artist


def texts(fig: Figure) -> list[str]:
    """Every text that the figure shows, in a fixed order; the leak gate reads them.

    A text broken into lines is given a second time in one piece, so that no value hides behind the break.
    """
    found = [part.get_text().strip() for part in _parts(fig) if isinstance(part, Text) and part.get_visible()]
    return list(dict.fromkeys(form for text in found if text for form in (text, text.replace("\n", ""))))


def png(fig: Figure) -> bytes:
    """The figure as a small PNG: 144 dpi, at most 128 colours, nothing in it that changes between runs."""
    # Not `savefig`, which draws twice and packs what would be unpacked again.
    fig.set_facecolor("white")
    with style("wide"):
        fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())
    # Most of a chart is paper: colours are chosen for the rest only.
    inked = pixels.view(np.uint32)[:, :, 0] != 0xFFFFFFFF
    index, colours = np.zeros(inked.shape, dtype=np.uint8), [255, 255, 255]
    if inked.any():
        ink = Image.fromarray(np.ascontiguousarray(pixels[inked][None, :, :3]))
        ink = ink.quantize(127, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        index[inked] = np.asarray(ink)[0] + 1
        colours += ink.getpalette()[: 3 * 127]
    picture = Image.fromarray(index, "P")
    picture.putpalette(colours)
    out = io.BytesIO()
    picture.save(out, format="png", compress_level=7)
    return out.getvalue()
