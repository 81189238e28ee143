"""The day of which all is computed, and the rows that lie after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine
from dealerkit.audit.standard import text_of
from dealerkit.errors import UserError
from dealerkit.messages import mask
from dealerkit.tables import Table

#: Ways a date may be written, for messages.
DATES = "2026-01-05, 2026/1/5, 20260105, 2026年1月5日, an Excel serial"


@dataclass(frozen=True)
class AsOf:
    """The day of which all is computed, how it was found, and how many visits lie after it.

    ``export_day`` is the last day the export can speak of; it lies after ``day`` when an earlier one was asked for.
    """

    day: date
    rule: str
    cut_off: int
    export_day: date | None = field(default=None, compare=False)

    @property
    def is_earlier(self) -> bool:
        """Whether a day was asked for that lies before the end of the export."""
        return self.export_day is not None and self.day != self.export_day


#: Share of the visits of a normal 28 days that makes 28 days well filled.
_FILLED = 0.2


def find_as_of(visits: ir.Table, delivered_on: date | None, asked: date | None) -> AsOf:
    """The day of which all is computed.

    Args:
        visits: typed service orders with ``opened_at``.
        delivered_on: day of the export by the params.
        asked: day asked for on the command line; goes before the params.

    Without either: the last day whose preceding 28 days hold at least a fifth of the visits of a normal (median)
    28 days, so that stray dates in the future do not move it, not even a handful that lie together. A fifth: a
    holiday month keeps far more, and a small dealer's mistyped years stay below it.
    """
    dated = visits.filter(_.opened_at.notnull() & (_["_kind"] == "row"))
    days = engine.frame_of(dated.group_by(day=_.opened_at.date()).agg(n=_.count()))
    given = (asked, "asked") if asked else (delivered_on, "delivered_on") if delivered_on else None
    if days.empty:
        if given:
            return AsOf(*given, cut_off=0, export_day=given[0])
        raise UserError(
            f"service_orders: no row has a readable date in opened_at{_first_delivered(visits)}",
            "check the date column and its mapping in the params, or name the day of the export there (delivered_on)",
        )
    counts = days.set_index(pd.to_datetime(days["day"]))["n"].sort_index()
    found = _last_filled_day(counts)
    day, rule = given or (found, "found")
    if day > found + timedelta(days=92):
        raise UserError(
            f"as_of {day} lies {(day - found).days} days after the last well-filled day of the visits ({found})",
            "correct AS_OF= or delivered_on in the params; the report would describe days nobody has data of",
        )
    if day < counts.index[0].date():
        raise UserError(
            f"as_of {day} lies before the first visit ({counts.index[0].date()})",
            "correct AS_OF= or delivered_on in the params",
        )
    return AsOf(day, rule, int(counts[counts.index.date > day].sum()), max(day, found) if rule == "asked" else day)


def _first_delivered(visits: ir.Table) -> str:
    """Where the first delivered opened_at is and what it says, for a message."""
    texts = visits.select("_file", "_row", "_kind", text=text_of(visits, "opened_at"))
    rows = texts.filter((_["_kind"] == "row") & _.text.notnull())
    first = engine.frame_of(rows.order_by(["_file", "_row"]).limit(1))
    if first.empty:
        return f"; allowed: {DATES}"
    row = first.iloc[0]
    return f"; first in {row['_file']}, row {row['_row']}: {mask(row['text'])!r}; allowed: {DATES}"


def _last_filled_day(counts: pd.Series) -> date:
    span = counts[(counts.index.year >= 1980) & (counts.index.year <= 2200)]
    if span.empty:
        raise UserError(
            "service_orders: every date in opened_at is before 1980",
            "check the date column and its mapping in the params",
        )
    # Sparse evaluation: windows can only end on a day with visits.
    ends = span.index
    total = span.cumsum().to_numpy()
    before = ends.searchsorted(ends - pd.Timedelta(days=28), side="right")
    in_window = total - [total[i - 1] if i else 0 for i in before]
    full = in_window >= _FILLED * pd.Series(in_window).median()
    # A lone stray date has a window of its own: ask for company of the rest as well.
    return ends[full & (in_window >= min(2, in_window.max()))][-1].date()


def cut_off(values: ir.Table, table: Table, as_of: AsOf) -> ir.Table:
    """Rows after an earlier day that was asked for are no faults: they are marked, and not checked."""
    if not as_of.is_earlier or table.date is None:
        return values
    day = values[table.date].cast("date")
    later = (values["_kind"] == "row") & (day > ibis.literal(as_of.day)) & (day <= ibis.literal(as_of.export_day))
    return values.mutate(_kind=later.fill_null(False).ifelse("later", values["_kind"]))
