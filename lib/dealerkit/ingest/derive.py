"""What is made after reading: line numbers, repeated parents folded, and customers and vehicles nobody delivered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit import engine, tables
from dealerkit.ingest.feed import ORIGIN, Plan, Sink, schema

#: What makes rows of one part of one file, and of one kind.
_PLACE = "_source, _file, _sheet, _kind"


def finish(connection, sink: Sink, table: str, plans: list[Plan]) -> None:
    """Rewrite a table where its rows need a look at each other.

    A record that a file repeats unchanged on each of its parts' rows (an order on each of its lines) becomes
    one row, the first. Lines without a number are numbered within their order and file.
    """
    feeding = [p for p in plans if table in p.tables]
    repeating = [p for p in feeding if any(c.ref == table for f in p.feeds for c in f.table.columns)]
    unnumbered = [p for p in feeding if any(f.table.name == table and "line_no" in f.made for f in p.feeds)]
    if not repeating and not unnumbered:
        return
    names = tables.TABLES[table].names
    columns = [*names, *ORIGIN.names]
    if unnumbered:
        columns[columns.index("line_no")] = f"""
            CASE WHEN _kind = 'row' AND {_of(unnumbered)}
            THEN CAST(row_number() OVER (PARTITION BY {_PLACE}, order_id ORDER BY n) AS VARCHAR)
            ELSE line_no END AS line_no"""
    first = f"row_number() OVER (PARTITION BY {', '.join(names)}, {_PLACE} ORDER BY n) = 1"
    kept = f"QUALIFY NOT (_kind = 'row' AND {_of(repeating)}) OR {first}" if repeating else ""
    sql = f"SELECT {', '.join(columns)} FROM (SELECT * FROM {_rows(sink.path(table))} {kept}) ORDER BY n"
    _save(sink.path(table), table, _answer(connection, sql))


def add_derived(connection, sink: Sink, table: str) -> int:
    """Append the vehicles or customers that other tables name and no row of this table has; returns how many."""
    path = sink.path(table)
    sql = _vehicles(sink) if table == "vehicles" else _customers(sink)
    if not path.exists():
        return _save(path, table, _answer(connection, sql))
    before = pq.ParquetFile(path)
    return (
        _save(path, table, chain(before.iter_batches(engine.ROW_GROUP), _answer(connection, sql)))
        - before.metadata.num_rows
    )


def rows_in(path: Path) -> int:
    """Rows of a Parquet file."""
    return pq.ParquetFile(path).metadata.num_rows


def _text(value: str | Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _rows(path: Path) -> str:
    """The rows of a written table, `n` being their place in it."""
    return f"(SELECT *, file_row_number AS n FROM read_parquet({_text(path)}, file_row_number = true))"


def _of(plans: list[Plan]) -> str:
    """Condition that a row comes from one of the plans."""
    places = sorted({(p.entry.source, p.part.file, p.part.sheet) for p in plans})
    return f"(_source, _file, _sheet) IN ({', '.join('(' + ', '.join(map(_text, place)) + ')' for place in places)})"


def _vehicles(sink: Sink) -> str:
    """One vehicle per VIN of the visits, with the last customer id given for it; origin is its first visit."""
    given = {"vin": "min_by(trim(vin), n)", "customer_id": "max_by(customer_id, n) FILTER (customer_id IS NOT NULL)"}
    return f"""
        {_select("vehicles", given, "n")}
        FROM (SELECT *, upper(trim(vin)) AS vin_key FROM {_rows(sink.path("service_orders"))})
        WHERE _kind = 'row' AND vin_key <> '' AND {_not_in(sink, "vehicles", "vin_key", "upper(trim(vin))")}
        GROUP BY vin_key ORDER BY min(n)"""


def _customers(sink: Sink) -> str:
    """One customer per id that visits, vehicles or sales name; origin is the first row that does."""
    naming = [n for n in ("service_orders", "vehicles", "sales_orders") if sink.path(n).exists()]
    columns = ", ".join(["trim(customer_id) AS customer_id", *(n for n in ORIGIN.names if n != "_derived")])
    union = " UNION ALL ".join(
        f"SELECT {columns}, ({at}, n) AS n FROM {_rows(sink.path(n))}" for at, n in enumerate(naming)
    )
    return f"""
        {_select("customers", {"customer_id": "customer_id"}, "n")}
        FROM ({union})
        WHERE _kind = 'row' AND customer_id <> '' AND {_not_in(sink, "customers", "customer_id", "trim(customer_id)")}
        GROUP BY customer_id ORDER BY min(n)"""


def _not_in(sink: Sink, table: str, key: str, known: str) -> str:
    """Condition that a key is none of the table's own so far."""
    path = sink.path(table)
    if not path.exists():
        return "true"
    return f"{key} NOT IN (SELECT {known} FROM {_rows(path)} WHERE _kind = 'row' AND {known} IS NOT NULL)"


def _select(table: str, given: dict[str, str], order: str) -> str:
    """SELECT of a derived table from groups: the given columns, nulls, and the origin of the group's first row."""
    columns = [f"{given.get(name, 'CAST(NULL AS VARCHAR)')} AS {name}" for name in tables.TABLES[table].names]
    origin = {name: f"arg_min({name}, {order})" for name in ORIGIN.names} | {"_kind": "'row'", "_derived": "true"}
    return f"SELECT {', '.join(columns + [f'{value} AS {name}' for name, value in origin.items()])}"


def _answer(connection, sql: str) -> Iterator[pa.RecordBatch]:
    return iter(connection.con.sql(sql).to_arrow_reader(engine.ROW_GROUP))


def _save(path: Path, table: str, batches: Iterable[pa.RecordBatch]) -> int:
    """Replace the file; returns the rows."""
    target = schema(tables.TABLES[table])
    return engine.write_batches((batch.cast(target) for batch in batches), target, path)
