"""From batches of text columns to rows of the raw tables, with where each row came from and what kind it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealerkit.ingest.headers import Entry, Feed
from dealerkit.ingest.readers import BATCH_ROWS, Batch, Line, Part
from dealerkit.tables import Table, fold

#: Columns that say where a row came from, after the canonical ones.
ORIGIN = pa.schema(
    [
        ("_source", pa.string()),
        ("_file", pa.string()),
        ("_sheet", pa.string()),
        ("_row", pa.int64()),
        ("_kind", pa.string()),
        ("_date_order", pa.string()),
        ("_derived", pa.bool_()),
    ]
)

#: A cell of more bytes is no value: the row is kept out, and the cell is not carried along.
LONGEST_CELL = 1 << 20

_TOTAL_WORDS = r"(?:本页|本日|本月|全部)?(?:合计|总计|小计|总数)|共计|grand total|sub-?total|total|sum"
_TOTAL = rf"^\s*(?i:{_TOTAL_WORDS})\s*[:：]?\s*[\d.,¥￥ ]*\s*(?:元|条|行|笔|台|rows)?\s*$"
_TOTAL_CELL = re.compile(_TOTAL)
_COMMA_NUMBER = re.compile(r"^\s*[^\w\s]?\s*-?\s*(?:\d{1,3}(?:[.\s\u00a0']\d{3})+|\d+)(?:,\d+)?\s*\D{0,4}$")


def schema(table: Table) -> pa.Schema:
    """Schema of a raw table: every canonical column as text, then the origin."""
    return pa.schema([pa.field(name, pa.string()) for name in table.names] + list(ORIGIN))


class Sink:
    """The raw tables being written, one Parquet file each under a temporary name."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._waiting: dict[str, list[pa.Table]] = {}

    def path(self, table: str) -> Path:
        """Where the table is being written."""
        return self.folder / f"raw_{table}.parquet.part"

    def write(self, table: Table, rows: pa.Table) -> None:
        """Append rows."""
        if table.name not in self._writers:
            self._writers[table.name] = pq.ParquetWriter(self.path(table.name), schema(table), compression="zstd")
            self._waiting[table.name] = []
        waiting = self._waiting[table.name]
        waiting.append(rows)
        if sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            self._flush(table.name)

    def close(self) -> list[str]:
        """Names of the tables written, whose files are now whole."""
        for name, writer in self._writers.items():
            self._flush(name)
            writer.close()
        return list(self._writers)

    def _flush(self, name: str) -> None:
        rows = pa.concat_tables(self._waiting[name]).combine_chunks() if self._waiting[name] else None
        self._waiting[name] = []
        if rows is not None and rows.num_rows:
            self._writers[name].write_table(rows)


@dataclass
class Counts:
    """Where the lines of a part went; `lines` is the sum of the other line counts."""

    lines: int = 0
    title_lines: int = 0
    header_lines: int = 0
    blank_lines: int = 0
    rows: int = 0
    continuation_lines: int = 0
    total_rows: int = 0
    repeated_headers: int = 0
    ragged_rows: int = 0
    stray_quotes: int = 0
    fed: dict[str, int] = field(default_factory=dict)

    def above(self, head: list[Line], at: int, names_only: bool) -> None:
        """Count the header and what stands above it."""
        if names_only:
            return
        self.header_lines = head[at].lines
        for line in head[:at]:
            blank = not any(cell and cell.strip() for cell in line.cells)
            self.blank_lines += line.lines if blank else 0
            self.title_lines += 0 if blank else line.lines
        self.lines = self.header_lines + self.blank_lines + self.title_lines


@dataclass
class Plan:
    """A part, its header and the tables that it feeds, the main one first."""

    part: Part
    entry: Entry
    at: int
    feeds: list[Feed]
    vin_at: int | None = None
    plate_at: int | None = None

    @property
    def header(self) -> Line:
        return self.part.head()[self.at]

    @property
    def tables(self) -> list[str]:
        """Names of the tables fed, each once."""
        return list(dict.fromkeys(feed.table.name for feed in self.feeds))


def derived_id(text: str, key: str) -> str:
    """Id of a customer known by a VIN or plate only; keyed, so that it does not give the VIN away."""
    secret = blake2b(key.encode(), digest_size=32).digest()
    return "derived:" + blake2b(fold(text).encode(), digest_size=8, key=secret).hexdigest()


