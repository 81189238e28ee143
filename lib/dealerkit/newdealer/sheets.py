"""Looking into the raw files without knowing them: where the headers are, and what each column's values are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dealerkit.audit.standard import EMPTY
from dealerkit.errors import UserError
from dealerkit.ingest import headers as headers_
from dealerkit.ingest.feed import _TOTAL_CELL as TOTAL
from dealerkit.ingest.headers import Entry
from dealerkit.ingest.readers import Line, Part, plain
from dealerkit.tables import fold

#: Rows whose values are looked at one by one; for keys and their overlap all rows up to `MOST_ROWS` count.
SAMPLE = 4_000
MOST_ROWS = 400_000

_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"
PATTERNS: dict[str, re.Pattern] = {
    "vin": re.compile(r"(?=.*[0-9])(?=.*[A-HJ-NPR-Za-hj-npr-z])[A-HJ-NPR-Za-hj-npr-z0-9]{17}"),
    "plate": re.compile(rf"[{_PROVINCE}][A-Za-z][·. -]?[A-Za-z0-9]{{4,6}}[学警港澳挂领]?"),
    "mobile": re.compile(r"(?:\+?86|0086)?[- ]?1[3-9]\d[- ]?\d{4}[- ]?\d{4}"),
    "id": re.compile(r"\d{17}[\dXx]|[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}"),
    "email": re.compile(r"[^\s@]+@[^\s@]+\.\w+"),
    "date": re.compile(
        r"(?:19|20)\d{2}[-/.年](?:1[0-2]|0?[1-9])[-/.月]\d{1,2}日?(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
        r"|(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?: ?\d{2}:?\d{2}(?::?\d{2})?)?"
        r"|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d{2}(?: \d{1,2}:\d{2}(?::\d{2})?)?"
    ),
    "comma": re.compile(r"-?(?:\d{1,3}(?:[. ]\d{3})+|\d+),\d{1,2}"),
    "number": re.compile(r"-?[¥￥]?-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:元|公里|km|万)?"),
    "phone": re.compile(r"(?:\+?\d{1,3}[- ]?)?\(?0?\d{2,4}\)?[- ]?\d{3,4}[- ]?\d{3,4}"),
    "person": re.compile(r"[\u4e00-\u9fff]{2,4}(?:先生|女士)?|[A-Z][a-z]+(?: [A-Z][a-z'.]+){1,2}"),
    "address": re.compile(r".*(?:[路街道巷号栋室区镇村弄]|\b(?:Road|Street|Rd|St|Lane|Avenue|Ave|No\.).*).*", re.I),
}
#: Formats that nothing else has: values of such a format say what a column is, whatever its header.
UNMISTAKABLE = ("vin", "plate", "mobile", "id", "email")
_DMY = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](?:19|20)\d{2}")
_YES_NO = {"是", "否", "y", "n", "yes", "no", "true", "false", "t", "f", "有", "无", "✓", "0", "1"}


@dataclass
class Values:
    """What the values of one column are like.

    Attributes:
        header, at: header and position.
        texts: filled values of the sample; `all_texts` of all rows looked at.
        rows: rows looked at.
    """

    header: str
    at: int
    texts: list[str]
    all_texts: list[str]
    rows: int

    @cached_property
    def filled(self) -> float:
        """Share of rows with a value."""
        return len(self.all_texts) / self.rows if self.rows else 0.0

    @cached_property
    def distinct(self) -> frozenset[str]:
        return frozenset(self.all_texts)

    @cached_property
    def counts(self) -> Counter:
        return Counter(self.all_texts)

    @cached_property
    def unique(self) -> float:
        """Different values as a share of the filled ones."""
        return len(self.distinct) / len(self.all_texts) if self.all_texts else 0.0

    @cached_property
    def shares(self) -> dict[str, float]:
        """Format → share of the values that have it."""
        size = len(self.texts)
        return {n: sum(1 for t in self.texts if p.fullmatch(t)) / size if size else 0.0 for n, p in PATTERNS.items()}

    @cached_property
    def format(self) -> str | None:
        """The unmistakable format of most values, if any."""
        best = max(UNMISTAKABLE, key=lambda n: self.shares[n])
        return best if self.shares[best] >= 0.6 else None

    @cached_property
    def is_date(self) -> bool:
        return self.shares["date"] >= 0.6

    @cached_property
    def has_time(self) -> bool:
        """Whether most dates carry a time of day."""
        return self.is_date and sum(":" in t for t in self.texts) > 0.5 * len(self.texts)

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether numbers are written 1.234,50."""
        return self.shares["comma"] >= 0.5

    @cached_property
    def numeric(self) -> float:
        return self.shares["comma"] + self.shares["number"] if self.decimal_comma else self.shares["number"]

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers among the values."""
        found = []
        for text in self.texts:
            bare = text.replace(".", "").replace(",", ".") if self.decimal_comma else text.replace(",", "")
            match = re.search(r"-?\d+(?:\.\d+)?", bare.replace(" ", ""))
            if match and (PATTERNS["number"].fullmatch(text) or PATTERNS["comma"].fullmatch(text)):
                found.append(float(match[0]) * (10_000 if text.endswith("万") else 1))
        return np.array(found)

    @cached_property
    def years(self) -> np.ndarray:
        """The years among the values' dates."""
        return np.array([int(m[0]) for t in self.texts if (m := re.search(r"(?:19|20)\d{2}", t))])

    @cached_property
    def yes_no(self) -> float:
        size = len(self.texts)
        return sum(t.lower() in _YES_NO for t in self.texts) / size if size else 0.0

    @cached_property
    def length(self) -> float:
        return float(np.mean([len(t) for t in self.texts])) if self.texts else 0.0

    @cached_property
    def date_order(self) -> str | None:
        """dmy or mdy when dates are written that way and the values tell which; ``?`` when they do not."""
        pairs = [m.groups() for t in self.texts if (m := _DMY.match(t))]
        if not self.is_date or len(pairs) < 0.5 * len(self.texts):
            return None
        first, second = sum(int(a) > 12 for a, _ in pairs), sum(int(b) > 12 for _, b in pairs)
        return "dmy" if first and not second else "mdy" if second and not first else "?"


