"""Reading: from the files a dealer delivers to raw tables, every row kept with where it came from.

A raw table (``raw_<table>.parquet``) has every canonical column as the text that was delivered, null where
nothing was, and `_source`, `_file`, `_sheet`, `_row` (line in the file as an editor shows it, row as Excel
shows it, record of Parquet or a database), `_kind` (row, total, header for a header repeated inside the file,
ragged for a row with more cells than headers, long for one with a cell
of over a million bytes), `_date_order` (from the params) and `_derived`.
Lines of a file = title + header + blank + rows + further lines of rows that take several.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dealerkit import engine, tables
from dealerkit.errors import UserError, UserErrors
from dealerkit.ingest import derive, extras, headers
from dealerkit.ingest.feed import Counts, Feeder, Plan, Sink
from dealerkit.ingest.files import Look, Unread, look_at
from dealerkit.ingest.headers import Feed
from dealerkit.ingest.readers import plain
from dealerkit.ingest.text import long_cells
from dealerkit.params import Params


@dataclass(frozen=True)
class FileRead:
    """A part that was read: how, what its headers were taken for, and where its lines went.

    `matched` is table → column → header; `made` is table → column → how its values were made;
    `unused` are headers that mean nothing; `fed` is rows written per table before repeats were folded.
    """

    file: str
    sheet: str
    source: str
    encoding: str
    delimiter: str
    tables: tuple[str, ...]
    header_row: int
    counts: Counts
    matched: dict[str, dict[str, str]]
    made: dict[str, dict[str, str]]
    unused: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows below the header, totals and other kinds included."""
        return self.counts.rows


@dataclass(frozen=True)
class TableRead:
    """A raw table: where it is, its rows, and how many of them were derived after reading."""

    path: Path
    rows: int
    derived_rows: int = 0


@dataclass(frozen=True)
class ExtraRead:
    """A further table (`extra_factors`): its name in the params, where its rows are, and the parts that they came from."""

    name: str
    path: Path
    rows: int
    files: tuple[FileRead, ...]


@dataclass(frozen=True)
class Ingested:
    """What was read: parts in order, tables, what was not read, which tables nobody delivered and were derived, and the
    further tables of the params."""

    files: tuple[FileRead, ...]
    tables: dict[str, TableRead]
    unread: tuple[Unread, ...]
    derived: tuple[str, ...]
    extras: tuple[ExtraRead, ...] = ()


def ingest(
    params: Params, raw_dir: Path, out_dir: Path, tick: Callable[[str, int], None] = lambda file, rows: None
) -> Ingested:
    """Read the dealer's files into raw tables in ``out_dir``.

    Args:
        params: whose `files` say what to read; when empty every file of the raw folder is looked at.
        raw_dir: the raw folder, only read.
        out_dir: folder for ``raw_<table>.parquet``; those of an earlier run are replaced.
        tick: called with a file and its rows so far, for a line of progress.

    Raises `UserError` or `UserErrors`, with all problems of all files together, before anything is written.
    """
    raw_dir, out_dir = Path(raw_dir), Path(out_dir)
    with long_cells(), engine.uncollected():
        look = look_at(params, raw_dir)
        further = extras.look_at(params, raw_dir, look.problems)
        _refuse(look, params)
        derived = _derivable(look.plans)
        with _writing(out_dir):
            return _read(params, look, further, derived, out_dir, tick)


def _read(params: Params, look: Look, further: list[extras.Extra], derived: list[str], out_dir: Path, tick) -> Ingested:
    sink = Sink(out_dir)

    def fed(plans: list[Plan]) -> tuple[FileRead, ...]:
        feeders = [(plan, Feeder(plan, sink, params.id_key)) for plan in plans]
        return tuple(
            _report(plan, feeder.run(lambda rows, file=plan.part.file: tick(file, rows))) for plan, feeder in feeders
        )

    try:
        files = fed(look.plans)
        read = {extra.table.name: fed(extra.plans) for extra in further}
    finally:
        written = sink.close()
    tables_written = [name for name in written if name in tables.TABLES]
    made = dict.fromkeys(derived, 0)
    if derived or any(len(p.feeds) > 1 or any(f.made for f in p.feeds) for p in look.plans):
        rows = max((derive.rows_in(sink.path(name)) for name in tables_written), default=0)
        connection = engine.connect(params.engine, out_dir / "spill", rows)
        try:
            for name in tables_written:
                derive.finish(connection, sink, name, look.plans)
            for name in derived:
                made[name] = derive.add_derived(connection, sink, name)
        finally:
            connection.disconnect()
            shutil.rmtree(out_dir / "spill", ignore_errors=True)
    found = {}
    for name in tables.TABLES:
        if name in written or name in derived:
            found[name] = TableRead(out_dir / f"raw_{name}.parquet", derive.rows_in(sink.path(name)), made.get(name, 0))
    for stale in out_dir.glob("raw_*.parquet"):
        stale.unlink()
    for name, table in found.items():
        sink.path(name).replace(table.path)
    return Ingested(files, found, tuple(look.unread), tuple(derived), _extras_in_place(sink, read, out_dir))


