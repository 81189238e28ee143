"""Excel workbooks, old and new, sheet by sheet."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import python_calamine

from dealerkit.errors import UserError
from dealerkit.ingest.readers import BATCH_ROWS, HEAD_RECORDS, Batch, Line, Part, as_text, columns_of, reading

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".et", ".ods")

_OLE, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"
_PASSWORD = "open it in Excel, take the password off (File → Info → Protect Workbook) and save it again"

#: A sheet with more cells is parsed again for reading instead of being held from the look at its header.
_HELD_CELLS = 2_000_000


#: Cells that a sheet may span: the reader takes room for all between the first and the last, empty ones too, and ends the
#: program when there is none.
_MOST_SPANNED = 120_000_000
_DIMENSION = re.compile(rb'<dimension ref="[A-Z]+\d+:([A-Z]+)(\d+)"')


def disguise(path: Path, file: str) -> str:
    """What a file with a workbook's name really is: ``workbook``, ``text`` or ``markup`` (a web page, XML)."""
    with reading(file), open(path, "rb") as stream:
        start = stream.read(512)
    if start.startswith((_OLE, _ZIP)):
        return "workbook"
    text = start.lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t").replace(b"\0", b"").lower()
    return "markup" if text.startswith(b"<") else "text"


def _opened(path: Path, file: str) -> python_calamine.CalamineWorkbook:
    with reading(file):
        content = path.read_bytes()
    if content.startswith(_OLE) and _is_encrypted(content):
        raise UserError(f"{file}: the workbook is protected by a password", _PASSWORD)
    _refuse_sprawling(content, file)
    try:
        return python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except python_calamine.PasswordError:
        raise UserError(f"{file}: the workbook is protected by a password", _PASSWORD) from None
    except Exception as error:  # a damaged file makes the parser fail in any of its own ways
        raise UserError(
            f"{file}: not a readable workbook ({type(error).__name__})",
            "open it in Excel and save it again as .xlsx, or export it again",
        ) from None


def _refuse_sprawling(content: bytes, file: str) -> None:
    """Raise `UserError` for a sheet with a stray cell far out, by the size that the sheet itself gives."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as book:
        for part in (name for name in book.namelist() if name.startswith("xl/worksheets/sheet")):
            with book.open(part) as stream:
                found = _DIMENSION.search(stream.read(4096))
            rows, columns = (int(found[2]), _column(found[1])) if found else (0, 0)
            if rows * columns > _MOST_SPANNED:
                raise UserError(
                    f"{file}: a sheet reaches to row {rows:,}, column {columns:,}, most of it empty",
                    "delete the cells that stand far outside of the table, and save it again",
                )


def _column(letters: bytes) -> int:
    """Number of a column from its letters: A is 1, AA is 27."""
    return sum((letter - 64) * 26**place for place, letter in enumerate(reversed(letters)))


def _is_encrypted(content: bytes) -> bool:
    import msoffcrypto  # nearly every file is open, and this brings all of cryptography along

    try:
        return msoffcrypto.OfficeFile(io.BytesIO(content)).is_encrypted()
    except Exception:  # not a document it knows: the workbook reader says what is wrong
        return False


def sheets(path: Path, file: str, wanted: str | None) -> tuple[list[SheetPart], list[str]]:
    """The sheets with cells (or the wanted one), and the names of the empty ones."""
    book = _opened(path, file)
    names = [s.name for s in book.sheets_metadata if s.typ == python_calamine.SheetTypeEnum.WorkSheet]
    if wanted is not None:
        if wanted not in names:
            raise UserError(
                f"{file}: no sheet {wanted!r}; its sheets are {', '.join(map(repr, names))}",
                "mend sheet: in the params, or leave it out to look at every sheet",
            )
        names = [wanted]
    parts = [SheetPart(path, file, name, book) for name in names]
    filled = [p for p in parts if not p.empty]
    for part in filled:
        part.one_of_several = len(filled) > 1
    return filled, [p.sheet for p in parts if p.empty]


class SheetPart(Part):
    """One sheet. A cell merged over several rows counts for each of them."""

    def __init__(self, path: Path, file: str, sheet: str, book: python_calamine.CalamineWorkbook):
        super().__init__(file, sheet)
        self._path = path
        parsed = self._parse(book)
        self.empty = parsed.start is None
        self._held = parsed if parsed.total_height * parsed.total_width <= _HELD_CELLS else None
        self._head = [Line(n, [c or "" for c in row]) for n, row in itertools.islice(self._rows(parsed), HEAD_RECORDS)]

    def _parse(self, book) -> python_calamine.CalamineSheet:
        try:
            return book.get_sheet_by_name(self.sheet)
        except Exception as error:  # as above
            raise UserError(
                f"{self}: not a readable sheet ({type(error).__name__})",
                "open it in Excel and save it again as .xlsx, or export it again",
            ) from None

    def _rows(self, parsed) -> Iterator[tuple[int, list[str | None]]]:
        """Row numbers as Excel shows them, with the row's texts, from the sheet's first column on."""
        if parsed.start is None:
            return
        left = parsed.start[1]
        starts: dict[int, list[int]] = {}
        below: dict[int, list[tuple[int, int]]] = {}
        for (top, column), (bottom, _) in parsed.merged_cell_ranges or []:
            if bottom > top and column >= left:
                starts.setdefault(top, []).append(column - left)
            for row in range(top + 1, bottom + 1):
                below.setdefault(row, []).append((column - left, top))
        filled: dict[tuple[int, int], str | None] = {}
        for at, row in enumerate(parsed.iter_rows()):
            texts = [as_text(value) for value in row]
            for column, top in below.get(at, ()):
                if column < len(texts) and texts[column] is None:
                    texts[column] = filled.get((top, column))
            filled.update({(at, column): texts[column] for column in starts.get(at, ()) if column < len(texts)})
            yield at + 1, texts

    def head(self) -> list[Line]:
        return self._head

    def batches(self, header: Line) -> Iterator[Batch]:
        parsed = self._held if self._held is not None else self._parse(_opened(self._path, self.file))
        rows = itertools.islice(self._rows(parsed), header.number, None)
        while chunk := list(itertools.islice(rows, BATCH_ROWS)):
            columns, ragged = columns_of([texts for _, texts in chunk], len(header.cells))
            yield Batch(columns, pa.array([n for n, _ in chunk], pa.int64()), len(chunk), 0, ragged)