@dataclass
class Sheet:
    """One part with its header found and its columns looked at; parts of the same header are looked at together."""

    parts: list[Part]
    header_at: int
    headers: list[str]
    columns: list[Values]
    rows: int
    found_by_headers: bool = True
    places: list[tuple[str, str]] = field(default_factory=list)

    @property
    def part(self) -> Part:
        return self.parts[0]

    def __str__(self) -> str:
        more = f" and {len(self.parts) - 1} more" if len(self.parts) > 1 else ""
        return f"{self.part}{more}"

    def column(self, header: str) -> Values:
        """The column of a header."""
        return next(c for c in self.columns if c.header == header)

    def name_of(self, column: Values) -> str:
        """The header as the params name it: ``name#2`` where it stands more than once."""
        same = [c.at for c in self.columns if fold(c.header) == fold(column.header)]
        return column.header.strip() if len(same) == 1 else f"{column.header.strip()}#{same.index(column.at) + 1}"


class Headless(Exception):
    """A part of rows without a header line."""


def find_header(part: Part) -> int | None:
    """Position of the header in the part's head, by known headers or by shape; None for prose.

    Raises `Headless` when the rows are data from the first on.
    """
    head = part.head()
    if part.names_only:
        return 0
    known = headers_.known_headers(Entry("dms"))
    widths = Counter(_width(line) for line in head if _width(line) > 1)
    if not widths:
        return None
    usual = max(widths, key=lambda w: (widths[w] * w, w))
    best, found = 0.0, None
    for at, line in enumerate(head):
        cells = [c.strip() for c in line.cells if c and c.strip()]
        if len(cells) < max(2, 0.6 * usual) or (len(cells) < 3 and usual > 3):
            continue
        names = sum(not _is_value(c) for c in cells) / len(cells)
        different = len(set(cells)) / len(cells)
        score = names * different * len(cells) / max(usual, len(cells)) + min(
            1.0, headers_.score(line.cells, known) / 3
        )
        if names >= 0.75 and score > best + 1e-9:
            best, found = score, at
        if any(_is_value(c) for c in cells) and found is not None:
            break
    if found is None:
        if any(_is_value(c) for line in head for c in line.cells if c):
            raise Headless
        return None
    below = [c for line in head[found + 1 :] for c in line.cells if c and c.strip()]
    if below and not any(_is_value(c.strip()) for c in below):
        return None if headers_.score(head[found].cells, known) < 2 else found
    if not below and headers_.score(head[found].cells, known) < 2:
        return None
    return found


