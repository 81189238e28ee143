"""Charts in the house style: labels on the marks, one colour that stands out, n shown, no legend to decode.

Every function takes a table that is already computed and returns a matplotlib figure that pyplot does not know;
`png` and `texts` turn it into bytes and into the texts it shows. The font comes with the environment, so that
Chinese is drawn and the bytes are the same on every machine.
"""

from dealerkit.charts.curves import calibration, curves, dots
from dealerkit.charts.groups import against_bounds
from dealerkit.charts.house import ACCENT, BAD, MUTED, SIZES, png, texts
from dealerkit.charts.plain import bars, heat, heat_size, line, paired_bars
from dealerkit.charts.tree import tree

__all__ = [
    "ACCENT",
    "BAD",
    "MUTED",
    "SIZES",
    "against_bounds",
    "bars",
    "calibration",
    "curves",
    "dots",
    "heat",
    "heat_size",
    "line",
    "paired_bars",
    "png",
    "texts",
    "tree",
]
