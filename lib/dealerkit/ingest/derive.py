"""What is made after reading: line numbers, repeated parents folded, and customers and vehicles nobody delivered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit import tables
from dealerkit.ingest.feed import Plan, Sink, schema

_CHUNK = 65_536


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _of(plans: list[Plan]) -> str:
    """Condition that a row comes from one of the plans."""
    places = sorted({(p.entry.source, p.part.file, p.part.sheet) for p in plans})
    rows = ", ".join(f"({', '.join(map(_text, place))})" for place in places)
    return f"(_source, _file, _sheet) IN ({rows})" if places else "false"


def finish(connection, sink: Sink, table: str, plans: list[Plan]) -> None:
    """Rewrite a table where its rows need a look at each other.

    A record that a file of several tables repeats unchanged on several rows (an order on each of its lines)
    becomes one row, the first. Lines without a number are numbered within their order and file.
    """
    feeding = [p for p in plans if table in p.tables]
    several = [p for p in feeding if len(p.feeds) > 1 and table != "service_lines"]
    unnumbered = [p for p in feeding if any("line_no" in f.made for f in p.feeds)] if table == "service_lines" else []
    if not several and not unnumbered:
        return
    names = tables.TABLES[table].names
    every = ", ".join(names)
    place = "_source, _file, _sheet, _kind"
    numbered = (f"CASE WHEN _kind = 'row' AND {_of(unnumbered)} THEN CAST(row_number() OVER (PARTITION BY {place}, order_id ORDER BY n) AS VARCHAR) "
                "ELSE line_no END AS line_no") if unnumbered else ""
    chosen = ", ".join(numbered if numbered and n == "line_no" else n for n in [*names, *(f.name for f in schema(tables.TABLES[table]) if f.name not in names)])
    kept = (f"QUALIFY NOT (_kind = 'row' AND {_of(several)}) OR row_number() OVER (PARTITION BY {every}, {place} ORDER BY n) = 1" if several else "")
    path = sink.path(table)
    sql = (f"SELECT {chosen} FROM (SELECT *, file_row_number AS n FROM read_parquet({_text(str(path))}, file_row_number = true) {kept}) ORDER BY n")
    new = path.with_name(path.name + ".new")
    _save(new, table, _answer(connection, sql))
    new.replace(path)


def add_derived(connection, sink: Sink, table: str) -> int:
    """Append the vehicles or customers that other tables name and no row of this table has; returns how many."""
    path = sink.path(table)
    sql = _vehicles(sink) if table == "vehicles" else _customers(sink)
    new = path.with_name(path.name + ".new")
    old = pq.ParquetFile(path).iter_batches(_CHUNK) if path.exists() else iter(())
    before = pq.ParquetFile(path).metadata.num_rows if path.exists() else 0
    rows = _save(new, table, (b for source in (old, _answer(connection, sql) if sql else ()) for b in source))
    new.replace(path)
    return rows - before


def _vehicles(sink: Sink) -> str:
    """One vehicle per VIN of the visits, with the last customer id given for it; origin is its first visit."""
    visits = _text(str(sink.path("service_orders")))
    known = sink.path("vehicles")
    unknown = f"AND vin_key NOT IN (SELECT upper(trim(vin)) FROM read_parquet({_text(str(known))}) WHERE vin IS NOT NULL AND _kind = 'row')" if known.exists() else ""
    return _select("vehicles", {"vin": "min_by(trim(vin), n)", "customer_id": "max_by(customer_id, n) FILTER (customer_id IS NOT NULL)"}) + f"""
        FROM (SELECT *, upper(trim(vin)) AS vin_key, file_row_number AS n FROM read_parquet({visits}, file_row_number = true))
        WHERE _kind = 'row' AND vin_key <> '' {unknown}
        GROUP BY vin_key ORDER BY min(n)"""


def _customers(sink: Sink) -> str:
    """One customer per id that visits, vehicles or sales name; origin is the first row that does."""
    naming = [sink.path(name) for name in ("service_orders", "vehicles", "sales_orders") if sink.path(name).exists()]
    union = " UNION ALL ".join(
        f"SELECT trim(customer_id) AS customer_id, _source, _file, _sheet, _row, _kind, _date_order, {rank} AS t, file_row_number AS n "
        f"FROM read_parquet({_text(str(path))}, file_row_number = true)" for rank, path in enumerate(naming))
    known = sink.path("customers")
    unknown = (f"AND customer_id NOT IN (SELECT trim(customer_id) FROM read_parquet({_text(str(known))}) WHERE customer_id IS NOT NULL AND _kind = 'row')"
               if known.exists() else "")
    return _select("customers", {"customer_id": "customer_id"}, "(t, n)") + f"""
        FROM ({union}) WHERE _kind = 'row' AND customer_id <> '' {unknown}
        GROUP BY customer_id ORDER BY min((t, n))"""


def _select(table: str, given: dict[str, str], order: str = "n") -> str:
    """SELECT of a derived table's columns from groups: the given ones, nulls, and the origin of the group's first row."""
    names = tables.TABLES[table].names
    columns = [f"{given.get(name, 'CAST(NULL AS VARCHAR)')} AS {name}" for name in names]
    origin = [f"arg_min({name}, {order}) AS {name}" for name in ("_source", "_file", "_sheet", "_row")]
    return f"SELECT {', '.join([*columns, *origin])}, 'row' AS _kind, arg_min(_date_order, {order}) AS _date_order, true AS _derived"


def _answer(connection, sql: str) -> Iterator[pa.RecordBatch]:
    return iter(connection.raw_sql(sql).to_arrow_reader(_CHUNK))


def _save(path: Path, table: str, batches: Iterator[pa.RecordBatch]) -> int:
    """Write batches in row groups of one size, so that the bytes do not depend on how they came; returns the rows."""
    target = schema(tables.TABLES[table])
    waiting, held, rows = [], 0, 0
    with pq.ParquetWriter(path, target, compression="zstd") as writer:
        for batch in batches:
            waiting.append(pa.Table.from_batches([batch]).cast(target))
            held += batch.num_rows
            rows += batch.num_rows
            if held >= _CHUNK:
                whole = pa.concat_tables(waiting).combine_chunks()
                full = held - held % _CHUNK
                writer.write_table(whole.slice(0, full), row_group_size=_CHUNK)
                waiting, held = [whole.slice(full)], held - full
        if held:
            writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=_CHUNK)
    return rows


def rows_in(path: Path) -> int:
    """Rows of a Parquet file."""
    return pq.ParquetFile(path).metadata.num_rows
