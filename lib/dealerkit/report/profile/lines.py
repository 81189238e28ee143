"""Drawings of a private page as inline SVG: the time line of a customer, the odometer of a car.

Colours are the tokens of the page, so that both hold in dark mode and in print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import pandas as pd

from dealerkit.messages import N_
from dealerkit.report.fragments import esc

#: Lanes of the time line from above, with their names.
LANES = {
    "before": N_("Sales interest"),
    "sale": N_("Cars bought"),
    "workshop": N_("Workshop"),
    "voice": N_("Complaints and surveys"),
    "contact": N_("Calls and campaigns"),
}
_WIDTH, _LEFT, _RIGHT, _LANE, _TOP = 1000, 170, 16, 40, 34
#: Most marks that are drawn; the latest are.
MOST = 400


class _Axis:
    """Days along the width."""

    def __init__(self, first: date, last: date, left: int):
        self.first, self.days, self.left = pd.Timestamp(first), max((last - first).days, 30), left

    def __call__(self, day) -> float:
        part = (pd.Timestamp(day) - self.first).days / self.days
        return round(self.left + part * (_WIDTH - _RIGHT - self.left), 1)

    def years(self) -> list[tuple[float, str]]:
        """Place and name of the years that begin in between, no more than fit."""
        last = self.first + pd.Timedelta(days=self.days)
        years = range(self.first.year + 1, last.year + 1)
        step = math.ceil(len(years) / 12) or 1
        return [(self(date(year, 1, 1)), str(year)) for year in years if year % step == 0]


def timeline(events: pd.DataFrame, first_sale: date | None, as_of: date, t) -> str:
    """What happened, on one line of time: a lane per kind, a mark per event; the time before the first car and after it
    are told apart. Empty without events.

    Args:
        events: day, lane, what, detail, tone; the latest first.
        first_sale: day of the first car, if known.
        as_of: the right end.
    """
    shown = events.head(MOST)
    if shown.empty:
        return ""
    days = [shown["day"].min().date()] + ([first_sale] if first_sale else [])
    axis = _Axis(min(days), as_of, _LEFT)
    lanes = {lane: _TOP + i * _LANE + _LANE / 2 for i, lane in enumerate(LANES)}
    height = _TOP + len(lanes) * _LANE + 26
    parts = _phases(axis, first_sale, as_of, t) + _years(axis, _TOP, height - 26)
    for lane, y in lanes.items():
        parts.append(f'<line class="lane" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="name" x="0" y="{y + 5}">{esc(t.text(LANES[lane]))}</text>')
    for row in reversed(shown.to_dict("records")):
        parts.append(_mark(axis(row["day"]), lanes[row["lane"]], row, t))
    label = t.say(N_("Time line of {n:count|event|events} up to {day:day}"), n=len(events), day=as_of)
    return _drawing(height, parts, label)


def _phases(axis: _Axis, first_sale: date | None, as_of: date, t) -> list[str]:
    """Strips over the lanes: before the first car, and after it."""
    if first_sale is None:
        return []
    cut, end, start = axis(first_sale), axis(as_of), axis(axis.first)
    parts = []
    for kind, left, right, text in (
        ("pre", start, cut, N_("before the sale")),
        ("post", cut, end, N_("after the sale")),
    ):
        if right - left > 1:
            parts.append(f'<rect class="{kind}" x="{left}" y="4" width="{right - left:.1f}" height="22" rx="4"/>')
        if right - left > 110:
            parts.append(f'<text class="phase" x="{left + 8:.1f}" y="20">{esc(t.text(text))}</text>')
    return [*parts, f'<line class="cut" x1="{cut}" x2="{cut}" y1="4" y2="{_TOP + len(LANES) * _LANE}"/>']


def _years(axis: _Axis, top: float, bottom: float) -> list[str]:
    parts = []
    for x, name in axis.years():
        parts.append(f'<line class="year" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 19}">{name}</text>')
    return parts


def _mark(x: float, y: float, row: dict, t) -> str:
    said = " · ".join(part for part in (t.value(row["day"], "day"), row["what"], row["detail"]) if part)
    kind = f"{row['lane']} {row['tone']}"
    if row["lane"] == "sale":
        shape = f'<rect class="{kind}" x="{x - 7}" y="{y - 7}" width="14" height="14" transform="rotate(45 {x} {y})">'
        return f"{shape}<title>{esc(said)}</title></rect>"
    size = 6 if row["lane"] in ("workshop", "voice") else 5
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{size}"><title>{esc(said)}</title></circle>'


def _drawing(height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<div class="dk-drawing" tabindex="0" role="region" aria-label="{esc(label)}">'
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{esc(label)}">{"".join(parts)}</svg></div>'
    )


def odometer(visits: pd.DataFrame, as_of: date, t) -> str:
    """Kilometres at each visit; a reading below an earlier one is marked. Empty with fewer than two readings.

    Args:
        visits: day, odometer_km, what.
        as_of: the right end.
    """
    known = visits.dropna(subset=["odometer_km"]).sort_values(["day", "odometer_km"])
    if len(known) < 2:
        return ""
    height, left, top, bottom = 260, 92, 14, 228
    axis = _Axis(known["day"].min().date(), as_of, left)
    step = _step(float(known["odometer_km"].max()))
    highest = max(step * math.ceil(float(known["odometer_km"].max()) / step), step)

    def at(km: float) -> float:
        return round(bottom - (bottom - top) * km / highest, 1)

    parts = _years(axis, top, bottom)
    for n in range(round(highest / step) + 1):
        y = at(n * step)
        parts.append(f'<line class="lane" x1="{left}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="km" x="{left - 10}" y="{y + 5}">{esc(t.value(n * step, "km"))}</text>')
    points = [(axis(day), at(float(km))) for day, km in zip(known["day"], known["odometer_km"], strict=True)]
    parts.append(f'<polyline class="run" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
    before = known["odometer_km"].astype(float).cummax().shift()
    for (x, y), row, top_km in zip(points, known.to_dict("records"), before, strict=True):
        tone = "bad" if row["odometer_km"] < top_km else "plain"
        said = " · ".join([t.value(row["day"], "day"), row["what"], t.value(row["odometer_km"], "km")])
        parts.append(f'<circle class="workshop {tone}" cx="{x}" cy="{y}" r="5"><title>{esc(said)}</title></circle>')
    label = t.say(N_("Odometer at {n:count} visits, up to {day:day}"), n=len(known), day=as_of)
    return _drawing(height, parts, label)


def _step(highest: float) -> float:
    """Kilometres between two lines: three to six of them."""
    size = 10 ** math.floor(math.log10(max(highest, 1000)))
    return next(size * part for part in (0.2, 0.5, 1, 2) if highest / (size * part) <= 6)
