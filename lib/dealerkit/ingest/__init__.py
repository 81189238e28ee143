"""Reading: from the files a dealer delivers to raw tables, every row kept with where it came from.

A raw table (``raw_<table>.parquet``) has every canonical column as the text that was delivered, null where
nothing was, and `_source`, `_file`, `_sheet`, `_row` (line in the file as an editor shows it, row as Excel
shows it, record of Parquet or a database), `_kind` (row, total, header for a header repeated inside the file,
ragged for a row with more cells than headers), `_date_order` (from the params) and `_derived`.
Lines of a file = title + header + blank + rows + further lines of rows that take several.
"""

from __future__ import annotations

import contextlib
import errno
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from dealerkit import engine, tables
from dealerkit.errors import UserError, UserErrors
from dealerkit.ingest import derive, headers, workbook
from dealerkit.ingest.database import DatabasePart, inside
from dealerkit.ingest.feed import Counts, Feeder, Plan, Sink
from dealerkit.ingest.headers import Entry, Feed, Several, Unrecognised
from dealerkit.ingest.readers import ParquetPart, Part, plain
from dealerkit.ingest.text import TextPart, long_cells
from dealerkit.params import FileParams, Params, nearest

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
READABLE = (*TEXT_SUFFIXES, *workbook.SUFFIXES, ".parquet")

_DATABASES = (".sqlite", ".sqlite3", ".db", ".duckdb")
_PACKED = (".zip", ".gz", ".7z", ".rar", ".bz2", ".xz")


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
class Unread:
    """A file or sheet that was not read, and why."""

    file: str
    sheet: str
    why: str


@dataclass(frozen=True)
class Ingested:
    """What was read: parts in order, tables, what was not read, and which tables nobody delivered and were derived."""

    files: tuple[FileRead, ...]
    tables: dict[str, TableRead]
    unread: tuple[Unread, ...]
    derived: tuple[str, ...]


@dataclass
class _Look:
    """What looking at the headers gave."""

    plans: list[Plan] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)


def ingest(params: Params, raw_dir: Path, out_dir: Path, tick: Callable[[str, int], None] = lambda file, rows: None) -> Ingested:
    """Read the dealer's files into raw tables in ``out_dir``.

    Args:
        params: whose `files` say what to read; when empty every file of the raw folder is looked at.
        raw_dir: the raw folder, only read.
        out_dir: folder for ``raw_<table>.parquet``; those of an earlier run are replaced.
        tick: called with a file and its rows so far, for a line of progress.

    Raises `UserError` or `UserErrors`, with all problems of all files together, before anything is written.
    """
    raw_dir, out_dir = Path(raw_dir), Path(out_dir)
    with long_cells():
        look = _look(params, raw_dir)
        _refuse(look, params)
        derived = _derivable(look.plans)
        with _writing(out_dir):
            return _read(params, look, derived, out_dir, tick)


def _read(params: Params, look: _Look, derived: list[str], out_dir: Path, tick) -> Ingested:
    sink = Sink(out_dir)
    try:
        files = []
        for plan in look.plans:
            counts = Feeder(plan, sink, params.id_key).run(lambda rows, file=plan.part.file: tick(file, rows))
            files.append(_report(plan, counts))
    finally:
        written = sink.close()
    made = dict.fromkeys(derived, 0)
    if derived or any(len(p.feeds) > 1 or any(f.made for f in p.feeds) for p in look.plans):
        connection = engine.connect(params.engine, out_dir / "spill")
        try:
            for name in written:
                derive.finish(connection, sink, name, look.plans)
            for name in derived:
                made[name] = derive.add_derived(connection, sink, name)
        finally:
            connection.disconnect()
    found = {}
    for name in tables.TABLES:
        if name in written or name in derived:
            found[name] = TableRead(out_dir / f"raw_{name}.parquet", derive.rows_in(sink.path(name)), made.get(name, 0))
    for stale in out_dir.glob("raw_*.parquet"):
        stale.unlink()
    for name, table in found.items():
        sink.path(name).replace(table.path)
    return Ingested(tuple(files), found, tuple(look.unread), tuple(derived))


