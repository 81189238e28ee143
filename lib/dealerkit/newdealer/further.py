"""Files that are no table of the kit's, and yet have a column with customers or cars: what would join them.

Such a file can give factors of its own (`extra_factors` in the params); which, its owner decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dealerkit import tables
from dealerkit.newdealer.fit import overlap
from dealerkit.newdealer.match import Reading
from dealerkit.newdealer.sheets import Sheet, Values, shown
from dealerkit.newdealer.words import is_known

#: Key, and what its column holds; whose row it is is surest by the first.
_KEYS = {"customer_id": "customer numbers", "vin": "VINs", "phone": "phone numbers", "plate": "plates"}
#: Format of the values → key that they are.
_FORMATS = {"vin": "vin", "mobile": "phone", "plate": "plate"}
#: Share of the different values that must be customers of the other files, for a header that says it and for any other.
_NAMED, _MET = 0.1, 0.5
#: Fewer different values than this meet others by chance.
_LEAST = 10
_OWN_NUMBER = 0.99


@dataclass(frozen=True)
class Hint:
    """A sheet that feeds nothing, and how it could be joined.

    Attributes:
        sheet: the sheet.
        file: its name, or one pattern for all its files.
        key: one of `customer_id`, `vin`, `phone`, `plate`.
        column: where that stands.
    """

    sheet: Sheet
    file: str
    key: str
    column: Values

    def __str__(self) -> str:
        return f"{self.sheet}: its column {shown(self.column.header)} looks like {_KEYS[self.key]}"


def hints(readings: list[Reading], files: dict[int, str]) -> list[Hint]:
    """What could be joined, of the sheets that feed nothing.

    Args:
        readings: what each sheet is taken for.
        files: number of a reading → how its file is written in the params.
    """
    known = _customers(readings)
    found = []
    for at, reading in enumerate(readings):
        keys = {} if reading.tables else _key_columns(reading.sheet, known)
        for key in _KEYS:
            if key in keys:
                found.append(Hint(reading.sheet, files[at], key, keys[key]))
                break
    return found


def _customers(readings: list[Reading]) -> frozenset[str]:
    """Customer numbers of the first system."""
    fed = (r for r in readings if r.source == "dms")
    matches = (m for r in fed for name in r.tables if (m := r.match(name, "customer_id")))
    return frozenset().union(*(m.values.distinct for m in matches))


def _key_columns(sheet: Sheet, customers: frozenset[str]) -> dict[str, Values]:
    """Key → the first column that looks like it."""
    number, found = tables.TABLES["customers"]["customer_id"], {}
    for column in sheet.columns:
        key = _FORMATS.get(column.format)
        met = overlap(column, customers)
        if is_known(column.header, number) and (met >= _NAMED or not customers) and not column.format:
            key = "customer_id"
        elif met >= _MET and len(column.distinct) >= _LEAST:
            key = "customer_id"
        if key:
            found.setdefault(key, column)
    return found


def snippet(found: Iterable[Hint], quoted) -> list[str]:
    """Lines of params that join the sheets, with a count of rows as the first factor of each; ``quoted`` writes a text."""
    lines: list[str] = []
    for hint in found:
        sheet, day, own = hint.sheet, _day(hint), _own_number(hint)
        name = _name(sheet, hint.file, lines)
        lines += [f"  - name: {name}", f"    file: {quoted(hint.file)}"]
        lines += [f"    sheet: {quoted(sheet.part.sheet)}"] if sheet.part.sheet else []
        lines += [f"    key: {hint.key}", f"    key_header: {quoted(sheet.name_of(hint.column))}"]
        if day:
            lines += [f"    date: {quoted(sheet.name_of(day))}  # the day on which a row became known"]
        else:
            lines += ["    known_from: export  # no column of days was found: counts on the day of the report alone"]
        if not (day or own):
            # one header alone does not show where the headers are
            lines += [f"    header_row: {sheet.part.head()[sheet.header_at].number}"]
        lines += [f"    columns: {{row_no: {quoted(sheet.name_of(own))}}}"] if own else []
        lines += ["    factors:", f"      - name: {name}_count_all"]
        lines += [f"        label: {quoted(f'Rows of {sheet.part.file}')}", "        aggregate: count"]
    return ["extra_factors:", *lines] if lines else []


def _day(hint: Hint) -> Values | None:
    """The fullest column of days."""
    days = [c for c in hint.sheet.columns if c.is_date and c is not hint.column]
    return max(days, key=lambda c: (round(c.filled, 3), -c.at), default=None)


def _own_number(hint: Hint) -> Values | None:
    """The first column that is different on every row: without it, rows that look the same count once."""
    for column in hint.sheet.columns:
        if column is not hint.column and not column.is_date and min(column.unique, column.filled) >= _OWN_NUMBER:
            return column
    return None


def _name(sheet: Sheet, file: str, taken: list[str]) -> str:
    """A name for the table, made of the sheet's or file's letters; `further_table` where it has none."""
    own = sheet.part.sheet or file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    base = re.sub(r"[^a-z0-9]+", "_", own.lower()).strip("_0123456789")[:30].strip("_") or "further_table"
    name, number = base, 1
    while f"  - name: {name}" in taken:
        number += 1
        name = f"{base}_{number}"
    return name
