"""CSV and TXT: encoding, delimiter, records, and what a quotation mark gone astray would swallow."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from dealerkit.errors import UserError
from dealerkit.ingest.readers import HEAD_RECORDS, Batch, Line, Part, columns_of, reading

DELIMITERS = (",", "\t", ";", "|")

#: Longest cell that is read under a quotation mark, in characters: beyond it the mark was never closed.
MAX_CELL = 1 << 20

#: Bytes beyond the number of characters that a text must have shown before it counts as broken UTF-8 and
#: not as GB18030: some twenty Chinese characters, which no other encoding spells by chance.
_SURELY_UTF8 = 40

#: Characters read at a time.
_BLOCK = 1 << 21

_MARK = re.compile("^\ufeff", re.MULTILINE)
_BREAK = re.compile("\r\n|\r|\n")


@contextlib.contextmanager
def long_cells():
    """Lets the csv module read cells of `MAX_CELL` characters, for the time of a block."""
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def find_encoding(path: Path, file: str, forced: str | None) -> str:
    """Python's name of the encoding in which the whole file can be read.

    A byte order mark decides; else the forced one; else UTF-8, then GB18030. Raises `UserError` with the
    byte and line where reading fails.
    """
    with reading(file), open(path, "rb") as stream:
        start = stream.read(4)
    if start[:3] == codecs.BOM_UTF8:
        candidates = ["utf-8-sig"]
    elif start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise UserError(f"{file}: UTF-32, which is not read", "save it again as UTF-8")
    elif start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        candidates = ["utf-16"]
    else:
        candidates = [forced] if forced else ["utf-8", "gb18030"]
    failures = []
    for encoding in candidates:
        failure, surely = _undecodable(path, file, encoding)
        if not failure:
            return encoding
        failures.append(failure)
        if surely:
            break
    remedy = "save it again as UTF-8, or name its encoding in the params (encoding: utf-8, gb18030, gbk or utf-16)"
    raise UserError(f"{file}: cannot be read as text: {'; '.join(failures)}", remedy)


def _undecodable(path: Path, file: str, encoding: str) -> tuple[str, bool]:
    """Why and where the file is not of that encoding (empty if it is), and whether it surely is UTF-8, but broken."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    done, lines, characters = 0, 0, 0
    with reading(file), open(path, "rb") as stream:
        while True:
            chunk = stream.read(1 << 22)
            if not encoding.startswith("utf-16") and (nul := chunk.find(b"\0")) >= 0:
                line = lines + chunk.count(b"\n", 0, nul) + 1
                raise UserError(
                    f"{file}: a NUL byte at byte {done + nul + 1}, line {line}",
                    "the file is damaged, or UTF-16 (then set encoding: utf-16 in the params); export it again",
                )
            try:
                characters += len(decoder.decode(chunk, final=not chunk))
            except UnicodeDecodeError as error:
                before = bytes(error.object[: error.start])
                waiting = len(error.object) - len(chunk)
                at = done - waiting + error.start
                line = lines + before.count(b"\n") + 1
                extra = at - characters - len(before.decode(encoding, "ignore"))
                byte = f"0x{error.object[error.start]:02X} " if error.start < len(error.object) else ""
                name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
                return (
                    f"not {name} (byte {byte}at position {at + 1}, line {line})",
                    encoding == "utf-8" and extra >= _SURELY_UTF8,
                )
            if not chunk:
                return "", False
            done += len(chunk)
            lines += chunk.count(b"\n")