class Feeder:
    """Writes the rows of one plan.

    Args:
        plan: what to read and which tables it feeds.
        sink: where rows go.
        id_key: key of derived ids.
    """

    def __init__(self, plan: Plan, sink: Sink, id_key: str):
        self._plan, self._sink, self._id_key = plan, sink, id_key
        self._derived: dict[str, str] = {}
        self._made = blake2b(
            "|".join((plan.entry.source, plan.part.file, plan.part.sheet)).encode(), digest_size=4
        ).hexdigest()
        main = plan.feeds[0]
        keys = [main.columns[k] for k in main.table.key[:1] if k in main.columns]
        self._key_at = (
            keys or [main.columns[c.name] for c in main.table.columns if c.required and c.name in main.columns] or [0]
        )[0]
        self._values = {feed.table.name: plan.entry.for_table(plan.entry.values, feed.table) for feed in plan.feeds}

    def run(self, tick: Callable[[int], None] = lambda rows: None) -> Counts:
        """Read and write everything; returns the counts, which must add up."""
        plan, counts = self._plan, Counts()
        counts.above(plan.part.head(), plan.at, plan.part.names_only)
        for feed in plan.feeds:
            self._sink.write(feed.table, schema(feed.table).empty_table())
        for batch in plan.part.batches(plan.header):
            batch, long = _without_long_cells(batch)
            kinds = self._kinds(batch)
            kinds[long] = "long"
            blank = int((kinds == "blank").sum())
            counts.lines += batch.lines
            counts.rows += len(kinds) - blank
            counts.blank_lines += blank + batch.blank
            counts.continuation_lines += batch.lines - batch.blank - len(kinds)
            for name, kind in (("total_rows", "total"), ("repeated_headers", "header"), ("ragged_rows", "ragged")):
                setattr(counts, name, getattr(counts, name) + int((kinds == kind).sum()))
            counts.stray_quotes += batch.strays
            self._write(batch, kinds, counts)
            tick(counts.rows)
        return counts

    def _kinds(self, batch: Batch) -> np.ndarray:
        """Kind of each row: row, total, header, ragged or blank."""
        kinds = np.full(len(batch.numbers), "row", dtype=object)
        kinds[batch.ragged] = "ragged"
        if not len(kinds):
            return kinds
        headers = self._plan.header.cells
        key = batch.columns[self._key_at]
        trimmed = pc.utf8_trim_whitespace(key)
        suspect = pc.or_(
            pc.fill_null(pc.match_substring_regex(trimmed, _TOTAL), True), pc.fill_null(pc.equal(trimmed, ""), True)
        )
        suspect = pc.or_(suspect, pc.fill_null(pc.equal(trimmed, (headers[self._key_at] or "").strip()), False))
        at = np.flatnonzero(suspect.to_numpy(zero_copy_only=False))
        if len(at):
            for position, cells in zip(
                at, zip(*(c.take(pa.array(at)).to_pylist() for c in batch.columns), strict=True), strict=True
            ):
                kind = self._kind(cells, headers)
                # with nothing but cells beyond the headers, a row is none that may be passed over
                if kind != "row" and (kind, kinds[position]) != ("blank", "ragged"):
                    kinds[position] = kind
        return kinds

    def _kind(self, cells: tuple[str | None, ...], headers: list[str]) -> str:
        filled = [c.strip() for c in cells if c and c.strip()]
        if not filled:
            return "blank"
        if filled == [h.strip() for h in headers if h and h.strip()]:
            return "header"
        key = (cells[self._key_at] or "").strip()
        if (not key or _TOTAL_CELL.match(key)) and any(_TOTAL_CELL.match(c) for c in filled[:3]):
            return "total"
        return "row"

    def _write(self, batch: Batch, kinds: np.ndarray, counts: Counts) -> None:
        feeds = self._plan.feeds
        tables = [self._rows(feed, batch, kinds) for feed in feeds]
        is_row, filled = kinds == "row", kinds != "blank"
        if len(feeds) == 1:
            masks = [filled]
        else:
            masks = [is_row & self._feeds(feed, rows, batch) for feed, rows in zip(feeds, tables, strict=True)]
            # A car that is known from a visit does not make up for the visit.
            fed = np.logical_or.reduce([mask for feed, mask in zip(feeds, masks, strict=True) if not feed.derived])
            masks[0] = masks[0] | (filled & ~is_row) | (is_row & ~fed)
        out: dict[str, list[pa.Table]] = {}
        for feed, rows, mask in zip(feeds, tables, masks, strict=True):
            out.setdefault(feed.table.name, []).append(rows if mask.all() else rows.filter(pa.array(mask)))
        for feed in feeds:
            parts = out.pop(feed.table.name, None)
            if parts is None:
                continue
            rows = parts[0]
            if len(parts) > 1:
                rows = pa.concat_tables(parts)
                rows = rows.take(pa.array(np.argsort(rows["_row"].to_numpy(), kind="stable")))
            counts.fed[feed.table.name] = counts.fed.get(feed.table.name, 0) + rows.num_rows
            self._sink.write(feed.table, rows)

    def _feeds(self, feed: Feed, rows: pa.Table, batch: Batch) -> np.ndarray:
        """Which rows feed the table: those with its key (a car's plate will do), and for lines of an order also something of
        their own."""
        key = feed.table.key[0]
        mask = _filled(rows[key].combine_chunks())
        if feed.table.name == "vehicles":
            mask |= _filled(rows["plate"].combine_chunks())  # a car may be known by its plate only
        own = feed.own(self._plan.feeds)
        if feed.table[key].ref in self._plan.tables and own:
            mask &= np.logical_or.reduce([_filled(batch.columns[at]) for at in own])
        return mask

    def _rows(self, feed: Feed, batch: Batch, kinds: np.ndarray) -> pa.Table:
        plan, size = self._plan, len(kinds)
        columns = [self._column(feed, name, batch) for name in feed.table.names]
        origin = [
            _constant(plan.entry.source, size),
            _constant(plan.part.file, size),
            _constant(plan.part.sheet, size),
            batch.numbers,
            pa.array(kinds, pa.string()),
            _constant(plan.entry.date_order, size),
            pa.array(np.full(size, feed.derived)),
        ]
        return pa.Table.from_arrays([*columns, *origin], schema=schema(feed.table))

    def _column(self, feed: Feed, name: str, batch: Batch) -> pa.Array:
        """One canonical column of a batch, with value map, id space, and made or derived ids."""
        column, size = feed.table[name], len(batch.numbers)
        if name in feed.constants:
            return _constant(feed.constants[name], size)
        if name in feed.made and name != "line_no":
            return pc.binary_join_element_wise(f"made:{self._made}-", batch.numbers.cast(pa.string()), "")
        texts = batch.columns[feed.columns[name]] if name in feed.columns else _constant(None, size)
        if name in self._values[feed.table.name] and name in feed.columns:
            texts = _mapped(texts, self._values[feed.table.name][name])
        if self._plan.entry.decimal == "," and column.type in ("money", "number", "int"):
            texts = _pointed(texts)
        if (
            self._plan.entry.prefix
            and (column.ref or name in feed.table.key)
            and column.personal != "vin"
            and name != "line_no"
        ):
            trimmed = pc.utf8_trim_whitespace(texts)
            texts = pc.if_else(
                pc.equal(trimmed, ""), texts, pc.binary_join_element_wise(self._plan.entry.prefix, trimmed, "")
            )
        if name == "customer_id" and feed.fill_customer:
            texts = self._filled_customers(texts, batch)
        return texts

    def _filled_customers(self, ids: pa.Array, batch: Batch) -> pa.Array:
        """Ids, the empty ones derived from the VIN, else from the plate."""
        empty = ~_filled(ids)
        if not empty.any():
            return ids
        out = ids.to_pylist()
        known = [batch.columns[at].to_pylist() for at in (self._plan.vin_at, self._plan.plate_at) if at is not None]
        for at in np.flatnonzero(empty):
            text = next(
                (texts[at] for texts in known if texts[at] and (texts[at] in self._derived or fold(texts[at]))), None
            )
            if text is None:
                continue
            if text not in self._derived:
                self._derived[text] = derived_id(text, self._id_key)
            out[at] = self._derived[text]
        return pa.array(out, pa.string())


