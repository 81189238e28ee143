"""Checks of a whole table: whether it was exported anew, without holes, and with columns that say something.

What fails is no row but a day, a column, a range of numbers or a campaign; it stands in the fault rows with its name as
the key, and without a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit import engine
from dealerkit.audit.checking import Checked
from dealerkit.audit.kinds import Check
from dealerkit.audit.results import row
from dealerkit.messages import N_
from dealerkit.params import CheckParams

#: Tables in which something happens nearly every day; campaigns come when they come.
_STEADY = ("service_orders", "sales_orders", "leads", "interactions")
#: Rows under which nothing is said of a whole table.
_FEWEST = 50
#: Numbers in a row with more of them missing are not counted up one by one.
_MOST_MISSING = 0.2
#: Columns that may well say the same on every row.
_MAY_BE_ALIKE = {"brand", "region", "is_comeback", "status"}


@dataclass(frozen=True)
class Whole:
    """What one check of a whole table found: how much was looked at, the names of what fails, and how much of what was
    looked at that is, if not one each."""

    check: Check
    checked: int
    failing: tuple[str, ...]
    failed: int | None = None


def look(done: dict[str, Checked], as_of: date, params: CheckParams) -> list[Whole]:
    """The checks of whole tables.

    Args:
        done: the tables, checked.
        as_of: the day of which all is computed.
        params: limits.
    """
    found = _series(done, as_of, params)
    found += [_alike(checked) for checked in done.values() if checked.counts["rows"] >= _FEWEST]
    for name in ("service_orders", "sales_orders"):
        if name in done and done[name].counts["rows"] >= _FEWEST:
            found.append(_numbers(done[name]))
    if "campaigns" in done:
        found.append(_controls(done["campaigns"]))
    return found


def results(found: Iterable[Whole]) -> pd.DataFrame:
    """A row of the results for each."""
    rows = []
    for f in found:
        failed = len(f.failing) if f.failed is None else f.failed
        rows.append(row(f.check, f.checked, failed, " · ".join(f.failing[:5])))
    return pd.DataFrame(rows)


def faults(found: Iterable[Whole]) -> pd.DataFrame:
    """A fault row for each day, column, range or campaign; without a file and a row."""
    rows = [
        {"table": f.check.table, "file": "", "row": None, "key": name, "customer_id": None, "check": f.check.id}
        | {"column": f.check.columns[0], "delivered": ""}
        for f in found
        for name in f.failing
    ]
    return pd.DataFrame(rows)


def check_of(table: str, name: str, column: str, dimension: str, message: str, severity: str = "warn") -> Check:
    """A check of a whole table, which no row of it fails."""
    return Check(table, name, (column,), dimension, severity, "flagged", message, _no_row)


def _no_row(_rows: ir.Table) -> ir.BooleanValue:
    return ibis.literal(False)


def _series(done: dict[str, Checked], as_of: date, params: CheckParams) -> list[Whole]:
    """Whether the tables with days go on to the end, and have no holes and no thin months."""
    parts = []
    for name in _STEADY:
        if name in done:
            rows = done[name].clean
            days = rows.select(table=ibis.literal(name), day=rows[done[name].table.date].cast("date"))
            parts.append(days.group_by("table", "day").agg(rows=_.count()))
    counted = engine.frame_of(engine.union(parts))
    found = []
    for name, part in counted.groupby("table", sort=False):
        counts = part.set_index(pd.to_datetime(part["day"]))["rows"].sort_index()
        counts = counts[counts.index <= pd.Timestamp(as_of)]
        # Stray days long before the others are no history with a hole behind it.
        counts = counts[counts.cumsum() > 0.01 * counts.sum()]
        if counts.sum() >= _FEWEST:
            column = done[name].table.date
            found += _of_days(name, column, counts, as_of, params)
    order = {name: i for i, name in enumerate(done)}
    return sorted(found, key=lambda f: (order[f.check.table], f.check.name))


def _of_days(name: str, column: str, counts: pd.Series, as_of: date, params: CheckParams) -> list[Whole]:
    end = pd.Timestamp(as_of)
    every = pd.date_range(counts.index[0], end)
    behind = (end - counts.index[-1]).days
    a_day = counts.reindex(every, fill_value=0).rolling(181, center=True, min_periods=1).sum() / 181
    gaps = pd.Series(counts.index[1:] - counts.index[:-1], counts.index[:-1]).dt.days - 1
    # A hole is long, and by the half year around it so many rows are missing that chance does not leave it empty.
    holes = gaps[(gaps >= params.gap_days) & (gaps * a_day[gaps.index] >= 10)]
    stale = behind > params.stale_days and behind * a_day[counts.index[-1]] >= 10
    missing = [
        f"{(day + pd.Timedelta(days=1)).date()} – {(day + pd.Timedelta(days=n)).date()}" for day, n in holes.items()
    ]
    thin = _thin_months(counts, end, params)
    return [
        Whole(
            check_of(name, "goes_on_to_the_end", column, "timeliness", N_("not exported anew while visits go on")),
            1,
            (str(counts.index[-1].date()),) if stale else (),
        ),
        Whole(
            check_of(name, "without_holes", column, "completeness", N_("days on end without a row")),
            len(every),
            tuple(missing),
        ),
        Whole(
            check_of(
                name, "months_whole", column, "completeness", N_("a month with far fewer rows than those around it")
            ),
            len(every) // 30,
            tuple(thin),
        ),
    ]


def _thin_months(counts: pd.Series, end: pd.Timestamp, params: CheckParams) -> list[str]:
    """Whole months, not next to the ends, with far fewer rows than the median of the six around them."""
    months = counts.groupby(counts.index.to_period("M")).sum()
    months = months.reindex(pd.period_range(months.index[0], end.to_period("M")), fill_value=0)
    around = months.rolling(7, center=True, min_periods=4).median()
    inner = months.iloc[1:-1]
    thin = inner[(inner < params.min_month_share * around[inner.index]) & (around[inner.index] >= 20)]
    return [str(month) for month in thin.index]


def _alike(checked: Checked) -> Whole:
    """Columns with one value on every row."""
    counts, table = checked.counts, checked.table
    filled = [
        c.name for c in table.columns if counts[f"known text {c.name}"] >= _FEWEST and c.name not in _MAY_BE_ALIKE
    ]
    same = [name for name in filled if counts[f"alike text {name}"]]
    check = check_of(
        table.name, "columns_vary", table.key[0], "completeness", N_("a column with one value on every row"), "info"
    )
    return Whole(check, len(filled), tuple(same))


def _numbers(checked: Checked) -> Whole:
    """Order numbers that were skipped, where numbers are counted up one by one."""
    key = checked.table.key[0]
    rows = checked.records.select(key=checked.records[key]).drop_null().distinct()
    digits = rows.key.re_extract(r"(\d{1,9})$", 1)
    split = rows.select(
        prefix=rows.key.substr(0, rows.key.length() - digits.length()), number=digits.try_cast("int64")
    ).drop_null()
    before = split.number.lag().over(ibis.window(group_by="prefix", order_by="number"))
    steps = split.mutate(skipped=(split.number - before - 1).fill_null(0))
    by_prefix = steps.group_by("prefix").agg(numbers=_.count(), skipped=_.skipped.sum())
    series = by_prefix.filter((by_prefix.numbers >= _FEWEST) & (by_prefix.skipped <= _MOST_MISSING * by_prefix.numbers))
    counted = engine.frame_of(series.agg(numbers=_.numbers.sum(), skipped=_.skipped.sum())).iloc[0]
    numbers, skipped = (0 if pd.isna(n) else int(n) for n in counted)
    failing: tuple[str, ...] = ()
    if skipped:
        ends = steps.filter(steps.skipped > 0).semi_join(series, "prefix")
        some = engine.frame_of(ends.order_by(["prefix", "number"]).limit(1000))
        failing = tuple(_range(r.prefix, int(r.number), int(r.skipped)) for r in some.itertuples())
    check = check_of(
        checked.table.name, "numbers_without_gaps", key, "completeness", N_("numbers that were skipped"), "info"
    )
    return Whole(check, numbers, failing)


def _range(prefix: str, number: int, skipped: int) -> str:
    first, last = number - skipped, number - 1
    return f"{prefix}{first}" if first == last else f"{prefix}{first} – {prefix}{last}"


def _controls(checked: Checked) -> Whole:
    """Campaigns without a control group, whose effect nobody can tell."""
    arms = checked.clean.group_by("campaign_id").agg(
        treated=(_.arm == "treated").sum(), control=(_.arm == "control").sum()
    )
    rows = engine.frame_of(arms.order_by("campaign_id"))
    without = rows[(rows["treated"] > 0) & (rows["control"].fillna(0) == 0)]
    message = N_("a campaign without a control group: nobody can tell what it brought")
    check = check_of("campaigns", "has_control", "campaign_id", "completeness", message, "info")
    return Whole(check, len(rows), tuple(without["campaign_id"]))
