"""What every kind of file is turned into: parts (a file, a sheet, a query) of lines, and batches of text columns.

A cell leaves this module as the text a person would see: dates as ISO, whole numbers without a decimal point,
an empty cell as null. Nothing is interpreted; that is the audit's work.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealerkit.books import as_text
from dealerkit.errors import UserError
from dealerkit.personal import LONGEST, veiled

#: Rows held as Python objects at a time.
BATCH_ROWS = 65_536

#: Records looked at to find the header under title lines.
HEAD_RECORDS = 30


@dataclass(frozen=True)
class Line:
    """One record near the top: number of its first line (from 1), its cells, and how many lines it takes."""

    number: int
    cells: list[str]
    lines: int = 1


@dataclass(frozen=True)
class Batch:
    """Some rows below the header, as one text column per header.

    Attributes:
        columns: one array of texts per header; empty cells are null.
        numbers: number of the first line of each row.
        lines: lines of the file this batch used up.
        blank: empty lines among them, which are no rows.
        ragged: positions of rows with more filled cells than there are headers.
        strays: rows saved from a quotation mark that was opened and never closed.
    """

    columns: list[pa.Array]
    numbers: pa.Array
    lines: int
    blank: int = 0
    ragged: list[int] = field(default_factory=list)
    strays: int = 0


class Part(ABC):
    """A file, a sheet of a workbook or the result of a query.

    Attributes:
        file: path inside the raw folder with ``/``, or the name of a database.
        sheet: sheet or database table; empty for a plain file.
        encoding, delimiter: of a text file; else empty.
        names_only: the header has no line of its own (Parquet, databases): rows count from 1.
        one_of_several: a sheet among others, none of which the params name: it feeds one table.
    """

    encoding = ""
    delimiter = ""
    names_only = False
    one_of_several = False

    def __init__(self, file: str, sheet: str = ""):
        self.file, self.sheet = file, sheet

    def __str__(self) -> str:
        return f"{self.file}, sheet {self.sheet!r}" if self.sheet else self.file

    @abstractmethod
    def head(self) -> list[Line]:
        """The first records, blank ones included."""

    @abstractmethod
    def batches(self, header: Line) -> Iterator[Batch]:
        """All rows below the header."""


def text_array(values) -> pa.Array:
    """Texts as an array, empty ones as null."""
    array = pa.array(values, pa.string())
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def columns_of(rows: list, width: int) -> tuple[list[pa.Array], list[int]]:
    """Rows of texts as ``width`` columns, and the positions of rows that had too many filled cells.

    Missing cells at the end of a row are null.
    """
    ragged = []
    if set(map(len, rows)) - {width}:
        even = []
        for at, row in enumerate(rows):
            if len(row) > width:
                if any(cell and not cell.isspace() for cell in row[width:]):
                    ragged.append(at)
                row = row[:width]
            elif len(row) < width:
                row = list(row) + [None] * (width - len(row))
            even.append(row)
        rows = even
    columns = (
        [text_array(column) for column in zip(*rows, strict=True)] if rows else [pa.array([], pa.string())] * width
    )
    return columns, ragged


@contextlib.contextmanager
def reading(file: str):
    """Turns the system's refusals to read ``file`` into `UserError`."""
    try:
        yield
    except PermissionError:
        raise UserError(
            f"{file}: no permission to read it", "give the user who runs the kit the right to read it"
        ) from None
    except FileNotFoundError:
        raise UserError(
            f"{file}: the file has gone", "put it back, and leave the raw folder alone during a run"
        ) from None
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror or type(error).__name__})", "copy it again from where it came"
        ) from None


class ParquetPart(Part):
    """A Parquet file; its columns are cast to text batch by batch."""

    names_only = True

    def __init__(self, path, file: str):
        super().__init__(file)
        self._path = path
        with self._opened() as opened:
            self._names = list(opened.schema_arrow.names)

    @contextlib.contextmanager
    def _opened(self):
        try:
            with reading(self.file), pq.ParquetFile(self._path) as opened:
                yield opened
        except pa.ArrowException as error:
            raise UserError(
                f"{self.file}: not a readable Parquet file ({type(error).__name__})", "export it again"
            ) from None

    def head(self) -> list[Line]:
        return [Line(0, self._names, 0)]

    def batches(self, header: Line) -> Iterator[Batch]:
        first = 1
        with self._opened() as opened:
            for batch in opened.iter_batches(BATCH_ROWS):
                numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
                first += batch.num_rows
                yield Batch([_arrow_text(column) for column in batch.columns], numbers, batch.num_rows)


def _arrow_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _arrow_text(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        local = pc.local_timestamp(column) if kind.tz else column
        text = local.cast(pa.timestamp("s"), safe=False).cast(pa.string())
        return pc.replace_substring_regex(text, r" 00:00:00$", "")
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    ):
        text = column.cast(pa.string())
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    return text_array([as_text(value) for value in column.to_pylist()])


def plain(text: str) -> str:
    """A header for a message: on one line, and veiled where it looks like data, since a header is not always one."""
    return veiled(text)[:LONGEST]
