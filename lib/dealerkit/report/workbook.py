"""Workbooks for staff: sheets to read and fill in, written only encrypted, and never over what people have changed.

A workbook is made in memory, encrypted, written under a temporary name with permissions for its owner only, and
renamed. Its hidden property `CONTENT` is the checksum of all its cells: so a later run can tell whether somebody has
changed it, whatever program saved it, and leaves it alone when it says what it would say again.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from dealerkit import books
from dealerkit.books import LISTS, Grid
from dealerkit.errors import UserError

#: Hidden property with the checksum of the cells.
CONTENT = "dealerkit_content"
#: Fills by name, for cells of a column by their value.
COLOURS = {"good": "#DDEFE3", "watch": "#FBF0D5", "bad": "#F8DFDB", "calm": "#E3ECF6", "plain": "#F1F1EE"}

_CREATED = datetime(2000, 1, 1)
_FORMATS = {"text": "@", "number": "#,##0.##", "count": "#,##0", "yuan": "#,##0", "share": "0.0%", "day": "yyyy-mm-dd"}
_LONGEST, _WIDEST = 32_000, 44
#: What a program would take for the beginning of a formula.
_FORMULA = re.compile(r"[=+\-@\t]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Column:
    """A column of a sheet.

    Attributes:
        name: column of the sheet's rows.
        heading: what stands above it, in the language of the report.
        kind: text, number, count, yuan, share or day: how its values are written.
        editable: whether people may write into its cells; all others are locked.
        choices: what a list beside the cell offers; with ``strict`` nothing else may be written.
        offers: column of the rows that holds, row by row, a tuple of texts to offer instead of ``choices``.
        colours: value → one of `COLOURS`, the fill of its cell.
        hidden: there, but not shown.
    """

    name: str
    heading: str
    kind: str = "text"
    editable: bool = False
    choices: tuple[str, ...] = ()
    strict: bool = False
    offers: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False


@dataclass(frozen=True)
class Sheet:
    """A sheet with a heading line, rows in the order given, and filters."""

    name: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame


@dataclass(frozen=True)
class Guide:
    """A sheet of plain words: lines of (``title``, ``heading`` or ``text``, what it says)."""

    name: str
    lines: tuple[tuple[str, str], ...]


def clean_text(text: str) -> str:
    """The text as a cell can hold it: without control characters, and not longer than a cell."""
    kept = _UNPRINTABLE.sub("", text)
    return kept if len(kept) <= _LONGEST else kept[: _LONGEST - 1] + "…"


def save(
    path: Path,
    name: str,
    parts: Sequence[Guide | Sheet],
    properties: Mapping[str, str],
    remedy: str,
    elsewhere: Iterable[str] = (),
) -> bool:
    """Write the workbook, encrypted with the password of the environment, unless it is there already with the same cells.

    Args:
        path: where to.
        name: what it is called in messages.
        parts: its sheets in order.
        properties: hidden ones of the workbook, texts.
        remedy: what to do about a workbook that people have changed, for the message.
        elsewhere: SHA-256 of files in which changed workbooks are safe: a copy of one of them may be replaced.

    Returns whether it was written. Raises `UserError` without a strong password, when what is there was changed by
    somebody, and when it cannot be opened.
    """
    secret, made = books.password(), _grids(parts)
    content = books.digest(made)
    if path.exists() and _is_there(path, name, content, remedy, elsewhere):
        return False
    sealed = books.sealed(_built(parts, made, {**properties, CONTENT: content}), secret)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(sealed)
    part.replace(path)
    return True


def _is_there(path: Path, name: str, content: str, remedy: str, elsewhere: Iterable[str]) -> bool:
    """Whether the workbook with that content is there; `UserError` when it holds what somebody wrote and is nowhere else."""
    locked = path.read_bytes()
    plain = books.opened(locked, name)
    now = books.digest(books.grids(plain, name))
    if books.properties(plain).get(CONTENT) != now and hashlib.sha256(locked).hexdigest() not in set(elsewhere):
        raise UserError(f"{name} was changed by somebody since it was written, and is not overwritten", remedy)
    return now == content


# ---- from sheets to cells ----------------------------------------------------------------------------------------


def _grids(parts: Sequence[Guide | Sheet]) -> list[Grid]:
    """What stands in each cell, the hidden sheet of lists included."""
    out, names = [], set()
    for part in parts:
        lines = [[text] for _, text in part.lines] if isinstance(part, Guide) else _cells(part)
        name = _sheet_name(part.name, names)
        names.add(name.lower())
        out.append(Grid(name, list(enumerate(lines, start=1))))
    lists = list(_lists(parts))
    height = max(map(len, lists), default=0)
    rows = [[lst[i] if i < len(lst) else None for lst in lists] for i in range(height)]
    return [*out, Grid(LISTS, list(enumerate(rows, start=1)))] if lists else out


def _cells(sheet: Sheet) -> list[list]:
    values = [[_value(v, c.kind) for v in sheet.rows[c.name]] for c in sheet.columns]
    return [[c.heading for c in sheet.columns], *map(list, zip(*values, strict=True))]


def _value(value, kind: str):
    """What is written: a text, a number, a day, or nothing."""
    if value is None or value is pd.NaT or value != value:
        return None
    if kind == "text":
        return clean_text(books.as_text(value) or "") or None
    if kind == "day":
        return value if type(value) is date else pd.Timestamp(value).date()
    return round(float(value), 9)


def _sheet_name(name: str, taken: set[str]) -> str:
    """The name as Excel allows it, unlike all others."""
    short = re.sub(r"[\[\]:*?/\\']", " ", clean_text(name)).strip()[:28] or "sheet"
    number, found = 1, short
    while found.lower() in taken | {LISTS}:
        number += 1
        found = f"{short} {number}"
    return found


def _lists(parts: Sequence[Guide | Sheet]) -> dict[tuple[str, ...], int]:
    """Every list that is offered somewhere, and its number: lists stand on a sheet of their own, since one that is
    written into the rule of a cell may have 255 characters."""
    found: dict[tuple[str, ...], int] = {}
    for sheet in parts:
        for column in sheet.columns if isinstance(sheet, Sheet) else ():
            for offered in [column.choices, *(sheet.rows[column.offers] if column.offers else ())]:
                if offered:
                    found.setdefault(tuple(offered), len(found))
    return found


# ---- from cells to a file ----------------------------------------------------------------------------------------


class _Looks:
    """Formats of cells, each made once."""

    def __init__(self, book):
        self._book, self._made = book, {}

    def __call__(self, **wanted):
        key = tuple(sorted(wanted.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(
                {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "top"} | wanted
            )
        return self._made[key]


def _built(parts: Sequence[Guide | Sheet], made: list[Grid], properties: Mapping[str, str]) -> bytes:
    """The workbook, not encrypted; the same bytes for the same content."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": False,
        },
    )
    book.set_properties({"created": _CREATED, "author": "dealerkit"})
    for name, text in sorted(properties.items()):
        book.set_custom_property(name, text, "text")
    looks, lists = _Looks(book), _lists(parts)
    for part, grid in zip(parts, made[: len(parts)], strict=True):
        page = book.add_worksheet(grid.name)
        page.protect("", {"autofilter": True, "format_columns": True, "format_rows": True})
        if isinstance(part, Guide):
            _write_guide(page, part, looks)
        else:
            _write_sheet(page, part, grid, looks, lists)
    if lists:
        page = book.add_worksheet(LISTS)
        page.hide()
        page.protect()
        for number, row in made[-1].rows:
            for column, text in enumerate(row):
                if text is not None:
                    page.write_string(number - 1, column, text, looks(num_format="@"))
    book.close()
    return out.getvalue()


