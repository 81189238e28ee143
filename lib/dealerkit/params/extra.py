"""Further keyed tables of a dealer (insurance, shop, telematics, …) and the factors made of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dealerkit import tables
from dealerkit.params.parts import DeclaredFactorParams, Part, fits, nearest, one_place

#: The column with the day of a row, whatever its header is.
DATED = "dated_at"
#: End of a column's name → its type; others are texts, unless the params say otherwise.
_TYPES = {
    "yuan": "money",
    "on": "date",
    "at": "time",
    **dict.fromkeys(("count", "points", "months", "years", "days"), "int"),
    **dict.fromkeys(("km", "hours", "minutes", "seconds", "score", "share", "ratio", "quantity"), "number"),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TAKEN = (
    DATED,
    "customer_id",
    "vin",
    "phone",
    "plate",
    "person_id",
    "origin",
    "day",
    "ago",
    "event_no",
    "row",
    "lost",
    "again_no",
)


def _header(value: Any) -> Any:
    return {"header": value} if isinstance(value, str) else value


class ExtraColumnParams(Part):
    """A column of a further table."""

    header: str
    """Its header in the file."""
    type: Literal["text", "date", "time", "int", "number", "money", "bool"] | None = None
    """What it holds; without it told by the end of its name: `_yuan` money, `_on` a day, `_at` a time, `_count`, `_days`,
    `_months` whole numbers, `_km`, `_hours`, `_score` numbers; any other a text."""
    known_from: str | None = None
    """Since when its values are known, where not from the row's date on: `export` for what only the delivery tells (a
    count that goes on growing), or another column of the table with the day."""


class ExtraFactorParams(DeclaredFactorParams):
    """A factor made of the rows of a further table."""

    aggregate: Literal["count", "share", "sum", "mean", "min", "max", "last", "days_since"]
    """What is made of the rows: how many there are, the share of them for which `of` holds, the sum, mean, smallest,
    largest or last of `of`, or the days since the latest row, or since the latest day in `of` (below 0: days until it)."""

    @model_validator(mode="after")
    def _has_of(self):
        fits(self.aggregate, self.of)
        return self


class ExtraTableParams(Part):
    """A further table with a key of customers or cars: how it is read, and which factors it gives."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
    """What the table is called: small letters, digits and _."""
    file: str | None = None
    """File name or pattern inside the raw folder, as under `files`; it is read for this alone."""
    url: str | None = None
    """Database URL instead of a file, as under `files`."""
    query: str | None = None
    """SQL to read with `url`."""
    sheet: str | None = None
    """Sheet of a workbook; without it every sheet with these headers."""
    encoding: Literal["utf-8", "gb18030", "gbk", "utf-16"] | None = None
    """Encoding of a text file; without it found."""
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    """Delimiter of a text file; without it found."""
    header_row: Annotated[int, Field(ge=1)] | None = None
    """Line of the header, counted from 1; without it found under any title lines."""
    date_order: Literal["ymd", "dmy", "mdy"] | None = None
    """Order of day, month and year where the year does not come first; without it found from the values."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of its numbers."""
    ids_from: str | None = None
    """Source in whose space its customer numbers live; without it the most trusted one."""
    key: Literal["customer_id", "vin", "phone", "plate"]
    """What says whose row it is; a car's rows are those of who holds it."""
    key_header: str | None = None
    """Header of the key; without it found by the spellings that the data dictionary lists."""
    date: str | None = None
    """Header of the day on which a row became known: only rows dated on or before an origin count at it."""
    known_from: Literal["export"] | None = None
    """`export` instead of a date: the rows are the state at delivery, and count on the day of the report alone."""
    columns: dict[str, Annotated[ExtraColumnParams, BeforeValidator(_header)]] = {}
    """Name of a column → its header in the file, or {header: …, type: …, known_from: …}. Rows that are the same in key,
    day and all of these count once; name the row's own number to keep apart what only looks the same."""
    factors: Annotated[tuple[ExtraFactorParams, ...], Field(min_length=1)]
    """Factors made of it."""

    @model_validator(mode="after")
    def _whole(self):
        one_place(self.file, self.url)
        if self.url and not self.query:
            raise ValueError("url needs `query`, the SQL that reads the table")
        if (self.date is None) == (self.known_from is None):
            raise ValueError(
                "give either date (header of the day on which a row became known) or known_from: export, not both and not neither"
            )
        for name, column in self.columns.items():
            if not _NAME.fullmatch(name) or name in _TAKEN:
                raise ValueError(
                    f"columns: {name!r} cannot name a column; small letters, digits and _, and none of {', '.join(_TAKEN)}"
                )
            self._dated(name, column)
        return self

    def _dated(self, name: str, column: ExtraColumnParams) -> None:
        since = column.known_from
        if since in (None, "export"):
            return
        days = [n for n, c in self.columns.items() if _type(n, c) in ("date", "time")]
        if since not in days:
            raise ValueError(
                f"columns: {name} is known from {since!r}, which is neither export nor a column of days{nearest(since, days)}"
            )

    @property
    def declared(self) -> tables.Table:
        """The table as a declaration: key, day and columns, each with type and since when it is known."""
        home = tables.TABLES["vehicles" if self.key in ("vin", "plate") else "customers"]
        ref = "customers" if self.key == "customer_id" else None
        columns = [replace(home[self.key], known_from="always", required=True, ref=ref)]
        rest = DATED if self.date else "export"
        if self.date:
            columns.append(tables.Column(DATED, "time", "Day", "日期", known_from=DATED, required=True))
        for name, column in self.columns.items():
            kind = _type(name, column)
            codes = tables.YES_NO if kind == "bool" else {}
            columns.append(
                tables.Column(
                    name, kind, column.header, column.header, codes=codes, known_from=column.known_from or rest
                )
            )
        name = f"extra_{self.name}"
        row = ("a row of a further table", "扩展数据表的一行")
        return tables.Table(name, self.name, self.name, *row, (), DATED if self.date else None, tuple(columns))

    @property
    def headers(self) -> dict[str, str]:
        """Column → header, of those that the params name."""
        named = {self.key: self.key_header, DATED: self.date} | {n: c.header for n, c in self.columns.items()}
        return {name: header for name, header in named.items() if header}


def _type(name: str, column: ExtraColumnParams) -> str:
    return column.type or _TYPES.get(name.rsplit("_", 1)[-1], "text")
