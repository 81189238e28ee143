"""Tables and queries of a database, read only and in chunks.

SQLite and DuckDB files lie in the raw folder; servers are reached by URL, with user and password from
DEALERKIT_DB_USER and DEALERKIT_DB_PASSWORD only. No message holds a URL, a user or a library's own words.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa

from dealerkit.errors import UserError
from dealerkit.ingest.readers import BATCH_ROWS, Batch, Line, Part, as_text, columns_of

#: Kind of server → SQLAlchemy's name with a driver, module of the driver, what to install; best first.
_SERVERS = {
    "postgresql": (
        ("postgresql+psycopg", "psycopg", "psycopg[binary]"),
        ("postgresql+psycopg2", "psycopg2", "psycopg2-binary"),
    ),
    "mysql": (("mysql+pymysql", "pymysql", "pymysql"), ("mysql+mysqldb", "MySQLdb", "mysqlclient")),
}
_FORMS = "sqlite:///file in the raw folder, duckdb:///file in the raw folder, postgresql://host/database, mysql://host/database"


class DatabasePart(Part):
    """A table, or the result of a query.

    Args:
        url: as in the params, without credentials.
        query: SQL, or None for the whole table.
        table: name of the table when there is no query.
        sheet: name of the query in `_sheet`; without it that of the table.
        folder: the raw folder, in which a SQLite or DuckDB file must lie.
    """

    names_only = True

    def __init__(self, url: str, query: str | None, table: str | None, folder: Path, sheet: str = ""):
        self._scheme, _, rest = url.partition("://")
        self._scheme = {"postgres": "postgresql", "mariadb": "mysql"}.get(
            self._scheme.split("+")[0], self._scheme.split("+")[0]
        )
        if not rest or self._scheme not in ("sqlite", "duckdb", *_SERVERS):
            raise UserError(f"url: {self._scheme!r} is no database that can be read", f"use one of {_FORMS}")
        if not query and not table:
            raise UserError(
                f"{self._scheme} database: neither query nor tables say what to read",
                "add query: SELECT … or tables: [service_orders] to its entry in the params",
            )
        self._address, self._folder = re.sub(r"^[^/@]*@", "", rest), folder
        database = unquote(self._address.split("?")[0].rstrip("/").rsplit("/", 1)[-1])
        super().__init__(f"{self._scheme}:{database}", sheet or table or "query")
        self._query, self._whole = query or f"SELECT * FROM {table}", not query
        #: Headers by which a whole table of a server is ordered, since a server returns rows in any order.
        self.order: list[str] = []
        with self._run(f"SELECT * FROM ({self._query.strip().rstrip(';')}) AS looked_at WHERE 1 = 0") as (names, _):
            self._names = names

    def head(self) -> list[Line]:
        return [Line(0, self._names, 0)]

    def batches(self, header: Line) -> Iterator[Batch]:
        sql, first = self._query, 1
        if self._whole and self.order and self._scheme in _SERVERS:
            sql += " ORDER BY " + ", ".join(str(self._names.index(name) + 1) for name in self.order)
        with self._run(sql) as (_, fetch):
            while rows := fetch(BATCH_ROWS):
                columns, _ = columns_of([[as_text(value) for value in row] for row in rows], len(self._names))
                yield Batch(columns, pa.array(range(first, first + len(rows)), pa.int64()), len(rows))
                first += len(rows)

    @contextlib.contextmanager
    def _run(self, sql: str):
        """Column names and a function fetching so many rows."""
        try:
            with contextlib.ExitStack() as stack:
                yield getattr(self, f"_run_{self._scheme}", self._run_server)(sql, stack)
        except UserError:
            raise
        except Exception as error:  # every driver has its own errors, and their words may hold user and host
            raise UserError(
                f"{self}: the database refuses ({type(error).__name__})",
                "check url, query and table names in the params, DEALERKIT_DB_USER and DEALERKIT_DB_PASSWORD, "
                "and that the database can be reached from here",
            ) from None

    def _local(self) -> Path:
        path = inside(unquote(self._address.split("?")[0]).removeprefix("/"), self._folder)
        if not path.is_file():
            raise UserError(
                f"{self.file}: no such file in the raw folder",
                "put the database file there; the path in url is relative to it",
            )
        return path

    def _run_sqlite(self, sql: str, stack: contextlib.ExitStack):
        connection = sqlite3.connect(f"file:{quote(str(self._local()))}?mode=ro", uri=True)
        stack.callback(connection.close)
        cursor = connection.execute(sql)
        return [d[0] for d in cursor.description], cursor.fetchmany

    def _run_duckdb(self, sql: str, stack: contextlib.ExitStack):
        import duckdb

        connection = duckdb.connect(str(self._local()), read_only=True)
        stack.callback(connection.close)
        cursor = connection.execute(sql)
        return [d[0] for d in cursor.description], cursor.fetchmany

    def _run_server(self, sql: str, stack: contextlib.ExitStack):
        drivers = [d for d in _SERVERS[self._scheme] if importlib.util.find_spec(d[1])]
        if not drivers:
            package = _SERVERS[self._scheme][0][2]
            raise UserError(
                f"{self.file}: reading {self._scheme} needs the Python package {package}, which is not installed",
                f"install it into the project's environment: pip install '{package}'",
            )
        import sqlalchemy

        address = sqlalchemy.make_url(f"{drivers[0][0]}://{self._address}").set(
            username=os.environ.get("DEALERKIT_DB_USER"), password=os.environ.get("DEALERKIT_DB_PASSWORD")
        )
        engine = sqlalchemy.create_engine(address)
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect())
        if self._scheme == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
        else:
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        result = connection.execution_options(stream_results=True).execute(sqlalchemy.text(sql.replace(":", r"\:")))
        return list(result.keys()), result.fetchmany


def inside(name: str, folder: Path) -> Path:
    """The path of that name in the folder; `UserError` when it would lead out of it."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\\" in name:
        raise UserError(
            f"{name!r} in the params leads out of the raw folder",
            "give a name inside the raw folder, with / between folders",
        )
    return folder / name
