"""The tables that the pages of a report left, read by the rows of one person or one car."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq

from dealerkit import engine
from dealerkit.chain.folders import Folders
from dealerkit.errors import UserError
from dealerkit.params import Params


class Built:
    """What `build/<dealer>/` holds.

    Attributes:
        folders, params: of the dealer.
    """

    def __init__(self, folders: Folders, params: Params):
        self.folders, self.params = folders, params
        self._paths = {p.stem: p for p in sorted(folders.build.glob("[0-9][0-9]-*/*.parquet"))}

    @cached_property
    def _connection(self):
        return engine.connect(self.params.engine)

    @cached_property
    def facts(self) -> dict[str, object]:
        """Facts of the page on data quality: name → value."""
        import json

        text = (self.folders.build / "10-audit/facts.json").read_text(encoding="utf-8")
        return {name: fact["value"] for name, fact in json.loads(text).items()}

    @cached_property
    def as_of(self) -> date:
        """The day of the tables."""
        return date.fromisoformat(self.facts["as_of"])

    def has(self, name: str) -> bool:
        """Whether a table is there."""
        return name in self._paths

    def columns(self, name: str) -> list[str]:
        """Columns of a table; none when it is not there."""
        return pq.read_schema(self._paths[name]).names if self.has(name) else []

    def table(self, name: str) -> ir.Table:
        """A table, lazily."""
        if not self.has(name):
            raise UserError(f"no table {name!r}", f"`make report DEALER={self.folders.dealer}` builds it")
        return engine.read(self._connection, self._paths[name])

    def rows(self, name: str, **among: Sequence) -> pd.DataFrame:
        """Rows of a table whose columns hold one of the values given; without rows when the table is not there.

        Only the rows asked for are read into memory, whatever the size of the table.
        """
        if not self.has(name):
            return pd.DataFrame()
        wanted = {column: sorted({v for v in values if isinstance(v, str)}) for column, values in among.items()}
        if not all(wanted.values()):
            return pq.read_schema(self._paths[name]).empty_table().to_pandas()
        table = self.table(name)
        for column, values in wanted.items():
            table = table.filter(table[column].isin(values))
        return engine.frame_of(table)

    def is_older(self, page: str, than: str) -> bool:
        """Whether a page was made before another one; also when it was not made."""
        first, second = (self.folders.build / f"{stage}.ipynb" for stage in (page, than))
        return not first.exists() or second.exists() and first.stat().st_mtime_ns < second.stat().st_mtime_ns
