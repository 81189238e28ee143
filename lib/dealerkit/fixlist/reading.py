"""Reading what staff sent back: workbooks, encrypted or not, and CSV files saved from them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dealerkit import books
from dealerkit.errors import UserError, UserErrors
from dealerkit.fixlist.lines import (
    DEALER,
    HEADINGS,
    LINES,
    NEEDED,
    OTHER_REASON,
    parts_of,
    reasons,
    reference,
    spellings,
)
from dealerkit.ingest.readers import reading
from dealerkit.ingest.text import TextPart, long_cells
from dealerkit.ingest.workbook import SUFFIXES
from dealerkit.personal import LONGEST, initial

FOLDER = "returned"
#: Columns of `Returned.corrections`.
CORRECTIONS = ("table", "key", "column", "was", "now", "reason", "problem", "file", "sheet", "row")

_TEXT = (".csv", ".txt", ".tsv")
_AGAIN = "fill in the workbook that make fixlist wrote, and put it here as it is or saved as CSV; or take the file out"
_HEADINGS = (
    "give the columns the headings back that they had when the list was sent; their order does not matter; what is no list "
    "belongs into a file elsewhere"
)
_REFERENCE = re.compile(r"[a-z_]+\.[a-z_]+\.[0-9a-f]{16}")
_FORMULA = re.compile(r"[=@]|[+-](?![\d(（ ])")
_ERROR = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|GETTING_DATA)")
#: Excel keeps 15 digits of a number.
_DIGITS_KEPT = 10**15


@dataclass(frozen=True)
class Returned:
    """What staff sent back.

    Attributes:
        corrections: one row per line that was answered, in the order of the files' names: table, key, column, was
            (the value as the list showed it), now (the answer), reason (a code of `REASONS`, or other), problem (what
            keeps the line from being taken: altered, formula, error, digits_lost; or empty), file, sheet, row. Personal.
        files: one row per file: file, lines, answered, empty, deleted (of the lines that were sent).
    """

    corrections: pd.DataFrame
    files: pd.DataFrame


def returned(raw_dir: Path, dealer: str) -> Returned:
    """Read every list in ``returned/`` of the dealer's raw folder.

    Raises `UserError` or `UserErrors` with every file that is no list of this dealer, or cannot be read. What is
    wrong with a single line is in its ``problem``.
    """
    folder = Path(raw_dir) / FOLDER
    found, files, problems = [], [], []
    for path in _files(folder):
        name = f"{FOLDER}/{path.relative_to(folder).as_posix()}"
        try:
            lines, sent = _lines(path, name, dealer)
        except UserError as error:
            problems.append(error)
            continue
        answers = [line for line in lines if line["now"] or line["reason"] or line["problem"] not in ("", "altered")]
        found += answers
        files.append(
            {
                "file": name,
                "lines": len(lines),
                "answered": len(answers),
                "empty": len(lines) - len(answers),
                "deleted": max(sent - len(lines), 0),
            }
        )
    if len(problems) == 1:
        raise problems[0]
    if problems:
        said = [f"{p.what}\n      → {p.remedy}" for p in problems]
        raise UserErrors(f"{dealer}: {len(problems)} problems with what staff sent back", said)
    frame = pd.DataFrame(found, columns=list(CORRECTIONS))
    # A list that was sent twice says everything twice.
    same = ["table", "key", "column", "was", "now", "reason", "problem"]
    frame = frame.drop_duplicates(same, keep="last", ignore_index=True)
    counted = pd.DataFrame(files, columns=["file", "lines", "answered", "empty", "deleted"])
    return Returned(frame, counted)


def _files(folder: Path) -> list[Path]:
    """The files of the folder by name, without hidden ones, Excel's lock files and notes."""
    found = [
        Path(here) / name
        for here, _, names in os.walk(folder)
        for name in names
        if not name.startswith((".", "~$")) and not name.upper().startswith("README")
    ]
    return sorted(found, key=lambda path: unicodedata.normalize("NFC", path.relative_to(folder).as_posix()))


def _lines(path: Path, name: str, dealer: str) -> tuple[list[dict], int]:
    """The lines of a file, and how many were sent (0 where that is not known)."""
    suffix, sent = path.suffix.lower(), 0
    if suffix in SUFFIXES:
        with reading(name):
            content = path.read_bytes()
        plain = books.opened(content, name)
        sheets = books.grids(plain, name)
        hidden = books.properties(plain)
        if hidden.get(DEALER, dealer) != dealer:
            raise UserError(
                f"{name}: the list of another dealer ({hidden[DEALER]})",
                f"put it into data/raw/{hidden[DEALER]}/{FOLDER}/",
            )
        sent = int(hidden[LINES]) if hidden.get(LINES, "").isdigit() else 0
    elif suffix in _TEXT:
        sheets = [_text_grid(path, name)]
    else:
        raise UserError(f"{name}: no workbook and no CSV", _AGAIN)
    lines = [line for sheet in sheets for line in _sheet_lines(sheet, name, dealer)]
    for sheet in sheets:
        if sheet.name != books.LISTS and not _header(sheet) and _lost_its_head(sheet, sent > len(lines)):
            raise UserError(f"{_place(name, sheet)}: no heading {HEADINGS['reference']!r} above its lines", _HEADINGS)
    if not any(_header(sheet) for sheet in sheets):
        raise UserError(f"{name}: not a fix list: no sheet with the column {HEADINGS['reference']!r}", _AGAIN)
    if lines and all(line["problem"] == "altered" for line in lines):
        raise UserError(
            f"{name}: no line fits the records of {dealer}: the list of another dealer, or its locked columns were changed",
            _AGAIN,
        )
    return lines, sent


