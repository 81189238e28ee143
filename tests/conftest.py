"""What several test files share: a steady Hypothesis profile, small raw tables by hand, one generated dealer."""

from __future__ import annotations

import gc
import os
import signal
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from dealerkit import engine, tables
from dealerkit import params as params_
from dealerkit.audit import LINEAGE as CLEAN_LINEAGE
from dealerkit.audit import Audited, audit
from dealerkit.audit.standard import plain_texts, typed
from dealerkit.demo import generate
from dealerkit.identity import Identified, identify
from dealerkit.ingest import ingest
from hypothesis import HealthCheck, settings

# Hundreds of tests start the kit in a process of its own: none should translate its modules once more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples on every machine and in every run, however slow the machine is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("many", settings.get_profile("steady"), derandomize=False, max_examples=200)
settings.load_profile("steady")

LINEAGE = {"_source": "dms", "_file": "{table}.csv", "_kind": "row", "_date_order": None, "_derived": False}


def _raw(connection, name: str, rows: list[dict]):
    """A raw table as ingest writes it, rows from line 2 of <table>.csv unless a row says otherwise."""
    columns = [*tables.table(name).names, "_source", "_file", "_sheet", "_row", "_kind", "_date_order", "_derived"]
    unknown = {key for row in rows for key in row} - set(columns)
    assert not unknown, f"{name} has no columns {unknown}"
    made = [
        {k: v.format(table=name) if k == "_file" else v for k, v in LINEAGE.items()} | {"_sheet": "", "_row": i} | row
        for i, row in enumerate(rows, start=2)
    ]
    kinds = {"_row": pa.int64(), "_derived": pa.bool_()}
    schema = pa.schema([(c, kinds.get(c, pa.string())) for c in columns])
    frame = pa.table({c: [row.get(c) for row in made] for c in columns}, schema=schema)
    return engine.keep(connection, f"given_{name}", ibis.memtable(frame))


@pytest.fixture(scope="session")
def new_connection():
    """Makes a connection of its own: audits on one connection would overwrite each other's tables."""
    opened = []

    def make():
        opened.append(engine.connect(params_.EngineParams(threads=2)))
        return opened[-1]

    yield make
    for connection in opened:
        connection.disconnect()


@pytest.fixture(scope="session")
def audit_of(new_connection):
    """Audits tables given as lists of rows (table → list of {column: text}), with params and a day asked for."""

    def run(given: dict[str, list[dict]], asked: date | None = None, **params) -> Audited:
        connection = new_connection()
        raw = {name: _raw(connection, name, rows) for name, rows in given.items()}
        made = params_.Params.model_validate({"dealer": "x", "display_name": "X", "gate": "off"} | params)
        return audit(connection, raw, made, asked)

    return run


@pytest.fixture(scope="session")
def clean_of(new_connection):
    """Clean tables of rows without a fault (table → list of {column: text}), made standard and not checked; and their
    connection."""

    def run(given: dict[str, list[dict]]) -> tuple[object, dict]:
        connection, clean = new_connection(), {}
        for name, rows in given.items():
            table = tables.table(name)
            texts = plain_texts(_raw(connection, name, rows), table)
            made = typed(texts, table, {}).select(*table.names, *CLEAN_LINEAGE)
            clean[name] = engine.keep(connection, f"clean_{name}", made)
        return connection, clean

    return run


@dataclass(frozen=True)
class Demo:
    """A generated dealer, audited, with what the generator knows about it."""

    params: params_.Params
    connection: object
    raw: dict[str, pd.DataFrame]
    truth_dir: Path
    audited: Audited

    def truth(self, name: str) -> pd.DataFrame:
        """A table of the truth: faults, records, persons, cars, leads, uplift."""
        return pd.read_parquet(self.truth_dir / f"{name}.parquet")


@pytest.fixture(scope="session")
def demo(tmp_path_factory, new_connection) -> Demo:
    """`demo` with 600 customers: generated, ingested and audited once; the truth beside it."""
    base = tmp_path_factory.mktemp("demo")
    generate("demo", base / "raw", base / "truth", customers=600, seed=7)
    made = params_.Params(dealer="demo", display_name={"en": "Demo", "zh": "Demo"})
    read = ingest(made, base / "raw", base / "out")
    connection = new_connection()
    raw = {name: connection.read_parquet(t.path, table_name=f"given_{name}") for name, t in read.tables.items()}
    frames = {name: pd.read_parquet(t.path) for name, t in read.tables.items()}
    return Demo(made, connection, frames, base / "truth", audit(connection, raw, made))


@pytest.fixture(scope="session")
def demo_persons(demo) -> Identified:
    """The persons of the generated dealer."""
    return identify(demo.connection, demo.audited.clean, demo.params, demo.audited.as_of.day)


def pytest_configure():
    """Let Ctrl-C reach what the tests start, also where they run in the background and were told to pay no heed to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Let the collector look less often: for the trees of queries that tests build it goes through everything again and
    again, a tenth of the time of all tests, and finds next to nothing."""
    gc.set_threshold(50_000, 20, 20)


#: Files that take longest, the longest first; with them at the front two workers end at about the same time.
LONGEST = (
    "test_flow",
    "test_bad_input",
    "test_hard_ends",
    "test_edge_dealers",
    "test_newdealer",
    "test_identity",
    "test_profile",
    "test_owner_left",
    "test_fixlist",
    "test_stable_ids",
    "test_audit",
    "test_extra_factors",
)


def pytest_collection_modifyitems(items):
    """Put the longest files first; the order within a file stays."""
    rank = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
