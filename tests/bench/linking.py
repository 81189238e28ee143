"""How well records are joined into persons, and how fast.

    python tests/bench/linking.py [--febrl] [--dealers 5] [--million 1000000] [--train]

``--febrl``: FEBRL3 at the threshold .5 without a label (to be reached: F1 .998, without soc_sec_id .992). ``--dealers N``:
generated dealers of 20,000 customers, N seeds each of the two kinds, against their truth (to be reached: F1 .97, precision
.99). ``--million N``: N generated customer records, by the kit from its clean tables to the persons, and by bare splink from
prepared columns with the same rules and weights to its clusters, each in a process of its own on two threads (to be reached:
1.3 times the processor time of bare splink, 3 GB). ``--train``: counts the weights of `identity.weights` on generated dealers. Without any: the
first three.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from dealerkit import engine, identity, tables
from dealerkit.audit import audit
from dealerkit.demo import cards as second_cards
from dealerkit.demo import frames, generate, people, types, world
from dealerkit.identity import linking, records, weights
from dealerkit.ingest import ingest
from dealerkit.params import EngineParams, Params, load

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 9, 30)
THREADS = 2


# -- generated dealers ----------------------------------------------------------------------------------------------


def dealer(kind: str, seed: int, customers: int, folder: Path):
    """Connection, clean tables, params and truth of a generated dealer."""
    generate(kind, folder / "raw", folder / "truth", customers=customers, seed=seed)
    params = load(ROOT / f"params/{kind}.yaml").overridden({"gate": "off"})
    read = ingest(params, folder / "raw", folder / "out")
    connection = engine.connect(EngineParams(threads=THREADS))
    raw = {name: connection.read_parquet(t.path, table_name=f"given_{name}") for name, t in read.tables.items()}
    clean = audit(connection, raw, params).clean
    return connection, clean, params, pd.read_parquet(folder / "truth/records.parquet")


def of_truth(found: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The records that the truth knows, with ``person_id`` and the true one as ``true``."""
    told = found.assign(number=found["customer_id"].str.rpartition(":")[2])
    true = truth.rename(columns={"person_id": "true"})[["customer_id", "true"]]
    return told.merge(true, left_on="number", right_on="customer_id", suffixes=("", "_true"), validate="many_to_one")