def _text_grid(path: Path, name: str) -> books.Grid:
    """The rows of a CSV file; the number of a row is that of its first line."""
    known = spellings()
    with long_cells():
        part = TextPart(path, name, None, None, lambda cells: sum((c or "").strip() in known for c in cells))
        head = part.head()
        if not head:
            raise UserError(f"{name}: the file is empty", _AGAIN)
        rows = [(line.number, list(line.cells)) for line in head]
        at = next((i for i, line in enumerate(head) if _columns(line.cells)), None)
        if at is None:
            return books.Grid("", rows)
        rows = rows[: at + 1]
        for batch in part.batches(head[at]):
            columns = [column.to_pylist() for column in batch.columns]
            rows += zip(batch.numbers.to_pylist(), map(list, zip(*columns, strict=True)), strict=True)
    return books.Grid("", rows)


def _columns(cells: list) -> dict[str, int]:
    """Column of a line → its place, when the cells are the heading of a list; else nothing."""
    known = spellings()
    found = {known[text]: at for at, cell in enumerate(cells) if (text := str(cell or "").strip()) in known}
    return found if "reference" in found and len(found) >= 3 else {}


def _header(sheet: books.Grid) -> tuple[int, dict[str, int]] | None:
    """Place of the heading among the first rows, and its columns."""
    for at, (_, cells) in enumerate(sheet.rows[:20]):
        if columns := _columns(cells):
            return at, columns
    return None


def _lost_its_head(sheet: books.Grid, lacking: bool) -> bool:
    """Whether a sheet without the heading of a list is one all the same: some of the headings are left, or references; or where
    lines are ``lacking``, rows as wide as those of a list, which the words on the first sheet are not."""
    known = spellings()
    for _, cells in sheet.rows:
        texts = [text for cell in cells if (text := _said(cell))]
        if sum(text in known for text in texts) >= 3 or any(_REFERENCE.fullmatch(t) and parts_of(t) for t in texts):
            return True
        if lacking and len(texts) >= len(NEEDED):
            return True
    return False


def _place(file: str, sheet: books.Grid) -> str:
    return f"{file}, sheet {sheet.name!r}" if sheet.name else file


def _sheet_lines(sheet: books.Grid, file: str, dealer: str) -> Iterator[dict]:
    """The lines of a sheet, wherever its columns stand; nothing of a sheet that is no list."""
    if not (header := _header(sheet)):
        return
    at, columns = header
    known = spellings()
    if missing := [HEADINGS[name] for name in NEEDED if name not in columns]:
        # What is no heading may be an answer that was written over one.
        texts = [text for cell in sheet.rows[at][1] if (text := _said(cell))]
        there = ", ".join(repr(text if text in known else initial(text[:LONGEST])) for text in texts)
        raise UserError(
            f"{_place(file, sheet)}, row {sheet.rows[at][0]}: no column {', '.join(map(repr, missing))}; the headings are {there}",
            _HEADINGS,
        )
    for number, cells in sheet.rows[at + 1 :]:
        values = {name: cells[i] if i < len(cells) else None for name, i in columns.items()}
        if any(_said(value) for value in values.values()):
            formulas = {name for name, i in columns.items() if (number, i) in sheet.formulas}
            yield _line(values, formulas, dealer) | {"file": file, "sheet": sheet.name, "row": number}


def _said(value) -> str:
    """What somebody wrote into a cell, in one line."""
    return " ".join((books.as_text(value) or "").split())


def _line(values: dict, formulas: set[str], dealer: str) -> dict:
    """One line, with what keeps it from being taken."""
    key, was = (books.as_text(values[name]) or "" for name in ("key", "was"))
    now, reason, ref = (_said(values[name]) for name in ("now", "reason", "reference"))
    table, column = parts_of(ref) or ("", "")
    answer = values["now"]
    number = isinstance(answer, (int, float)) and not isinstance(answer, bool)
    if reference(dealer, table, column, key, was) != ref:
        problem = "altered"
    elif "now" in formulas or _FORMULA.match(now):
        problem = "formula"
    elif _ERROR.match(now):
        problem = "error"
    elif number and abs(answer) >= _DIGITS_KEPT or re.fullmatch(r"\d\.\d+E\+\d+", now):
        problem = "digits_lost"
    else:
        problem = ""
    return {
        "table": table,
        "key": key,
        "column": column,
        "was": was,
        "now": now,
        # Who gives both a value and a reason has found the value.
        "reason": reasons().get(reason, OTHER_REASON) if reason and not now else "",
        "problem": problem,
    }
