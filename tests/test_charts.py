"""Charts: what is written on them, the font, the size, the same bytes twice."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from dealerkit import charts
from dealerkit.report.translate import Translator
from PIL import Image

EN, ZH = Translator("en"), Translator("zh")
LINES = pd.DataFrame(
    {
        "series": ["轿车C", "SUV B", "Van"],
        "lost": [0.186, 0.142, 0.5],
        "n": [351, 1204, 12],
        "lo": [0.15, 0.12, 0.1],
        "hi": [0.22, 0.17, 0.9],
    }
)


def a_figure_of_each(t):
    table = pd.DataFrame({"x": ["a", "b"], "p": [0.6, 0.25], "q": [0.4, 0.75]})
    curve = pd.DataFrame({"m": range(13), "s": [1 - 0.05 * m for m in range(13)]})
    return {
        "bars": charts.bars(LINES, "series", "lost", t, kind="share", n="n", lo="lo", hi="hi", highlight=["轿车C"]),
        "paired_bars": charts.paired_bars(table, "x", "p", "q", "of yuan", "of people", t),
        "line": charts.line(curve, "m", "s", t, kind="share", mark=9, mark_text="warn here"),
        "heat": charts.heat(pd.DataFrame([[90, None], [40, 10]], ["t1", "t2"], ["完整性", "值域"]), t),
    }


def test_each_chart_is_a_small_picture_and_the_same_bytes_twice():
    first = {name: charts.png(fig) for name, fig in a_figure_of_each(ZH).items()}
    second = {name: charts.png(fig) for name, fig in a_figure_of_each(ZH).items()}
    assert first == second
    for name, data in first.items():
        picture = Image.open(io.BytesIO(data))
        assert picture.format == "PNG" and len(data) < 40_000, name
        assert picture.width == int(charts.SIZES["wide" if name == "heat" else "third"] * 144), name
        assert set(picture.info) <= {"dpi"}, name


def test_bytes_do_not_depend_on_what_the_notebook_set():
    before = charts.png(charts.bars(LINES, "series", "lost", EN, kind="share"))
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}):
        assert charts.png(charts.bars(LINES, "series", "lost", EN, kind="share")) == before
        assert matplotlib.rcParams["font.size"] == 20


def test_bars_write_value_and_n_at_the_mark():
    fig = charts.bars(LINES, "series", "lost", EN, kind="share", n="n")
    assert charts.texts(fig) == ["轿车C", "SUV B", "Van", "18.6 %", "n 351", "14.2 %", "n 1,204", "50.0 %", "n 12"]


def test_a_broken_label_is_also_given_in_one_piece():
    fig = charts.bars(LINES.assign(series=["Van of LSVAA4182E2123456", "b", "c"]), "series", "lost", EN)
    assert any("LSVAA4182E2123456" in text for text in charts.texts(fig))


def test_bars_about_persons_leave_small_groups_without_a_rate():
    few = LINES.assign(n=[3, 29, 30])
    fig = charts.bars(few, "series", "lost", EN, kind="share", n="n", persons=True)
    shown = charts.texts(fig)
    assert "n <5, too few" in shown and "n 29, too few" in shown and "50.0 %" in shown
    assert not {"18.6 %", "14.2 %"} & set(shown)
    assert sorted(bar.get_width() for bar in fig.axes[0].patches) == [0, 0, 0.5]


def test_the_highlight_is_the_only_strong_colour():
    fig = charts.bars(LINES, "series", "lost", EN, highlight=["SUV B"])
    colours = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in fig.axes[0].patches]
    assert colours == [charts.MUTED, charts.ACCENT, charts.MUTED]


def test_a_line_of_counts_starts_at_nothing():
    rising = pd.DataFrame({"x": [1, 2, 3], "y": [500, 700, 800]})
    assert charts.line(rising, "x", "y", EN, kind="count").axes[0].get_ylim()[0] == 0
    assert charts.line(rising, "x", "y", EN, kind="number").axes[0].get_ylim()[0] > 0


DAYS = {
    "even": ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
    "uneven": ["2025-12-31", "2026-01-31", "2026-09-30"],
    "at the end": ["2025-01-31", "2026-08-31", "2026-09-29", "2026-09-30"],
    "one": ["2026-09-30"],
    "twelve": [f"2025-{m:02d}-28" for m in range(1, 13)],
}


@pytest.mark.parametrize("size", ["third", "wide"])
@pytest.mark.parametrize("days", DAYS)
@pytest.mark.parametrize("t", [EN, ZH], ids=["en", "zh"])
def test_days_under_a_line_do_not_run_into_one_another(days, t, size):
    frame = pd.DataFrame({"on": pd.to_datetime(DAYS[days]), "y": np.linspace(96.4, 95.7, len(DAYS[days]))})
    fig = charts.line(frame, "on", "y", t, x_kind="day", size=size)
    charts.png(fig)
    labels = fig.axes[0].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
    assert labels[-1].get_text() == t.value(frame["on"].iloc[-1], "day")
    assert len(labels) >= min(2, len(frame))


def test_a_small_step_does_not_look_like_a_fall():
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [96.4, 95.8, 95.7]})
    low, high = charts.line(frame, "x", "y", EN, least=10).axes[0].get_ylim()
    assert high - low == pytest.approx(10) and low < 95.7 < 96.4 < high
    low, high = charts.line(frame.assign(y=[20.0, 60.0, 90.0]), "x", "y", EN, least=10).axes[0].get_ylim()
    assert high - low > 70


def test_headings_of_a_heat_map_do_not_run_into_one_another():
    names = ["Completeness", "Format legality", "Value range", "Consistency", "Duplication", "References", "Timeliness"]
    fig = charts.heat(pd.DataFrame([[100] * 8], ["Workshop visits"], [*names, "Authenticity"]), EN)
    charts.png(fig)
    headings = [
        text for text in fig.axes[0].texts if text.get_text().split("\n")[0] in " ".join([*names, "Authenticity"])
    ]
    boxes = [heading.get_window_extent() for heading in headings]
    assert len(boxes) == 8
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


def test_heat_writes_every_cell_and_a_dash_where_nothing_is_known():
    fig = charts.heat(pd.DataFrame([[90, None], [40, 10]], ["t1", "t2"], ["c1", "c2"]), EN)
    assert charts.texts(fig) == ["90", "–", "40", "10", "c1", "c2", "t1", "t2"]


@pytest.mark.parametrize("text", ["of people", "of all who were seen"])
def test_no_text_is_cut_off_whatever_its_length(text):
    table = pd.DataFrame({"x": ["a", "a label that takes\nlines"], "p": [0.6, 0.25], "q": [1.0, 0.0]})
    fig = charts.paired_bars(table, "x", "p", "q", "of yuan", text, EN)
    charts.png(fig)
    boxes = [shown.get_window_extent() for shown in fig.axes[0].texts]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1 for box in boxes)
    assert max(box.x1 for box in boxes) > fig.bbox.x1 - 10  # and no room is left over


def test_nothing_to_show_is_said():
    empty = LINES.iloc[:0]
    assert charts.texts(charts.bars(empty, "series", "lost", EN)) == ["nothing to show"]
    assert charts.texts(charts.line(empty, "n", "lost", ZH)) == ["暂无数据"]
    assert charts.texts(charts.line(empty, "n", "lost", EN)) == ["nothing to show"]


def test_chinese_is_drawn_with_the_bundled_font(recwarn):
    with_glyphs = charts.png(charts.bars(LINES, "series", "lost", ZH))
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    other = charts.png(charts.bars(LINES.assign(series=["货车C", "SUV B", "Van"]), "series", "lost", ZH))
    assert with_glyphs != other


def test_pyplot_knows_no_figure_and_import_sets_nothing():
    code = (
        "import matplotlib; before = dict(matplotlib.rcParams)\n"
        "from dealerkit import charts; from dealerkit.report.translate import Translator; import pandas as pd\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "charts.png(charts.bars(pd.DataFrame({'x': ['a'], 'y': [1]}), 'x', 'y', Translator('en')))\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "import matplotlib.pyplot; assert matplotlib.pyplot.get_fignums() == []\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