def _extras_in_place(sink: Sink, read: dict[str, tuple[FileRead, ...]], out_dir: Path) -> tuple[ExtraRead, ...]:
    """The further tables, renamed into place."""
    found = []
    for name, files in read.items():
        path = out_dir / f"raw_extra_{name}.parquet"
        sink.path(f"extra_{name}").replace(path)
        found.append(ExtraRead(name, path, derive.rows_in(path), files))
    return tuple(found)


#: Columns of a derived car that stand in the columns of its visit as well; others, such as the odometer, are the visit's.
_SHARED = ("vin", "customer_id")


@contextlib.contextmanager
def _writing(out_dir: Path) -> Iterator[None]:
    """Leaves no half-written table behind, and turns a full disk or a locked folder into `UserError`."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                "the disk is full: the raw tables cannot be written", "free some space and run again"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                f"no permission to write into {out_dir.name}", "give the user who runs the kit the right to write there"
            ) from None
        raise
    finally:
        for left in out_dir.glob("raw_*.part*"):
            with contextlib.suppress(OSError):
                left.unlink()


def _report(plan: Plan, counts: Counts) -> FileRead:
    """The account of one part; a line that went nowhere is a failure of the kit."""
    parts = counts.title_lines + counts.header_lines + counts.blank_lines + counts.rows + counts.continuation_lines
    if parts != counts.lines:
        raise RuntimeError(f"{plan.part}: {counts.lines} lines, but {parts} accounted for")
    heads = plan.header.cells
    matched: dict[str, dict[str, str]] = {}
    made: dict[str, dict[str, str]] = {}
    for feed in plan.feeds:
        for name, at in feed.columns.items():
            seen = matched.setdefault(feed.table.name, {})
            header = plain(heads[at])
            seen[name] = f"{seen[name]}, {header}" if name in seen and header not in seen[name].split(", ") else header
        if feed.made or feed.fill_customer:
            how = {"customer_id": "where empty, derived from VIN, else from plate"} if feed.fill_customer else {}
            made.setdefault(feed.table.name, {}).update(feed.made | how)
    used = {at for feed in plan.feeds for at in feed.columns.values()}
    unused = tuple(plain(h) for at, h in enumerate(heads) if h and h.strip() and at not in used)
    return FileRead(
        plan.part.file,
        plan.part.sheet,
        plan.entry.source,
        plan.part.encoding,
        plan.part.delimiter,
        tuple(plan.tables),
        plan.header.number,
        counts,
        matched,
        made,
        unused,
    )


def _refuse(look: Look, params: Params) -> None:
    """Stop when something is wrong, all of it at once, or when there are no visits at all."""
    if len(look.problems) == 1:
        raise look.problems[0]
    if look.problems:
        raise UserErrors(
            f"{params.dealer}: {len(look.problems)} problems with the raw files",
            [f"{p.what}\n      → {p.remedy}" for p in look.problems],
        )
    if any("service_orders" in plan.tables for plan in look.plans):
        return
    seen = [f"{plan.part}: read as {', '.join(plan.tables)}" for plan in look.plans]
    seen += [f"{u.file}{f', sheet {u.sheet!r}' if u.sheet else ''}: {u.why}" for u in look.unread]
    table = tables.TABLES["service_orders"]
    needs = ", ".join(f"{c.name} ({c.zh})" for c in table.columns if c.required)
    raise UserErrors(
        f"{params.dealer}: no workshop visits (service_orders, {table.zh}) among the raw files; "
        "nothing can be said without them",
        seen,
        f"deliver them with headers for {needs}, or map their headers in the params (files: … columns: …)",
    )


def _derivable(plans: list[Plan]) -> list[str]:
    """Of vehicles and customers those that nobody delivered; a wide export of visits, cars or sales feeds them.

    A visit without a customer gets an id derived from its VIN, else its plate.
    """
    missing = [
        name
        for name in ("vehicles", "customers")
        if not any(feed.table.name == name and not feed.derived for p in plans for feed in p.feeds)
    ]
    for plan in plans:
        for name in missing:
            if name in plan.tables or not set(plan.tables) & {"service_orders", "vehicles", "sales_orders"}:
                continue
            feed = _derived_feed(plan, name)
            if feed is not None:
                plan.feeds.append(feed)
        if "customers" in missing and (plan.vin_at, plan.plate_at) != (None, None):
            for feed in plan.feeds:
                feed.fill_customer = feed.table.name in ("service_orders", "vehicles", "customers")
    return missing


def _derived_feed(plan: Plan, name: str) -> Feed | None:
    """How an export of visits, cars or sales also feeds the cars or customers that nobody delivered, if it says more of
    them than who they are: of a car its plate at least."""
    found = headers.match(tables.TABLES[name], plan.header.cells, plan.entry, plan.part)
    again = tables.SAID_AGAIN
    used = {
        at for feed in plan.feeds for column, at in feed.columns.items() if column not in again.get(feed.table.name, ())
    }
    columns, tells = found.columns, set(found.columns.values()) - used
    if name == "vehicles":
        columns = {column: at for column, at in columns.items() if column in _SHARED or at not in used}
        tells = "plate" in columns or ("vin" in columns and tells)
    return None if found.problems or not tells else Feed(found.table, columns, derived=True)
