"""Further keyed tables (`extra_factors` in the params): which files hold them, and where their columns are.

They are read like all other files, into ``raw_extra_<name>.parquet``, and feed no canonical table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.ingest import files, headers
from dealerkit.ingest.feed import Plan
from dealerkit.ingest.headers import Entry, Feed, Unrecognised
from dealerkit.ingest.readers import Part, plain
from dealerkit.params import ExtraTableParams, Params, nearest
from dealerkit.params.extra import DATED


@dataclass(frozen=True)
class Extra:
    """A further table, and how each of its parts is read."""

    table: ExtraTableParams
    plans: list[Plan]


def look_at(params: Params, raw_dir: Path, problems: list[UserError]) -> list[Extra]:
    """Open the files of the further tables and find their columns; adds to ``problems`` what is wrong."""
    if not params.extra_factors:
        return []
    there = files._listed(raw_dir, params, files.Look())
    return [_look(place, table, params, raw_dir, there, problems) for place, table in enumerate(params.extra_factors)]


def _look(
    place: int, table: ExtraTableParams, params: Params, raw_dir: Path, there: list[str], problems: list[UserError]
) -> Extra:
    where, found = f"extra_factors.{place}", Extra(table, [])
    if table.ids_from and table.ids_from not in params.sources:
        problems.append(
            UserError(
                f"{where}.ids_from ({table.name}) = {table.ids_from!r} is not under sources: "
                f"({', '.join(params.sources)}){nearest(table.ids_from, params.sources)}",
                "name one of the sources, or leave ids_from: out",
            )
        )
        return found
    entry = _entry(table, params)
    names = [table.url.split("://")[0]] if table.url else files.matching(table.file, there)
    if not names:
        problems.append(
            UserError(
                f"{where}.file ({table.name}) = {table.file!r}: no such file in the raw folder{nearest(table.file, there)}",
                f"it holds {', '.join(there[:20])}{' …' if len(there) > 20 else ''}; mend the params",
            )
        )
    for name in names:
        wrong: list[UserError] = []
        try:
            parts, _empty = files._parts(raw_dir, name, entry)
            plans = [plan for part in parts if (plan := _plan(part, entry, table, where, wrong))]
        except UserError as error:
            plans, wrong = [], [error]
        found.plans.extend(plans)
        # Of a workbook, sheets with other headers are none of ours; where no sheet is right, all are wrong.
        problems += [] if plans else wrong
    return found


def _entry(table: ExtraTableParams, params: Params) -> Entry:
    space = table.ids_from or params.sources[0]
    return Entry(
        space,
        "" if space == params.sources[0] else f"{space}:",
        sheet=table.sheet or (table.name if table.url else None),
        encoding=table.encoding,
        delimiter=table.delimiter,
        header_row=table.header_row,
        columns=table.headers,
        date_order=table.date_order,
        decimal=table.decimal,
        named=True,
        url=table.url,
        query=table.query,
    )


def _plan(part: Part, entry: Entry, table: ExtraTableParams, where: str, problems: list[UserError]) -> Plan | None:
    """Where each column of the table stands in the part; adds to ``problems`` what is not there."""
    try:
        at = headers.find_header(part, entry)
    except Unrecognised as why:
        problems.append(
            UserError(f"{part}: {why}", f"{where} ({table.name}) looks for {', '.join(table.headers.values())}")
        )
        return None
    cells = part.head()[at].cells
    folded = [tables.fold(cell) if cell else "" for cell in cells]
    columns, wrong = {}, []
    for name, header in table.headers.items():
        position = headers._position(header, cells, folded)
        if position is None:
            key = {table.key: "key_header", DATED: "date"}.get(name, f"columns.{name}")
            wrong.append(
                _no_header(
                    part,
                    f"{where}.{key} ({table.name}) = {plain(header)!r}: the file has no such header",
                    cells,
                    header,
                    entry,
                )
            )
        else:
            columns[name] = position
    if not table.key_header:
        _find_key(part, entry, table, where, cells, folded, columns, wrong)
    problems += wrong
    return None if wrong else Plan(part, entry, at, [Feed(table.declared, columns)])


def _find_key(
    part: Part,
    entry: Entry,
    table: ExtraTableParams,
    where: str,
    cells: list[str],
    folded: list[str],
    columns: dict,
    wrong: list,
) -> None:
    """The key by the spellings of the canonical column, where one header alone has one of them."""
    home = tables.TABLES["vehicles" if table.key in ("vin", "plate") else "customers"]
    index = tables.header_index(home)
    found = [at for at, header in enumerate(folded) if header and index.get(header) == table.key]
    if len(found) == 1:
        columns[table.key] = found[0]
        return
    named = f": {', '.join(plain(cells[at]) for at in found)}" if found else ""
    said = f"{where}.key ({table.name}) = {table.key!r}: {'several headers' if found else 'no header'} of the file"
    wrong.append(
        _no_header(part, f"{said} can be it{named}", cells, home[table.key].en, entry, "add key_header: to its entry")
    )


def _no_header(
    part: Part, said: str, cells: list[str], header: str, entry: Entry, remedy: str = "mend the params"
) -> UserError:
    near = nearest(header, [plain(cell) for cell in headers.nameable(cells, entry)])
    return UserError(f"{part}: {said}; {headers.headers_found(cells, entry)}", f"{remedy}{near}")