@contextlib.contextmanager
def _writing(out_dir: Path) -> Iterator[None]:
    """Leaves no half-written table behind, and turns a full disk or a locked folder into `UserError`."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("the disk is full: the raw tables cannot be written", "free some space and run again") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"no permission to write into {out_dir.name}", "give the user who runs the kit the right to write there") from None
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
    return FileRead(plan.part.file, plan.part.sheet, plan.entry.source, plan.part.encoding, plan.part.delimiter, tuple(plan.tables),
                    plan.header.number, counts, matched, made, unused)


def _refuse(look: _Look, params: Params) -> None:
    """Stop when something is wrong, all of it at once, or when there are no visits at all."""
    if len(look.problems) == 1:
        raise look.problems[0]
    if look.problems:
        raise UserErrors(f"{params.dealer}: {len(look.problems)} problems with the raw files",
                         [f"{p.what}\n      → {p.remedy}" for p in look.problems])
    if any("service_orders" in plan.tables for plan in look.plans):
        return
    seen = [f"{plan.part}: read as {', '.join(plan.tables)}" for plan in look.plans]
    seen += [f"{u.file}{f', sheet {u.sheet!r}' if u.sheet else ''}: {u.why}" for u in look.unread]
    table = tables.TABLES["service_orders"]
    needs = ", ".join(f"{c.name} ({c.zh})" for c in table.columns if c.required)
    raise UserErrors(f"{params.dealer}: no workshop visits (service_orders, {table.zh}) among the raw files, and nothing can be said without them", seen,
                     f"deliver them with headers for {needs}, or map their headers in the params (files: … columns: …)")


def _look(params: Params, raw_dir: Path) -> _Look:
    """Open every file that is to be read and settle what it feeds."""
    look = _Look()
    for file, entry in _files(params, raw_dir, look):
        try:
            parts, empty = _parts(raw_dir, file, entry)
        except UserError as error:
            look.problems.append(error)
            continue
        look.unread += [Unread(file, sheet, "an empty sheet") for sheet in empty]
        refused = []
        plans = [p for part in parts if (p := _plan(part, entry, look, refused))]
        if not plans and (entry.named or entry.tables):
            look.problems += [UserError(f"{part}: {why}", "say in the params what it is (tables:, columns:, header_row:), or take its entry out")
                              for part, why in refused] or [UserError(f"{file}: no sheet with cells", "deliver it again, or take its entry out of the params")]
        else:
            look.unread += [Unread(part.file, part.sheet, why) for part, why in refused]
        look.plans += plans
    seen: dict[tuple, str] = {}
    for plan in look.plans:
        for table in plan.tables:
            place = (plan.part.file, plan.part.sheet, table)
            if place in seen and not plan.part.names_only:
                look.problems.append(UserError(f"{plan.part}: two entries under files: in the params read {table} from it", "keep one of them"))
            seen[place] = table
    return look


def _plan(part: Part, entry: Entry, look: _Look, refused: list) -> Plan | None:
    """How to read one part, or nothing when it is none of ours (noted in `refused`) or wrong (noted in the look)."""
    try:
        if not any(cell and cell.strip() for line in part.head() for cell in line.cells):
            raise UserError(f"{part}: holds no header, only empty lines", "deliver it again, or take it out of the raw folder")
        at = headers.find_header(part, entry)
        plan = Plan(part, entry, at, headers.choose(part.head()[at].cells, entry, part))
    except Unrecognised as why:
        refused.append((part, str(why)))
        return None
    except Several as several:
        look.problems += several.problems
        return None
    except UserError as error:
        look.problems.append(error)
        return None
    heads = plan.header.cells
    vehicle = headers.match(tables.TABLES["vehicles"], heads, entry, part).columns
    plan.vin_at, plan.plate_at = vehicle.get("vin"), vehicle.get("plate")
    if isinstance(part, DatabasePart):
        main = plan.feeds[0]
        part.order = [heads[main.columns[key]] for key in main.table.key if key in main.columns]
    return plan


def _parts(raw_dir: Path, file: str, entry: Entry) -> tuple[list[Part], list[str]]:
    """The parts of a file or database, and the names of its empty sheets."""
    if entry.url:
        return [DatabasePart(entry.url, entry.query, entry.tables[0] if entry.tables else None, raw_dir)], []
    path, suffix = raw_dir / file, Path(file).suffix.lower()
    if suffix not in READABLE:
        raise UserError(f"{file}: {_no_data(file)}", f"deliver it as one of {', '.join(READABLE)}")
    try:
        size = path.stat().st_size
    except OSError:
        raise UserError(f"{file}: cannot be opened", "put it back, or mend its permissions") from None
    if size == 0:
        raise UserError(f"{file}: the file is empty (0 bytes)", "export it again, or take it out of the raw folder")
    if suffix == ".parquet":
        return [ParquetPart(path, file)], []
    if suffix in workbook.SUFFIXES:
        kind = workbook.disguise(path, file)
        if kind == "workbook":
            return workbook.sheets(path, file, entry.sheet)
        if kind == "markup":
            raise UserError(f"{file}: a web page or XML with a workbook's name", "open it in Excel and save it as .xlsx")
    known = headers.known_headers(entry)
    return [TextPart(path, file, entry.encoding, entry.delimiter, lambda cells: headers.score(cells, known))], []


def _no_data(file: str) -> str:
    """Why a file of that name is not read."""
    name, suffix = Path(file).name, Path(file).suffix.lower()
    if name.upper().startswith("README"):
        return "a note, not data, by its name"
    if suffix in _DATABASES:
        return "a database: it is read when files: in the params names it by url"
    if suffix in _PACKED:
        return "packed: unpack it to have it read"
    return f"files ending in {suffix or 'nothing'} are not read"


def _files(params: Params, raw_dir: Path, look: _Look) -> list[tuple[str, Entry]]:
    """Files (or databases) with their entries, ordered by name; the rest of the folder goes to `look.unread`."""
    there = _listed(raw_dir, params, look)
    if params.files:
        chosen = _named(params, raw_dir, there, look)
    else:
        entry = Entry(params.sources[0], whole_folder=True)
        chosen = [(file, entry) for file in there if _is_data(file)]
    taken = {file for file, _ in chosen}
    for file in there:
        if file not in taken and file != params.logo:
            look.unread.append(Unread(file, "", "not named under files: in the params" if params.files and _is_data(file) else _no_data(file)))
    return sorted(chosen, key=lambda pair: _same(pair[0]))


def _is_data(file: str) -> bool:
    return Path(file).suffix.lower() in READABLE and not Path(file).name.upper().startswith("README")


def _same(name: str) -> str:
    """A name in the form in which names are compared: some systems take accents and kana apart."""
    return unicodedata.normalize("NFC", name)


def _listed(raw_dir: Path, params: Params, look: _Look) -> list[str]:
    """Names of the files in the raw folder, without hidden ones, Excel's lock files and what staff returned."""
    if not raw_dir.is_dir():
        raise UserError(f"{params.dealer}: there is no folder {raw_dir.name} with raw files", "put the dealer's exports into data/raw/<dealer>/")
    def refuse(error: OSError):
        look.problems.append(UserError(f"folder {Path(error.filename).name}: cannot be listed", "give the user who runs the kit the right to read it"))

    names = []
    for folder, folders, files in os.walk(raw_dir, onerror=refuse):
        at_top = Path(folder) == raw_dir
        folders[:] = [f for f in folders if not f.startswith(".") and not (at_top and f == "returned")]
        names += [(Path(folder) / f).relative_to(raw_dir).as_posix() for f in files if not f.startswith((".", "~$"))]
    if not any(_is_data(n) for n in names) and not any(f.url for f in params.files) and not look.problems:
        raise UserError(f"{params.dealer}: the raw folder holds no file that can be read"
                        + (f", only {', '.join(sorted(names)[:10])}" if names else "; it is empty"),
                        f"put the dealer's exports there ({', '.join(READABLE)})")
    return sorted(names, key=_same)