def _write_guide(page, guide: Guide, looks: _Looks) -> None:
    page.hide_gridlines(2)
    page.set_column(0, 0, 110)
    how = {"title": {"bold": True, "font_size": 15}, "heading": {"bold": True, "font_size": 11}, "text": {}}
    for number, (style, text) in enumerate(guide.lines):
        if text:
            page.write_string(number, 0, text, looks(text_wrap=True, **how[style]))


def _write_sheet(page, sheet: Sheet, grid: Grid, looks: _Looks, lists: Mapping[tuple[str, ...], int]) -> None:
    page.freeze_panes(1, 0)
    if len(grid.rows) > 1:
        page.autofilter(0, 0, len(grid.rows) - 1, len(sheet.columns) - 1)
    for at, column in enumerate(sheet.columns):
        values = [row[at] for _, row in grid.rows[1:]]
        page.set_column(at, at, _width(column, values), looks(), {"hidden": column.hidden})
        fill = "#FFE9A8" if column.editable else "#E8E6E0"
        page.write_string(0, at, column.heading, looks(bold=True, bg_color=fill, text_wrap=True, bottom=1))
        for number, value in enumerate(values, start=1):
            _write_cell(page, number, at, column, value, looks)
        if column.editable:
            _offer(page, sheet, at, lists)


def _write_cell(page, number: int, at: int, column: Column, value, looks: _Looks) -> None:
    look = {"num_format": _FORMATS[column.kind]}
    if column.editable:
        look |= {"locked": False, "bg_color": "#FFFBEB", "border": 4, "border_color": "#B9B39E"}
    if value in column.colours:
        look["bg_color"] = COLOURS[column.colours[value]]
    if value is None:
        if column.editable:
            page.write_blank(number, at, None, looks(**look))
    elif isinstance(value, str):
        # The mark before a text keeps it a text when somebody edits the cell.
        quoted = {"quote_prefix": True} if _FORMULA.match(value) else {}
        page.write_string(number, at, value, looks(text_wrap=True, **look, **quoted))
    elif isinstance(value, date):
        page.write_datetime(number, at, datetime(value.year, value.month, value.day), looks(**look))
    else:
        page.write_number(number, at, value, looks(**look))


def _offer(page, sheet: Sheet, at: int, lists: Mapping[tuple[str, ...], int]) -> None:
    """Lists beside the cells of a column, one rule for neighbours that are offered the same."""
    column, height = sheet.columns[at], len(sheet.rows)
    offered = [tuple(o or ()) for o in sheet.rows[column.offers]] if column.offers else [column.choices] * height
    first = 0
    for row in range(1, height + 1):
        if row < height and offered[row] == offered[first]:
            continue
        if offered[first]:
            place = _letters(lists[offered[first]])
            rule = {
                "validate": "list",
                "source": f"={LISTS}!${place}$1:${place}${len(offered[first])}",
                "show_error": column.strict,
            }
            page.data_validation(first + 1, at, row, at, rule)
        first = row


def _letters(column: int) -> str:
    """Name of a column counted from 0.

    >>> _letters(27)
    'AB'
    """
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


def _width(column: Column, values: list) -> float:
    """Characters of room: what the values need, within bounds; a Chinese character takes two."""
    shown = [column.heading, *(books.as_text(v) or "" for v in values[:500])]
    widest = max(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text) for text in shown)
    return min(max(widest + 3, 22 if column.editable else 9), _WIDEST)
