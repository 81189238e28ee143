"""Finding the header line, and what its headers mean: which canonical tables and columns.

A header is matched by canonical name, label or synonym in Chinese or English, after the file's own
``columns:`` from the params. What is doubtful is never guessed silently: it stops the run, or is listed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.ingest.readers import Part, plain
from dealerkit.personal import is_personal, is_record, names_of
from dealerkit.tables import Column, Table, fold

#: Tables whose rows get a made id when their export has none.
MADE_KEYS = {"sales_orders": "order_id", "contacts": "contact_id", "leads": "lead_id", "interactions": "interaction_id"}

#: Official headers that must be there for a file to count as an electronic health record (JT/T 1132.2-2017).
JTT_ENOUGH = 10

_JTT = {fold(header): header for header in tables.JTT1132}
_LABOUR_ITEMS = {fold(h) for h in ("维修项目", "工时名称")}
_PART_ITEMS = {fold(h) for h in ("配件名称", "零件名称")}
_PART_COLUMNS = ("item_code", "quantity")


@dataclass(frozen=True)
class Entry:
    """What the params say about a file (`params.FileParams`, with its source settled)."""

    source: str
    prefix: str = ""
    tables: tuple[str, ...] = ()
    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    date_order: str | None = None
    decimal: str = "."
    named: bool = False
    whole_folder: bool = False
    url: str | None = None
    query: str | None = None

    def for_table(self, mapping: dict, table: Table) -> dict:
        """The part of ``columns`` or ``values`` that concerns a table, by bare column name."""
        own = {key.split(".", 1)[1]: value for key, value in mapping.items() if key.startswith(f"{table.name}.")}
        return {key: value for key, value in mapping.items() if key in table} | own


@dataclass
class Feed:
    """How a row of a part becomes a row of a table.

    Attributes:
        table: canonical table.
        columns: canonical column → position of its header.
        constants: canonical column → value of every row.
        made: canonical column → how its values are made.
        derived: rows of this table are derived from another table's export.
        fill_customer: where the customer id is empty it is derived from VIN or plate.
    """

    table: Table
    columns: dict[str, int]
    constants: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    derived: bool = False
    fill_customer: bool = False

    def own(self, feeds: list[Feed]) -> list[int]:
        """Positions of headers that no other feed of the part uses, keys aside."""
        shared = {at for feed in feeds if feed is not self for at in feed.columns.values()}
        return [at for name, at in self.columns.items() if name not in self.table.key and at not in shared]


@dataclass
class Matching:
    """What a header line means for one table."""

    table: Table
    columns: dict[str, int]
    missing: list[Column]
    problems: list[UserError]


class Unrecognised(Exception):
    """A part whose header means no canonical table; its text says why."""


@cache
def _spellings(table: str) -> dict[str, str]:
    """`header_index` of a table, made once: it is asked for with every file."""
    return tables.header_index(tables.TABLES[table])


def known_headers(entry: Entry) -> set[str]:
    """Folded headers that could stand in the entry's files."""
    named = [tables.TABLES[name] for name in entry.tables or tables.TABLES]
    return (
        {h for table in named for h in _spellings(table.name)}
        | {fold(_bare(h)) for h in entry.columns.values()}
        | set(_JTT)
    )


def find_header(part: Part, entry: Entry) -> int:
    """Position in the part's head of the record that looks most like a header; `Unrecognised` if none does."""
    head = part.head()
    if entry.header_row and not part.names_only:
        for at, line in enumerate(head):
            if line.number == entry.header_row:
                return at
        raise UserError(
            f"{part}: no record starts in line {entry.header_row}, which header_row: names",
            f"give a line of the first {head[-1].number if head else 0}, or leave header_row: out",
        )
    known = known_headers(entry)
    scores = [score(line.cells, known) for line in head]
    best = scores.index(max(scores)) if scores else 0
    if not scores or scores[best] < min(2, max(1, sum(1 for cell in head[best].cells if cell and cell.strip()))):
        raise Unrecognised(
            f"no header line among the first {len(head)} lines: none holds two known headers"
            " (header_row: in the params says which line it is)"
        )
    return best


def score(cells: list[str], known: set[str]) -> int:
    """Number of different known headers among the cells."""
    return len({fold(cell) for cell in cells if cell} & known)


