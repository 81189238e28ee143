"""Which files are read, what the params say about each, and what looking at their headers gives."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.ingest import headers, workbook
from dealerkit.ingest.database import DatabasePart, inside
from dealerkit.ingest.feed import Plan
from dealerkit.ingest.headers import Entry, Several, Unrecognised
from dealerkit.ingest.readers import ParquetPart, Part
from dealerkit.ingest.text import TextPart
from dealerkit.params import FileParams, Params, nearest

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
READABLE = (*TEXT_SUFFIXES, *workbook.SUFFIXES, ".parquet")

_DATABASES = (".sqlite", ".sqlite3", ".db", ".duckdb")
_PACKED = (".zip", ".gz", ".7z", ".rar", ".bz2", ".xz")


@dataclass(frozen=True)
class Unread:
    """A file or sheet that was not read, and why."""

    file: str
    sheet: str
    why: str


@dataclass
class Look:
    """What looking at the headers gave."""

    plans: list[Plan] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)


def look_at(params: Params, raw_dir: Path) -> Look:
    """Open every file that is to be read and settle what it feeds."""
    look = Look()
    for file, entry in _files(params, raw_dir, look):
        try:
            parts, empty = _parts(raw_dir, file, entry)
        except UserError as error:
            look.problems.append(error)
            continue
        look.unread += [Unread(file, sheet, "an empty sheet") for sheet in empty]
        refused, before = [], len(look.problems)
        plans = [p for part in parts if (p := _plan(part, entry, look, refused))]
        look.plans += plans
        if plans or not (entry.named or entry.tables):
            look.unread += [Unread(part.file, part.sheet, why) for part, why in refused]
        elif len(look.problems) == before:
            remedy = "say in the params what it is (tables:, columns:, header_row:), or take its entry out"
            wrong = [f"{part}: {why}" for part, why in refused] or [f"{file}: no sheet with cells"]
            look.problems += [UserError(what, remedy) for what in wrong]
    seen: dict[tuple, str] = {}
    for plan in look.plans:
        for table in plan.tables:
            place = (plan.part.file, plan.part.sheet, table)
            if place in seen:
                look.problems.append(
                    UserError(
                        f"{plan.part}: two entries under files: in the params read {table} from it", "keep one of them"
                    )
                )
            seen[place] = table
    return look


def _plan(part: Part, entry: Entry, look: Look, refused: list) -> Plan | None:
    """How to read one part, or nothing when it is none of ours (noted in `refused`) or wrong (noted in the look)."""
    try:
        if not any(cell and cell.strip() for line in part.head() for cell in line.cells):
            raise UserError(
                f"{part}: holds no header, only empty lines", "deliver it again, or take it out of the raw folder"
            )
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
        return [
            DatabasePart(entry.url, entry.query, entry.tables[0] if entry.tables else None, raw_dir, entry.sheet or "")
        ], []
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
            raise UserError(
                f"{file}: a web page or XML with a workbook's name", "open it in Excel and save it as .xlsx"
            )
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


def _files(params: Params, raw_dir: Path, look: Look) -> list[tuple[str, Entry]]:
    """Files (or databases) with their entries, ordered by name; the rest of the folder goes to `look.unread`."""
    there = _listed(raw_dir, params, look)
    # Files of further tables feed no canonical one, unless an entry under files: names them in full.
    extra = {name for table in params.extra_factors if table.file for name in matching(table.file, there)}
    extra -= {name for name in there if any(_same(f.file) == _same(name) for f in params.files if f.file)}
    there = [name for name in there if name not in extra]
    if params.files:
        chosen = _named(params, raw_dir, there, look)
    else:
        entry = Entry(params.sources[0], whole_folder=True)
        chosen = [(file, entry) for file in there if _is_data(file)]
    taken = {file for file, _ in chosen}
    for file in there:
        if file not in taken and file != params.logo:
            look.unread.append(
                Unread(
                    file,
                    "",
                    "not named under files: in the params" if params.files and _is_data(file) else _no_data(file),
                )
            )
    return sorted(chosen, key=lambda pair: _same(pair[0]))


def matching(pattern: str, there: list[str]) -> list[str]:
    """Files of that name, else those that can be read and fit the pattern."""
    wanted = _same(pattern)
    exact = [name for name in there if _same(name) == wanted]
    return exact or [name for name in there if _is_data(name) and fnmatchcase(_same(name), wanted)]


def _is_data(file: str) -> bool:
    return Path(file).suffix.lower() in READABLE and not Path(file).name.upper().startswith("README")


def _same(name: str) -> str:
    """A name in the form in which names are compared: some systems take accents and kana apart."""
    return unicodedata.normalize("NFC", name)


def _listed(raw_dir: Path, params: Params, look: Look) -> list[str]:
    """Names of the files in the raw folder, without hidden ones, Excel's lock files and what staff returned."""
    if not raw_dir.is_dir():
        raise UserError(
            f"{params.dealer}: there is no folder {raw_dir.name} with raw files",
            "put the dealer's exports into data/raw/<dealer>/",
        )

    def refuse(error: OSError):
        look.problems.append(
            UserError(
                f"folder {Path(error.filename).name}: cannot be listed",
                "give the user who runs the kit the right to read it",
            )
        )

    names = []
    for folder, folders, files in os.walk(raw_dir, onerror=refuse):
        at_top = Path(folder) == raw_dir
        folders[:] = [f for f in folders if not f.startswith(".") and not (at_top and f == "returned")]
        names += [(Path(folder) / f).relative_to(raw_dir).as_posix() for f in files if not f.startswith((".", "~$"))]
    if not any(_is_data(n) for n in names) and not any(f.url for f in params.files) and not look.problems:
        raise UserError(
            f"{params.dealer}: the raw folder holds no file that can be read"
            + (f", only {', '.join(sorted(names)[:10])}" if names else "; it is empty"),
            f"put the dealer's exports there ({', '.join(READABLE)})",
        )
    return sorted(names, key=_same)


