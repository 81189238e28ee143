"""Room for the texts of a chart without scales, found by measuring each text once."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine


class Snug(LayoutEngine):
    """Makes the axes as large as the texts on them and beside them allow.

    Not matplotlib's own layout, which measures everything twice and then is right only roughly where a text stands at
    a value: its place moves with the size of the axes, and the room that it needs with that. Here both follow from one
    measurement of widths and heights.
    """

    _adjust_compatible = True
    _colorbar_gridspec = False

    def __init__(self, pad: float = 0.04):
        """Room around everything, in inches."""
        super().__init__()
        self._pad = pad

    def execute(self, fig: Figure) -> None:
        """Place the axes of the figure."""
        ax, renderer = fig.axes[0], fig.canvas.get_renderer()
        texts = [text for text in ax.texts if text.get_in_layout()]
        boxes = np.array([text.get_window_extent(renderer).extents for text in texts]).reshape(-1, 2, 2)
        anchors = np.array([text.get_transform().transform(text.get_position()) for text in texts]).reshape(-1, 2)
        shares = np.clip((anchors - ax.bbox.min) / ax.bbox.size, 0, 1)
        around = boxes - (ax.bbox.min + shares * ax.bbox.size)[:, None, :]
        whole, pad = fig.bbox.size, self._pad * fig.dpi
        spans = [_span(shares[:, k], around[:, 0, k], around[:, 1, k], pad, whole[k] - pad) for k in (0, 1)]
        (x, width), (y, height) = spans
        ax.set_position([x / whole[0], y / whole[1], width / whole[0], height / whole[1]])


def _span(shares: np.ndarray, before: np.ndarray, after: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Start and length of an axis between two bounds, in pixels, such that every text stays within them.

    Args:
        shares: where on the axis each text is put, 0 at its start, 1 at its end.
        before, after: from there to the ends of the text, in pixels.
    """
    start, length = low, high - low
    for _ in range(2):
        start = max([start, *(low - before - shares * length)])
        inner = shares > 0
        length = max(1.0, min([high - start, *((high - start - after[inner]) / shares[inner])]))
    return start, length
