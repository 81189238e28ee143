"""The engine: an Ibis connection, and the only way tables get from and to Parquet.

Everything analytical is an Ibis expression, so that it runs out of core and does not care which engine
answers. Written files are the same bytes whatever the number of threads: rows are ordered, row groups have
a fixed size, and money is decimal (float sums differ by the order of addition).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit import nodes
from dealerkit.errors import UserError
from dealerkit.params import EngineParams

ROW_GROUP = 100_000
#: Where a value is: its column, or a column and a field of its struct or a place in its list.
Place: TypeAlias = str | tuple[str, str | int]
#: The engine hands out rows in pieces of this size, so that a smaller table keeps one thread busy and others waiting.
ROWS_A_THREAD = 122_880
#: Whether this process makes one page.
_settled = False

nodes.bind_plainly()


@ibis.udf.scalar.builtin
def jaro_winkler_similarity(left: str, right: str) -> float:
    """Jaro–Winkler similarity of two texts, 0 to 1 (the engine's own function)."""


@ibis.udf.scalar.builtin(name="hash")
def hashed(text: str) -> dt.uint64:
    """A number of the text by which to group it, the same for two texts once in 2⁶⁴ (the engine's own function; the
    `hash` of Ibis takes a way round by the text of its bits)."""


@ibis.udf.scalar.builtin
def list_count(values: dt.Array[str]) -> int:
    """How many values of a list are known (the engine's own function)."""


def threads(params: EngineParams, rows: int | None = None) -> int:
    """Threads to use: DEALERKIT_THREADS, else the params, else all cores, but no more than have work on tables of so
    many rows."""
    asked = os.environ.get("DEALERKIT_THREADS")
    if asked is not None and not (asked.isdigit() and int(asked) > 0):
        raise UserError(f"DEALERKIT_THREADS={asked!r} is not a number of threads", "use a whole number from 1")
    busy = 1 + rows // ROWS_A_THREAD if rows is not None else 256
    return int(asked) if asked else params.threads or min(os.cpu_count() or 1, busy)


def connect(params: EngineParams, spill_dir: Path | None = None, rows: int | None = None):
    """An Ibis connection with the params' threads and memory; spills to ``spill_dir``.

    ``rows`` are those of the largest table that it will read, if that is known.
    """
    settings: dict = {"threads": threads(params, rows)}
    if params.memory_gb:
        settings["memory_limit"] = f"{params.memory_gb}GB"
    if spill_dir:
        settings["temp_directory"] = str(spill_dir)
    connection = ibis.duckdb.connect(**settings)
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def read(connection, path: Path) -> ir.Table:
    """The rows of a Parquet file, read when they are asked for."""
    # Not `read_parquet`, which asks the engine for the schema, and spells and parses the type of each column.
    name, place = f"file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}", str(path).replace("'", "''")
    connection.raw_sql(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM read_parquet('{place}')")
    return _held(connection, name, ibis.Schema.from_pyarrow(pq.read_schema(path)))


def _held(connection, name: str, schema: ibis.Schema) -> ir.Table:
    """A table or view that the engine has under ``name`` for as long as it is connected."""
    namespace = ops.Namespace(catalog="temp", database="main")
    return ops.DatabaseTable(name, schema=schema, source=connection, namespace=namespace).to_expr()


def keep(connection, name: str, expression: ir.Table) -> ir.Table:
    """The expression computed once and held by the engine under ``name``."""
    # Not `create_table`, which copies the tree of the whole query several times and asks for the schema again.
    schema, kept = expression.schema(), f'temp.main."{name}"'
    spelling = {kind: connection.compiler.type_mapper.to_string(kind) for kind in set(schema.types)}
    columns = ", ".join(f'"{name}" {spelling[kind]}' for name, kind in schema.items())
    connection.raw_sql(f"DROP TABLE IF EXISTS {kept}; CREATE TEMP TABLE {kept} ({columns})")
    connection.raw_sql(f"INSERT INTO {kept} {_query(connection, expression)}")
    return _held(connection, name, schema)


def union(parts: list[ir.Table], distinct: bool = False) -> ir.Table:
    """The rows of one or more tables of the same columns; ``distinct``: each once."""
    if len(parts) > 1:
        return ibis.union(*parts, distinct=distinct)
    return parts[0].distinct() if distinct else parts[0]


def settle() -> None:
    """Tell the collector that this process makes one page and ends: what was imported and what large steps leave behind
    stays, and need not be gone through again; and it comes less often, since expressions and charts are made of
    thousands of small objects."""
    global _settled
    _settled = True
    gc.freeze()
    gc.set_threshold(10_000)
    atexit.register(gc.unfreeze)  # else the engine takes what is left at the end for a leak, and says so


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection for a while: looking for cycles among millions of cells or the nodes of expressions takes
    as long as the work itself, and finds next to none. Nor afterwards, in a process that makes one page (`settle`)."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _settled:
            gc.freeze()
        if was:
            gc.enable()


def _query(connection, expression: ir.Table) -> str:
    """The expression as the engine's SQL; what it needs beside tables is made known to the engine."""
    merging = ibis.options.sql.fuse_selects
    # What is asked before each query goes through the whole expression four times; this is for what is there at all.
    if expression.op().find((ops.ScalarUDF, ops.InMemoryTable)):
        connection._run_pre_execute_hooks(expression)
    # Steps nested and not merged: the engine does not mind, and merging them is what takes longest.
    ibis.options.sql.fuse_selects = False
    try:
        return connection.compile(expression)
    finally:
        ibis.options.sql.fuse_selects = merging


def counts(
    kept: ir.Table,
    known: Mapping[str, Place],
    true: Mapping[str, Place],
    alike: Mapping[str, Place] | None = None,
) -> dict[str, int]:
    """Rows of a table that is held (as ``rows``), in how many a value is known (as ``known <name>``) or true (as
    ``true <name>``), and whether all that is known is the same (1 or 0, as ``alike <name>``); in one look, whatever the
    number of values."""
    asked = {"rows": "count(*)"} | {f"known {name}": f"count({_value(at)})" for name, at in known.items()}
    asked |= {f"true {name}": f"count_if({_value(at)})" for name, at in true.items()}
    asked |= {f"alike {name}": f"min({_value(at)}) = max({_value(at)})" for name, at in (alike or {}).items()}
    [row] = kept.get_backend().raw_sql(f"SELECT {', '.join(asked.values())} FROM {kept.get_name()}").fetchall()
    return {name: int(n or 0) for name, n in zip(asked, row, strict=True)}


def _value(at: Place) -> str:
    if isinstance(at, str):
        return f'"{at}"'
    column, place = at
    return f'"{column}"."{place}"' if isinstance(place, str) else f'"{column}"[{place + 1}]'


def frame_of(expression: ir.Table) -> pd.DataFrame:
    """The rows as a pandas frame: days and times as datetime64, money as float."""
    # Not `to_pandas`, which makes a Python object of every value of a column with gaps.
    money = {c: expression[c].cast("float64") for c, kind in expression.schema().items() if kind.is_decimal()}
    rows = expression.mutate(**money) if money else expression
    connection = rows.get_backend()
    table = connection.con.sql(_query(connection, rows)).to_arrow_table()
    return table.cast(rows.schema().to_pyarrow()).to_pandas(date_as_object=False)


def batches_of(expression: ir.Table) -> pa.RecordBatchReader:
    """The rows as Arrow batches, never all at once."""
    # Not `to_pyarrow_batches`, which calls a method that this version of the engine no longer has.
    connection = expression.get_backend()
    return connection.con.sql(_query(connection, expression)).to_arrow_reader(ROW_GROUP)


def write(expression: ir.Table, path: Path, order_by: list[str]) -> int:
    """Write the rows, ordered, as Parquet under a temporary name and rename; returns the rows written."""
    with batches_of(expression.order_by(order_by)) as batches:
        return write_batches(batches, batches.schema, path)


def write_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """Write batches of this schema as Parquet under a temporary name and rename, in row groups of one size whatever the
    size of the batches; returns the rows written."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    rows, waiting, held = 0, [], 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for batch in batches:
            waiting.append(batch)
            held += batch.num_rows
            rows += batch.num_rows
            if held >= ROW_GROUP:
                table = pa.Table.from_batches(waiting, schema).combine_chunks()
                full = held - held % ROW_GROUP
                writer.write_table(table.slice(0, full), row_group_size=ROW_GROUP)
                waiting, held = table.slice(full).to_batches(), held - full
        # an empty group has no least and no largest value, and readers then do without those of all groups
        if held:
            writer.write_table(pa.Table.from_batches(waiting, schema).combine_chunks(), row_group_size=ROW_GROUP)
    part.replace(path)
    return rows


def write_frame(frame: pd.DataFrame, path: Path) -> int:
    """Write a frame in its own order as Parquet under a temporary name and rename; returns its rows."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    # a column without any value has no type of its own; as text it can be joined and compared
    known = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    table = table.cast(pa.schema(known))
    pq.write_table(table, part, compression="zstd", row_group_size=ROW_GROUP)
    part.replace(path)
    return len(frame)