def _width(line: Line) -> int:
    return sum(1 for c in line.cells if c and c.strip())


def _is_value(cell: str) -> bool:
    """Whether a cell is a value of some format rather than a name."""
    cell = cell.strip()
    formats = ("vin", "plate", "mobile", "id", "email", "date", "comma", "number")
    return any(PATTERNS[n].fullmatch(cell) for n in formats) or bool(re.fullmatch(r"[A-Za-z]{0,4}-?\d{3,}", cell))


def look(part: Part) -> Sheet | str:
    """The part with its columns looked at, or why it is no table. Raises `UserError` for rows without a header."""
    try:
        at = find_header(part)
    except Headless:
        raise UserError(
            f"{part}: no header line: its first rows are values already",
            "export it with its column names, or put a line with them on top; or take the file out of the folder",
        ) from None
    if at is None:
        return "no table: no line of column names with values below it"
    line = part.head()[at]
    headers = [h or "" for h in line.cells]
    texts: list[list[str]] = [[] for _ in headers]
    rows = 0
    for batch in part.batches(line):
        columns = [column.to_pylist() for column in batch.columns]
        for row in range(len(batch.numbers)):
            cells = [column[row] for column in columns]
            filled = [c.strip() for c in cells if c and c.strip()]
            if not filled or TOTAL.match(filled[0]) or filled == [h.strip() for h in headers if h.strip()]:
                continue
            rows += 1
            for kept, cell in zip(texts, cells, strict=True):
                if cell and (cell := cell.strip()) and cell.lower() not in EMPTY:
                    kept.append(cell)
        if rows >= MOST_ROWS:
            break
    if not rows:
        return "a header without rows"
    columns = [_values(h, i, texts[i], rows) for i, h in enumerate(headers) if h.strip()]
    return Sheet([part], at, headers, columns, rows, places=[(part.file, part.sheet)])


def _values(header: str, at: int, texts: list[str], rows: int) -> Values:
    step = max(1, len(texts) // SAMPLE)
    return Values(header, at, texts[::step][: SAMPLE + 1], texts, rows)


def together(sheets: list[Sheet]) -> list[Sheet]:
    """Sheets of the same headers (a table by years) as one each, in order."""
    groups: dict[tuple, list[Sheet]] = {}
    for sheet in sheets:
        groups.setdefault(tuple(fold(h) for h in sheet.headers), []).append(sheet)
    out = []
    for group in groups.values():
        first = group[0]
        rows = sum(s.rows for s in group)
        columns = [
            _values(c.header, c.at, [t for s in group for t in s.columns[i].all_texts], rows)
            for i, c in enumerate(first.columns)
        ]
        parts = [p for s in group for p in s.parts]
        out.append(
            Sheet(parts, first.header_at, first.headers, columns, rows, places=[(p.file, p.sheet) for p in parts])
        )
    return out


def shown(header: str) -> str:
    """A header for a message."""
    return plain(header)