class TextPart(Part):
    """A delimited text file.

    Args:
        path, file: where it is, and its name for messages.
        encoding, delimiter: as set in the params, or None to find them.
        score: how much a record looks like a header; it chooses the delimiter.
    """

    def __init__(
        self, path: Path, file: str, encoding: str | None, delimiter: str | None, score: Callable[[list[str]], int]
    ):
        super().__init__(file)
        self._path = path
        self.encoding = find_encoding(path, file, encoding)
        with self._opened() as stream:
            top = list(itertools.islice(stream, 4 * HEAD_RECORDS))
        self._heads = {d: _head(top, d) for d in ([delimiter] if delimiter else DELIMITERS)}
        self.delimiter = max(
            self._heads,
            key=lambda d: (max((score(line.cells) for line in self._heads[d]), default=0), _regularity(self._heads[d])),
        )
        between = re.escape(self.delimiter)
        # The mark itself first, which is searched for fastest; possessive, so that a cell of many megabytes is gone
        # through once.
        self._quoted_cell = re.compile(rf'"(?<=[{between}\n]")(?:[^"\r\n]++|"")*+"(?=[{between}\n]|\r\n|\Z)')

    @contextlib.contextmanager
    def _opened(self):
        with reading(self.file), open(self._path, encoding=self.encoding, newline="") as stream:
            yield stream

    def head(self) -> list[Line]:
        return self._heads[self.delimiter]

    def batches(self, header: Line) -> Iterator[Batch]:
        width = len(header.cells)
        with self._opened() as stream:
            lines = _Lines(stream)
            reader = csv.reader(lines, delimiter=self.delimiter)
            while reader.line_num < header.number + header.lines - 1:
                next(reader)
            first = reader.line_num + 1
            while block := stream.read(_BLOCK):
                block += stream.readline()
                if "\ufeff" in block:
                    # exports glued together: the byte order mark of each, which pyarrow and a first cell would trip over
                    block = _MARK.sub("", block)
                batch = self._simple(block, first, width)
                if batch is None:
                    lines.load(block)
                    batch = self._batch(_records(reader, lines), lines.tape, first, width)
                first += batch.lines
                yield batch

    def _simple(self, block: str, first: int, width: int) -> Batch | None:
        """The rows of a block by the fast way, when each is a line of so many cells, and each quotation mark is one around
        a cell or doubled in it; else nothing."""
        returns, quoted = block.count("\r"), '"' in block
        if width < 2 or (returns and returns != block.count("\r\n")):
            return None
        if quoted and '"' in self._quoted_cell.sub("", "\n" + block):
            return None
        names = [str(n) for n in range(width)]
        content = block.encode()
        try:
            table = arrow_csv.read_csv(
                pa.py_buffer(content),
                arrow_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
                arrow_csv.ParseOptions(
                    delimiter=self.delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid:
            return None
        numbers = pa.array(np.arange(first, first + table.num_rows), pa.int64())
        columns = [c.combine_chunks() for c in table.columns]
        return Batch([_unwrapped(c) for c in columns] if quoted else columns, numbers, table.num_rows)

    def _batch(self, rows: list, tape: list[str], first: int, width: int) -> Batch:
        numbers, strays = np.arange(first, first + len(rows)), 0
        if len(rows) != len(tape) or isinstance(rows[-1], int):
            rows, numbers, strays = self._untangled(rows, tape, first, width)
        blank = 0
        if not all(rows):
            kept = [at for at, row in enumerate(rows) if row]
            blank = len(rows) - len(kept)
            rows, numbers = [rows[at] for at in kept], numbers[kept]
        columns, ragged = columns_of(rows, width)
        return Batch([_unwrapped(c) for c in columns], pa.array(numbers, pa.int64()), len(tape), blank, ragged, strays)

    def _untangled(self, rows: list, tape: list[str], first: int, width: int):
        """Rows with the numbers of their first lines, when some take several lines or a quote went astray."""
        out, numbers, strays, at = [], [], 0, 0
        for row in rows:
            endless = isinstance(row, int)
            breaks = 0 if endless else sum(len(_BREAK.findall(cell)) for cell in row)
            end = row if endless else min(at + 1 + breaks, len(tape))
            singles = [row]
            if endless or (end > at + 1 and self._is_stray(row, tape[at:end], width)):
                singles = [self._single(tape[n], width) for n in range(at, end)]
                strays += len(singles)
            out += singles
            numbers += range(first + at, first + at + len(singles))
            at = end
        return out, np.array(numbers, dtype=np.int64), strays

    def _is_stray(self, row: list[str], lines: list[str], width: int) -> bool:
        """Whether a record of several lines is several records joined by an unclosed quotation mark.

        Properly quoted text never is; a sloppy one is when lines inside it are complete records.
        """
        try:
            list(csv.reader(lines, delimiter=self.delimiter, strict=True))
            return False
        except csv.Error:
            pass
        complete = [line.count(self.delimiter) == width - 1 for line in lines]
        return width > 1 and (
            any(complete[1:-1])
            or (len(row) != width and all(complete))
            or (complete[-1] and complete[0] and _open_end(lines, self.delimiter))
        )

    def _single(self, line: str, width: int) -> list[str]:
        """One line as one record, quotation marks taken literally where they do not pair up."""
        try:
            row = next(csv.reader([line], delimiter=self.delimiter), [])
            if len(row) == width and not _BREAK.search("".join(row)):
                return row
            return next(csv.reader([line], delimiter=self.delimiter, quoting=csv.QUOTE_NONE), [])
        except csv.Error:
            return line.rstrip("\r\n").split(
                self.delimiter
            )  # a cell too long for the reader: the feeder keeps the row out


class _Lines:
    """Lines of a block, and of the file after it when a record goes on; `tape` keeps those given out."""

    def __init__(self, stream):
        self._stream = stream
        self._waiting: Iterator[str] = iter(())
        self.left = 0
        self.tape: list[str] = []

    def load(self, block: str) -> None:
        """Take a block in; the tape starts anew."""
        lines = list(io.StringIO(block, newline=""))
        self._waiting, self.left, self.tape = iter(lines), len(lines), []

    def __iter__(self):
        return self

    def __next__(self) -> str:
        self.left -= 1
        line = next(self._waiting, None) or self._stream.readline()
        if not line:
            raise StopIteration
        self.tape.append(line)
        return line


def _records(reader, lines: _Lines) -> list:
    """The records that begin in a block; in the place of a cell without end, the length of the tape after it."""
    records: list = []
    while lines.left > 0:
        try:
            records.append(next(reader))
        except csv.Error:
            records.append(len(lines.tape))
    return records


def _open_end(lines: list[str], delimiter: str) -> bool:
    """Whether the quotation mark opened in these lines is still open at their end."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _head(top: list[str], delimiter: str) -> list[Line]:
    head, last = [], 0
    reader = csv.reader(top, delimiter=delimiter)
    with contextlib.suppress(csv.Error):
        for cells in itertools.islice(reader, HEAD_RECORDS):
            head.append(Line(last + 1, cells, reader.line_num - last))
            last = reader.line_num
    return head


def _regularity(head: list[Line]) -> int:
    """Records of the commonest width, when that is more than one."""
    widths = [len(line.cells) for line in head if len(line.cells) > 1]
    return max((widths.count(w) for w in set(widths)), default=0)


def _unwrapped(column: pa.Array) -> pa.Array:
    """Cells written as ``="0123"``, by which exports keep Excel from taking a text for a number, without that wrap."""
    if pc.any(pc.starts_with(column, '="')).as_py():
        return pc.replace_substring_regex(column, r'^="(.*)"$', r"\1")
    return column