def _named(params: Params, raw_dir: Path, there: list[str], look: Look) -> list[tuple[str, Entry]]:
    """What `files:` names; a file named in full is left out of patterns."""
    exact = {_same(f.file) for f in params.files if f.file} & {_same(n) for n in there}
    chosen, queries = [], 0
    for file in params.files:
        try:
            entry = _entry(file, params, file.url is not None or _same(file.file) in exact)
            if file.url:
                queries += file.query is not None
                # two queries may meet in one table, and their rows must stay apart
                entry = replace(entry, sheet=f"query {queries}" if file.query else None)
                chosen.append((file.url.split("://")[0], entry))
                continue
            inside(file.file, raw_dir)
        except UserError as error:
            look.problems.append(error)
            continue
        wanted = _same(file.file)
        if wanted in exact:
            found = [n for n in there if _same(n) == wanted]
        else:
            found = [n for n in there if _is_data(n) and _same(n) not in exact and fnmatchcase(_same(n), wanted)]
        if not found and not (wanted == "*" and exact):
            look.problems.append(
                UserError(
                    f"files: no file {file.file!r} in the raw folder{nearest(file.file, there)}",
                    f"it holds {', '.join(there[:20])}{' …' if len(there) > 20 else ''}; mend file: in the params",
                )
            )
        chosen += [(n, entry) for n in found]
    return chosen


def _entry(file: FileParams, params: Params, named: bool) -> Entry:
    """The entry of the params with its source and id space settled."""
    source, origin = file.source, file.file or "the database"
    known = f"is not under sources: ({', '.join(params.sources)})"
    if source not in params.sources and source != FileParams.model_fields["source"].default:
        raise UserError(
            f"files: {origin}: source {source!r} {known}",
            f"add it in its place of trust, as in sources: [{', '.join([*params.sources, source])}]",
        )
    source = source if source in params.sources else params.sources[0]
    if file.ids_from and file.ids_from not in params.sources:
        raise UserError(
            f"files: {origin}: ids_from {file.ids_from!r} {known}",
            "name one of the sources, or leave ids_from: out",
        )
    space = file.ids_from or source
    return Entry(
        source,
        "" if space == params.sources[0] else f"{space}:",
        tuple(file.tables or ()),
        file.sheet,
        file.encoding,
        file.delimiter,
        file.header_row,
        dict(file.columns),
        dict(file.values),
        file.date_order,
        file.decimal,
        named=named,
        url=file.url,
        query=file.query,
    )