def match(table: Table, headers: list[str], entry: Entry, part: Part) -> Matching:
    """Positions of the table's columns among the headers: first by the params, then by spelling."""
    folded = [fold(h) if h else "" for h in headers]
    columns, problems = {}, []
    wanted = entry.for_table(entry.columns, table)
    for name, header in wanted.items():
        at = _position(header, headers, folded)
        if at is None:
            near = difflib.get_close_matches(header, nameable(headers, entry), n=1, cutoff=0)
            problems.append(
                UserError(
                    f"{part}: columns: {{{name}: {plain(header)!r}}} in the params, but the file has no such header; "
                    f"{headers_found(headers, entry)}",
                    f"mend the params{f'; nearest: {plain(near[0])!r}' if near else ''}",
                )
            )
        else:
            columns[name] = at
    taken = set(columns.values())
    spelled: dict[str, list[tuple[int, int]]] = {}
    index = _spellings(table.name)
    for at, header in enumerate(folded):
        name = index.get(header) if header and at not in taken else None
        if name and name not in wanted:
            spelled.setdefault(name, []).append((_rank(table[name], header), at))
    for name, found in spelled.items():
        found.sort()
        columns[name] = found[0][1]
        problem = _doubt(table[name], found, headers, part)
        if problem:
            problems.append(problem)
    missing = [
        c
        for c in table.columns
        if c.required
        and c.name not in columns
        and c.name not in wanted
        and c.name != MADE_KEYS.get(table.name)
        and (table.name, c.name) != ("service_lines", "line_no")
        # a visit without a VIN belongs to the car that has its plate
        and not ((table.name, c.name) == ("service_orders", "vin") and "plate" in columns)
    ]
    return Matching(table, {c: columns[c] for c in table.names if c in columns}, missing, problems)


def _bare(header: str) -> str:
    name, _, number = header.rpartition("#")
    return name if name and number.isdigit() else header


def _position(header: str, headers: list[str], folded: list[str]) -> int | None:
    """Position of the header that the params name; ``name#2`` means the second of that name."""
    exact = [at for at, h in enumerate(headers) if h and h.strip() == header.strip()] or [
        at for at, h in enumerate(folded) if h and h == fold(header)
    ]
    if exact:
        return exact[0]
    name = _bare(header)
    same = [at for at, h in enumerate(folded) if h and h == fold(name)]
    number = int(header[len(name) + 1 :]) if name != header else 0
    return same[number - 1] if 0 < number <= len(same) else None


def _rank(column: Column, header: str) -> int:
    """How surely a header means a column: its name, its labels, then its synonyms in the order declared."""
    spellings = [fold(s) for s in (column.name, column.zh, column.en, *column.synonyms)]
    return spellings.index(header)


def _doubt(column: Column, found: list[tuple[int, int]], headers: list[str], part: Part) -> UserError | None:
    """What is doubtful when several headers mean one column: one given twice, or synonyms of a required column."""
    if len(found) < 2:
        return None
    same = fold(headers[found[0][1]]) == fold(headers[found[1][1]])
    if not same and (found[0][0] < 3 or not column.required):
        return None
    at = sorted(f[1] for f in (found if not same else [f for f in found if f[0] == found[0][0]]))
    texts = ", ".join(f"{plain(headers[a])!r} (column {a + 1})" for a in at)
    choice = f"{plain(headers[at[0]])}#1" if same else plain(headers[at[0]])
    return UserError(
        f"{part}: {'the same header twice' if same else 'several headers'} for {column.name} "
        f"({column.en}, {column.zh}): {texts}",
        f'say which one counts in the params: columns: {{{column.name}: "{choice}"}}',
    )


def headers_found(headers: list[str], entry: Entry) -> str:
    """Words that name the headers of a file, or say that they look like data."""
    return f"headers found: {names_of(headers, _is_known(entry))}"


def nameable(headers: list[str], entry: Entry) -> list[str]:
    """Headers that may be named in a message: none that looks like data, nor any in a line of data."""
    return (
        [] if is_record(headers, _is_known(entry)) else [h for h in headers if h and h.strip() and not is_personal(h)]
    )


def _is_known(entry: Entry) -> Callable[[str], bool]:
    known = known_headers(entry)
    return lambda header: fold(header) in known


def choose(headers: list[str], entry: Entry, part: Part) -> list[Feed]:
    """The tables that the part feeds, the main one first.

    Raises `Unrecognised` when it is none of ours, `Several` errors when it is one but cannot be read.
    """
    if entry.tables and not (len(entry.tables) > 1 and part.one_of_several):
        matchings = [match(tables.TABLES[name], headers, entry, part) for name in entry.tables]
    elif is_jtt(headers) and not entry.tables:
        matchings = [
            match(tables.TABLES[name], headers, entry, part) for name in ("service_orders", "service_lines", "vehicles")
        ]
    else:
        matchings = [_best(headers, entry, part)]
    problems = [p for m in matchings for p in m.problems] + [
        _lacking(m, column, headers, entry, part) for m in matchings for column in m.missing
    ]
    if problems:
        raise Several(problems)
    feeds = [feed for m in matchings for feed in _feeds(m, headers, entry)]
    if is_jtt(headers) and not entry.tables:
        for feed in feeds:
            feed.derived = feed.table.name == "vehicles"
    return feeds


class Several(Exception):
    """Several `UserError` of one part."""

    def __init__(self, problems: list[UserError]):
        self.problems = problems
        super().__init__(f"{len(problems)} problems")