def pair_count(frame: pd.DataFrame, by: str | list[str]) -> int:
    sizes = frame.groupby(by).size().to_numpy()
    return int((sizes * (sizes - 1) // 2).sum())


def dealers(seeds: int, customers: int) -> None:
    import febrl

    for kind in ("demo", "demo_cn"):
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                connection, clean, params, truth = dealer(kind, seed, customers, Path(folder))
                began = time.process_time()
                found = identity.identify(connection, clean, params, DAY)
                took = time.process_time() - began
                known = of_truth(found.records, truth)
                own = known[known["source"] == "dms"]
                rows = {"cards": own, "all records": known} if known["source"].nunique() > 1 else {"cards": own}
                for name, part in rows.items():
                    both = pair_count(part, ["person_id", "true"])
                    said = febrl.rates(both, pair_count(part, "person_id"), pair_count(part, "true"))
                    print(f"{kind} seed {seed} {name} {len(part):,}: {said}, {took:.1f} s CPU", flush=True)
                connection.disconnect()


# -- a million records, and bare splink beside it ---------------------------------------------------------------------


def cards(count: int, seed: int = 1) -> pd.DataFrame:
    """So many generated customer cards, 2 % of them second ones, as the clean table has them."""
    parts, made, shift = [], 0, world.seed_shift(seed)
    while made < count:
        rng = np.random.default_rng([seed, made])
        block = min(world.BLOCK, count - made)
        persons = people.make_persons(rng, made, block, shift, "zh", types.USUAL)
        again = persons[rng.random(block) < 0.02].rename(columns={"name": "name_"})
        again["name"] = [second_cards.name_variant(rng, person, "zh") for person in again.itertuples()]
        again["has_birth"], again["address"] = False, None
        again["has_id"] &= rng.random(len(again)) < 0.4
        parts.append(pd.concat([persons, again.drop(columns="name_")]).head(count - made))
        made += len(parts[-1])
    return _as_table(pd.concat(parts, ignore_index=True))


def _as_table(made: pd.DataFrame) -> pd.DataFrame:
    company = made["company"].to_numpy(dtype=bool)
    given = {
        "customer_id": [f"C{i:07d}" for i in range(len(made))],
        "customer_type": np.where(company, "company", "person"),
        "gender": np.where(company, None, np.where(made["female"], "f", "m")),
        "birth_date": pd.to_datetime(frames.dates(np.where(made["has_birth"], made["birth"], people.NEVER))),
        "id_number": np.where(made["has_id"], made["id_number"], None),
        "phone_alt": np.where(made["has_alt"], made["phone_alt"], None),
    }
    given |= {name: made[name].to_numpy() for name in ("name", "phone", "address", "residential_area", "employer")}
    return pd.DataFrame(given).assign(_source="dms")


def _clean(connection, folder: Path) -> dict:
    """The cards as the clean table of customers, and no car."""
    found = {"customers": connection.read_parquet(folder / "customers.parquet")}
    kinds = {
        "date": "date",
        "time": "timestamp",
        "int": "int64",
        "number": "float64",
        "money": "decimal(18,2)",
        "bool": "boolean",
    }
    for name in ("customers", "vehicles", "service_orders"):
        schema = {c.name: kinds.get(c.type, "string") for c in tables.TABLES[name].columns} | {"_source": "string"}
        if name == "customers":
            more = {c: ibis.null(kind) for c, kind in schema.items() if c not in found[name].columns}
            found[name] = found[name].mutate(**more).cast({"birth_date": "date"})
        else:
            found[name] = connection.create_table(name, schema=schema, temp=True)
    return found


def ours(folder: Path) -> None:
    """From clean tables to persons."""
    import splink  # noqa: F401  beforehand, as `bare` does

    connection = engine.connect(EngineParams(threads=THREADS))
    clean, params, began = _clean(connection, folder), Params(dealer="x", display_name="X"), time.process_time()
    read = records.read(connection, clean, params)
    prepared = time.process_time()
    scored = linking.link(connection, read.nodes, read.keys, params.identity.max_names_per_key)
    size = int(read.nodes.count().to_pyarrow().as_py())
    nobody = pd.DataFrame({"a": [], "b": []}, dtype="int64")
    joined = identity.joined(read, scored, size, identity.decisions.Forced(nobody, nobody), params)
    ended = time.process_time()
    told = {"prepare": prepared - began, "link": ended - prepared, "pairs": scored.compared}
    (folder / "ours.json").write_text(json.dumps(told | {"persons": int(len(np.unique(joined.group)))}))


def prepare(folder: Path) -> None:
    """The columns that bare splink needs, made beforehand."""
    connection = engine.connect(EngineParams(threads=THREADS))
    read = records.read(connection, _clean(connection, folder), Params(dealer="x", display_name="X"))
    nodes = read.nodes.mutate(sounds=ibis.least(_sound(read), read.nodes.name_turned.coalesce(_sound(read))))
    company = read.light.select(
        c_node="node", private=(read.light.kind != "company").fill_null(True) & read.light.name_full
    )
    nodes = nodes.inner_join(company, nodes.node == company.c_node)
    nodes = nodes.mutate(sounds=nodes.private.ifelse(nodes.sounds, ibis.null("string")))
    nodes.drop("c_node", "private", *(c for c in nodes.columns if c.startswith("tf_"))).to_parquet(
        folder / "nodes.parquet"
    )


def _sound(read) -> ibis.Value:
    return read.nodes.name_sound


def bare(folder: Path) -> None:
    """splink alone: its blocking, prediction and clustering."""
    import duckdb
    from splink import DuckDBAPI, Linker, block_on

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(f"CREATE TABLE nodes AS FROM read_parquet('{folder / 'nodes.parquet'}')").fetchall()
    [(size,)] = connection.execute("SELECT count(*) FROM nodes").fetchall()
    began = time.process_time()
    settings = linking.settings(size)
    settings.blocking_rules_to_generate_predictions = [
        block_on("valid_id"),
        block_on("phones", arrays_to_explode=["phones"]),
        block_on("sounds", "birth"),
        block_on("sounds", "residential_area"),
    ]
    linker = Linker(DuckDBAPI(connection).register("nodes"), settings, log_level=None)
    found = linker.inference.predict(threshold_match_probability=linking.LEAST, warning_mode="never")
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(found, 0.8)
    [(count,)] = connection.execute(f"SELECT count(DISTINCT cluster_id) FROM {clusters.physical_name}").fetchall()
    (folder / "bare.json").write_text(json.dumps({"link": time.process_time() - began, "persons": count}))


def million(count: int) -> None:
    import processes

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cards(count).to_parquet(folder / "customers.parquet")
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT / "lib"), str(ROOT / "tests/bench")]))
        prepare(folder)
        seen = {}
        for way in ("bare", "ours", "bare", "ours"):
            used = processes.measure([sys.executable, __file__, "--child", way, name], ROOT, environment)
            told = json.loads((folder / f"{way}.json").read_text())
            seen.setdefault(way, []).append((told["link"], told["link"] + told.get("prepare", 0)))
            print(
                f"{count:,} records, {way}: {told}, CPU {used.cpu:.1f} s, wall {used.wall:.1f} s, {used.largest_mb:,.0f} MB",
                flush=True,
            )
        alone, whole = np.min(seen["ours"], axis=0) / np.min(seen["bare"], axis=0)
        print(
            f"kit / bare splink, processor time, best of two: {alone:.2f}, with the preparation of names and keys {whole:.2f}"
        )