def _named(params: Params, raw_dir: Path, there: list[str], look: _Look) -> list[tuple[str, Entry]]:
    """What `files:` names; a file named in full is left out of patterns."""
    exact = {_same(f.file) for f in params.files if f.file} & {_same(n) for n in there}
    chosen = []
    for file in params.files:
        try:
            entry = _entry(file, params)
            if file.url:
                chosen.append((file.url.split("://")[0], entry))
                continue
            inside(file.file, raw_dir)
        except UserError as error:
            look.problems.append(error)
            continue
        wanted = _same(file.file)
        found = [n for n in there if _same(n) == wanted] if wanted in exact else [
            n for n in there if fnmatchcase(_same(n), wanted) and _same(n) not in exact and (_is_data(n) or not any(c in wanted for c in "*?["))]
        if not found and not (wanted == "*" and exact):
            look.problems.append(UserError(f"files: no file {file.file!r} in the raw folder{nearest(file.file, there)}",
                                           f"it holds {', '.join(there[:20])}{' …' if len(there) > 20 else ''}; mend file: in the params"))
        chosen += [(n, entry) for n in found]
    return chosen


def _entry(file: FileParams, params: Params) -> Entry:
    """The entry of the params with its source and id space settled."""
    source = file.source
    if source not in params.sources and "source" in file.model_fields_set and source != FileParams.model_fields["source"].default:
        raise UserError(f"files: {file.file or 'url'}: source {source!r} is not under sources: ({', '.join(params.sources)})",
                        f"add it in its place of trust, as in sources: [{', '.join([*params.sources, source])}]")
    source = source if source in params.sources else params.sources[0]
    if file.ids_from and file.ids_from not in params.sources:
        raise UserError(f"files: {file.file or 'url'}: ids_from {file.ids_from!r} is not under sources: ({', '.join(params.sources)})",
                        "name one of the sources, or leave ids_from: out")
    space = file.ids_from or source
    return Entry(source, "" if space == params.sources[0] else f"{space}:", tuple(file.tables or ()), file.sheet, file.encoding, file.delimiter,
                 file.header_row, dict(file.columns), dict(file.values), file.date_order,
                 named=file.url is not None or not any(c in file.file for c in "*?["), url=file.url, query=file.query)


def _derivable(plans: list[Plan]) -> list[str]:
    """Of vehicles and customers those that nobody delivered; a wide export of visits, cars or sales feeds them.

    A visit without a customer gets an id derived from its VIN, else its plate.
    """
    missing = [name for name in ("vehicles", "customers") if not any(feed.table.name == name and not feed.derived for p in plans for feed in p.feeds)]
    for plan in plans:
        for name in missing:
            if name in plan.tables or not set(plan.tables) & {"service_orders", "vehicles", "sales_orders"}:
                continue
            found = headers.match(tables.TABLES[name], plan.header.cells, plan.entry, plan.part)
            used = {at for feed in plan.feeds for at in feed.columns.values()}
            if set(found.columns.values()) - used and not found.problems and ("vin" in found.columns or name == "customers"):
                plan.feeds.append(Feed(found.table, found.columns, derived=True))
        if "customers" in missing and plan.vin_at is not None:
            for feed in plan.feeds:
                feed.fill_customer = feed.table.name in ("service_orders", "vehicles", "customers")
    return missing