def is_jtt(headers: list[str]) -> bool:
    """Whether the headers are those of the official electronic health record for vehicle repair."""
    return len({fold(h) for h in headers if h} & set(_JTT)) >= JTT_ENOUGH


def _best(headers: list[str], entry: Entry, part: Part) -> Matching:
    """The table that explains most headers; ties go to a table whose key is there, then to the file's name."""
    filled = len({fold(h) for h in headers if h})
    candidates = [tables.TABLES[name] for name in entry.tables or tables.TABLES]
    matchings = [match(table, headers, entry, part) for table in candidates]
    whole = {m.table.name for m in matchings if not m.missing}
    if "service_orders" in whole and whole & {"vehicles", "customers"}:
        # order, VIN and day of visit together are a visit, however much of car and owner stands beside them
        matchings = [m for m in matchings if m.table.name not in ("vehicles", "customers")]
    best = max(
        matchings,
        key=lambda m: (
            len(m.columns),
            _has_key(m),
            _hint(m.table, part),
            not m.missing,
            len(m.columns) / len(m.table.columns),
        ),
    )
    enough = len(best.columns) >= min(3, max(2, filled))
    if not best.missing and enough and (_has_key(best) or set(best.columns) & {"customer_id", "lead_id", "vin"}):
        return best
    required = [c for c in best.table.columns if c.required and c.name in best.columns]
    if best.missing and required and len(best.columns) >= 3 and 2 * len(best.columns) >= filled:
        return best
    lacks = f", without {', '.join(c.name for c in best.missing)}" if best.missing else ""
    raise Unrecognised(
        f"its headers are those of no table; nearest: {best.table.name} "
        f"({len(best.columns)} of {filled} headers{lacks})"
    )


def _has_key(matching: Matching) -> bool:
    return matching.table.key[0] in matching.columns


def _hint(table: Table, part: Part) -> int:
    """Length of the table's name found in the name of file or sheet."""
    name = fold(f"{part.file} {part.sheet}")
    return max(len(fold(s)) if fold(s) in name else 0 for s in (table.name, table.en, table.zh))


def _lacking(matching: Matching, column: Column, headers: list[str], entry: Entry, part: Part) -> UserError:
    used = {headers[at] for at in matching.columns.values()}
    near = nearest_header(column, [h for h in nameable(headers, entry) if h not in used])
    line = f'columns: {{{column.name}: "{plain(near) if near else "…"}"}}'
    if entry.whole_folder:
        remedy = f'say which header it is in the params: files: [{{file: "{part.file}", {line}}}, {{file: "*"}}]'
    else:
        remedy = f"say which header it is in the file's entry in the params: {line}"
    return UserError(
        f"{part}: no header for {matching.table.name}.{column.name} ({column.en}, {column.zh}), "
        f"which is required; {headers_found(headers, entry)}" + (f"; nearest: {plain(near)!r}" if near else ""),
        remedy,
    )


def nearest_header(column: Column, headers: list[str]) -> str | None:
    """The header most like any spelling of the column."""
    spellings = [fold(s) for s in (column.name, column.en, column.zh, *column.synonyms)]
    likeness = {h: max(difflib.SequenceMatcher(None, fold(h), s).ratio() for s in spellings) for h in headers}
    return max(likeness, key=likeness.get) if likeness else None


def _feeds(matching: Matching, headers: list[str], entry: Entry) -> list[Feed]:
    """The feed of one table; two for lines that hold a job and a part side by side."""
    table, columns = matching.table, matching.columns
    made = {}
    key = MADE_KEYS.get(table.name)
    if key and key not in columns:
        made[key] = "made from source, file and row"
    if table.name != "service_lines":
        return [Feed(table, columns, made=made)]
    if "line_no" not in columns:
        made["line_no"] = "numbered within the order, in the file's order"
    folded = [fold(h) if h else "" for h in headers]
    labour = next((at for at, h in enumerate(folded) if h in _LABOUR_ITEMS), None)
    parts = next((at for at, h in enumerate(folded) if h in _PART_ITEMS), None)
    if (
        labour is None
        or parts is None
        or "line_no" in columns
        or entry.for_table(entry.columns, table).keys() & {"item_name", "kind"}
    ):
        return [Feed(table, columns, made=made)]
    # The sum of such a row cannot be told apart into job and part, so an amount stays unread.
    common = {
        name: at
        for name, at in columns.items()
        if name not in ("item_name", "hours", "kind", "amount_yuan", *_PART_COLUMNS)
    }
    jobs = common | {"item_name": labour} | {n: at for n, at in columns.items() if n == "hours"}
    pieces = common | {"item_name": parts} | {n: at for n, at in columns.items() if n in _PART_COLUMNS}
    return [Feed(table, jobs, {"kind": "labour"}, made), Feed(table, pieces, {"kind": "part"}, made)]