def _without_long_cells(batch: Batch) -> tuple[Batch, list[int]]:
    """The batch with nothing in cells of more than `LONGEST_CELL` bytes, and the positions of rows that had such cells."""
    lengths = [pc.binary_length(column) for column in batch.columns]
    if not any((pc.max(n).as_py() or 0) > LONGEST_CELL for n in lengths):
        return batch, []
    fits = [pc.fill_null(pc.less_equal(n, LONGEST_CELL), True) for n in lengths]
    columns = [pc.if_else(fit, c, pa.scalar(None, c.type)) for fit, c in zip(fits, batch.columns, strict=True)]
    every = np.logical_and.reduce([fit.to_numpy(zero_copy_only=False) for fit in fits])
    return replace(batch, columns=columns), list(np.flatnonzero(~every))


def _constant(value: str | None, size: int) -> pa.Array:
    return pa.nulls(size, pa.string()) if value is None else pa.repeat(pa.scalar(value, pa.string()), size)


def _filled(texts: pa.Array) -> np.ndarray:
    """Where a text is more than spaces."""
    return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False).to_numpy(zero_copy_only=False)


def _mapped(texts: pa.Array, mapping: dict[str, str]) -> pa.Array:
    """Texts with whole values replaced as the params say, spaces around them aside."""
    coded = texts.dictionary_encode()
    known = {key.strip(): value for key, value in mapping.items()}
    words = pa.array([known.get(word.strip(), word) for word in coded.dictionary.to_pylist()], pa.string())
    return words.take(coded.indices)


def _pointed(texts: pa.Array) -> pa.Array:
    """Numbers written 1.234,50 as 1234.50; other texts as they are."""
    coded = texts.dictionary_encode()
    words = [
        re.sub(r"[.\s\u00a0']", "", word).replace(",", ".") if _COMMA_NUMBER.match(word) else word
        for word in coded.dictionary.to_pylist()
    ]
    return pa.array(words, pa.string()).take(coded.indices)
