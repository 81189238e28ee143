"""The invented dealers `demo` and `demo_cn`, of any size, from a seed.

Raw files go to one folder, the truth behind them (true person of every record, type, day and cause of leaving,
planted faults, effect of campaigns) to another that no run ever reads. Same seed and size: same bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit import tables
from dealerkit.demo import people, types, world
from dealerkit.demo.dirt import FAULT_COLUMNS, Dirt, as_text
from dealerkit.demo.export import Chinese, English
from dealerkit.errors import UserError

#: Size and seed of the two dealers that ship.
SHIPPED = {"demo": (1_850, 20_260_930), "demo_cn": (1_380, 20_260_931)}
#: A sheet of a workbook holds 1,048,576 rows.
LARGEST_CN = 150_000
LARGEST = 1_500_000


def generate(
    dealer: str,
    raw_dir: Path,
    truth_dir: Path,
    customers: int | None = None,
    seed: int | None = None,
    kind: str = "usual",
) -> dict[str, int]:
    """Write the raw files of an invented dealer and the truth; returns rows by table, as delivered.

    Args:
        dealer: ``demo`` or ``demo_cn``.
        raw_dir, truth_dir: folders, made if missing; the truth may not lie inside the raw folder.
        customers: persons and companies; about 2 % more cards come of duplicates and 6 % of second-hand owners.
        seed: any whole number from 0.
        kind: types of customers, a name of `types.TYPES`; the dealers that ship are ``usual``.

    Raises `UserError` for an unknown dealer or types, a size or seed out of range, folders inside one another, a folder or disk
    that cannot be written.
    """
    if dealer not in SHIPPED:
        raise UserError(f"no invented dealer {dealer!r}", f"the invented dealers are {', '.join(SHIPPED)}")
    size, own_seed = SHIPPED[dealer]
    customers, seed = size if customers is None else customers, own_seed if seed is None else seed
    largest = LARGEST if dealer == "demo" else LARGEST_CN
    if not 50 <= customers <= largest:
        raise UserError(f"--customers {customers} is out of range", f"use 50 to {largest:,} for {dealer}")
    planted = types.find(kind)
    if seed < 0:
        raise UserError(f"--seed {seed} is out of range", "use a whole number from 0")
    raw_dir, truth_dir = Path(raw_dir), Path(truth_dir)
    if _inside(truth_dir, raw_dir) or _inside(raw_dir, truth_dir):
        raise UserError("the truth may not lie beside the raw files", "give --out and --truth two folders apart")
    try:
        for folder in (raw_dir, truth_dir):
            folder.mkdir(parents=True, exist_ok=True)
        return _write(dealer, raw_dir, truth_dir, customers, seed, planted)
    except OSError as error:
        raise UserError(
            f"cannot write {Path(error.filename or raw_dir).name}: {error.strerror}",
            "check the folder's permissions and the free space of the disk",
        ) from None


def _inside(inner: Path, outer: Path) -> bool:
    return os.path.commonpath([os.path.abspath(inner), os.path.abspath(outer)]) == os.path.abspath(outer)


def _write(
    dealer: str, raw_dir: Path, truth_dir: Path, customers: int, seed: int, planted: types.Types
) -> dict[str, int]:
    faults_of_files: list = []
    export = (English if dealer == "demo" else Chinese)(raw_dir, faults_of_files)
    lang, truth_files = export.lang, TruthFiles(truth_dir)
    staff = people.make_staff(np.random.default_rng([seed, 1]), customers, world.seed_shift(seed), lang)
    rows = dict.fromkeys(tables.TABLES, 0)
    faults_of_files += [
        ("staff", s, "", "adviser_with_faked_scores", None, None) for s in staff.loc[staff["fakes"], "staff_id"]
    ]
    for block, start in enumerate(range(0, customers, world.BLOCK)):
        count = min(world.BLOCK, customers - start)
        frames, truth, faults = world.make_block(seed, block, count, staff, lang, planted)
        dirt = Dirt(np.random.default_rng([seed, 500_000 + block]), frames, staff, lang, faults)
        renamed = dirt.plant_meaning()
        truth["cars"]["vin"] = truth["cars"]["vin"].replace(renamed)
        dirt.frames = {name: as_text(frame, tables.TABLES[name], lang) for name, frame in dirt.frames.items()}
        dirt.plant_writing()
        export.add(block, dirt.frames, truth, np.random.default_rng([seed, 900_000 + block]))
        truth.pop("people")
        truth["faults"] = pd.DataFrame(faults + (faults_of_files if block == 0 else []), columns=FAULT_COLUMNS)
        truth_files.add(truth)
        for name, frame in dirt.frames.items():
            rows[name] += len(frame)
    export.close()
    truth_files.close()
    about = {
        "dealer": dealer,
        "invented": True,
        "customers": customers,
        "seed": seed,
        "types": {"kind": planted.name, "segments": planted.names},
        "as_of": "2026-09-30",
        "rows_delivered": rows,
    }
    (truth_dir / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return rows


class TruthFiles:
    """Parquet files that grow block by block."""

    def __init__(self, folder: Path):
        self.folder, self.writers = folder, {}

    def add(self, truth: dict[str, pd.DataFrame]) -> None:
        """Append a block to each table of the truth."""
        for name, frame in truth.items():
            if name not in self.writers:
                kinds = {"object": pa.string(), "bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}
                schema = pa.schema(
                    [
                        (c, pa.timestamp("s") if str(t).startswith("datetime") else kinds[str(t)])
                        for c, t in frame.dtypes.items()
                    ]
                )
                self.writers[name] = pq.ParquetWriter(self.folder / f"{name}.parquet", schema)
            writer = self.writers[name]
            writer.write_table(pa.Table.from_pandas(frame, schema=writer.schema, preserve_index=False))

    def close(self) -> None:
        """Finish every file."""
        for writer in self.writers.values():
            writer.close()