# -- weights --------------------------------------------------------------------------------------------------------


def train(seeds: int, customers: int) -> None:
    """m and u of each level, counted over generated dealers of known truth; what u stands for is said in `weights`."""
    totals: dict[tuple[str, str], np.ndarray] = {}
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            connection, clean, params, truth = dealer("demo_cn", seed, customers, Path(folder))
            found = identity.identify(connection, clean, params, DAY)
            true = of_truth(found.records, truth).set_index("customer_id")["true"]
            ends = [found.pairs[f"customer_id_{side}"].map(true) for side in "ab"]
            known = ends[0].notna() & ends[1].notna()
            same = (ends[0] == ends[1])[known].to_numpy()
            for comparison in weights.COMPARISONS:
                levels = found.pairs.loc[known, comparison.name].to_numpy(dtype=object)
                for level in comparison.levels:
                    at = levels == level.name
                    counts = np.array(
                        [(at & same).sum(), (pd.notna(levels) & same).sum(), (at & ~same).sum(), len(true)]
                    )
                    key = (comparison.name, level.name)
                    totals[key] = totals.get(key, np.zeros(4)) + counts
            connection.disconnect()
    for (comparison, name), (agree, pairs, chance, size) in totals.items():
        print(
            f"{comparison:10} {name:12} m {agree / max(pairs, 1):.4f}   other persons per record {2 * chance / size:.5f}"
        )


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--febrl", action="store_true")
    given.add_argument("--dealers", type=int, metavar="SEEDS")
    given.add_argument("--customers", type=int, default=20_000)
    given.add_argument("--million", type=int, metavar="RECORDS")
    given.add_argument("--train", type=int, metavar="SEEDS")
    given.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.child:
        return {"ours": ours, "bare": bare}[asked.child[0]](Path(asked.child[1]))
    every = not (asked.febrl or asked.dealers or asked.million or asked.train)
    if asked.febrl or every:
        import febrl

        known = febrl.records()
        print("FEBRL3: install the extra `bench`, which brings its data" if known is None else "", end="")
        for with_id in (True, False) if known is not None else ():
            print(f"FEBRL3 {'with' if with_id else 'without'} soc_sec_id: {febrl.scored(known, with_id)}", flush=True)
    if asked.dealers or every:
        dealers(asked.dealers or 5, asked.customers)
    if asked.million or every:
        million(asked.million or 1_000_000)
    if asked.train:
        train(asked.train, asked.customers)
    return None


if __name__ == "__main__":
    main()
