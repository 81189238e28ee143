"""The invented dealers `demo` and `demo_cn`, of any size, from a seed.

Raw files go to one folder, the truth behind them (true person of every record, type, day and cause of leaving,
planted faults, effect of campaigns) to another that no run ever reads. Same seed and size: same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dealerkit import tables
from dealerkit.demo import fakes, people, types, world
from dealerkit.demo.deliver import deliver
from dealerkit.demo.export import Chinese, English
from dealerkit.demo.small import Small, surveys
from dealerkit.errors import UserError

__all__ = ["Small", "generate", "surveys"]

#: Size and seed of the two dealers that ship.
SHIPPED = {"demo": (1_850, 20_260_930), "demo_cn": (1_380, 20_260_931)}
#: A sheet of a workbook holds 1,048,576 rows.
LARGEST_CN = 150_000
LARGEST = 1_500_000
#: Kinds of dealers by what is wrong with their data.
FAULTS = ("usual", "none")


def generate(
    dealer: str,
    raw_dir: Path,
    truth_dir: Path,
    customers: int | None = None,
    seed: int | None = None,
    kind: str = "usual",
    faults: str = "usual",
    month: int = 0,
    fakers: float | None = None,
) -> dict[str, int]:
    """Write the raw files of an invented dealer and the truth; returns rows by table, as delivered.

    Args:
        dealer: ``demo`` or ``demo_cn``.
        raw_dir, truth_dir: folders, made if missing; the truth may not lie inside the raw folder.
        customers: persons and companies; about 2 % more cards come of duplicates and 6 % of second-hand owners.
        seed: any whole number from 0.
        kind: types of customers, a name of `types.TYPES`; the dealers that ship are ``usual``.
        faults: ``usual``, or ``none`` for a dealer whose data have no fault at all, no double cards and nobody who cheats.
        month: 0 for the export of 2026-09-30, 1 for that of the same dealer a month later: the same rows as delivered
            before, what the month brought, and what staff mended; the truth then has a table ``changes``.
        fakers: share of advisers who fake surveys, without it `people.FAKERS`.

    Raises `UserError` for an unknown dealer, types, faults or month, a size, seed or share out of range, folders inside one
    another, a folder or disk that cannot be written.
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
    if faults not in FAULTS:
        raise UserError(f"--faults {faults} is not known", f"use one of {', '.join(FAULTS)}")
    if month not in (0, 1):
        raise UserError(f"--month {month} is not known", "use 0 for the first export or 1 for the one a month later")
    fakers = people.FAKERS if fakers is None else fakers
    if not 0 <= fakers <= 0.8:
        raise UserError(f"a share of fakers of {fakers:g} is out of range", "use 0 to 0.8")
    raw_dir, truth_dir = Path(raw_dir), Path(truth_dir)
    if _inside(truth_dir, raw_dir) or _inside(raw_dir, truth_dir):
        raise UserError("the truth may not lie beside the raw files", "give --out and --truth two folders apart")
    try:
        for folder in (raw_dir, truth_dir):
            folder.mkdir(parents=True, exist_ok=True)
        made = _Dealer(dealer, customers, seed, planted, faults == "usual", month, fakers)
        return _write(made, raw_dir, truth_dir)
    except OSError as error:
        raise UserError(
            f"cannot write {Path(error.filename or raw_dir).name}: {error.strerror}",
            "check the folder's permissions and the free space of the disk",
        ) from None


def _inside(inner: Path, outer: Path) -> bool:
    return os.path.commonpath([os.path.abspath(inner), os.path.abspath(outer)]) == os.path.abspath(outer)


@dataclass(frozen=True)
class _Dealer:
    """What is asked for."""

    dealer: str
    customers: int
    seed: int
    types: types.Types
    faulty: bool
    month: int
    fakers: float

    @property
    def lang(self) -> str:
        return "en" if self.dealer == "demo" else "zh"

    def staff(self) -> pd.DataFrame:
        """All employees; with data without faults nobody fakes."""
        rng, shift = np.random.default_rng([self.seed, 1]), world.seed_shift(self.seed)
        fakers = self.fakers if self.faulty else 0.0
        return people.make_staff(rng, self.customers, shift, self.lang, fakers, self.seed % len(people.WAYS))

    def blocks(self):
        """(number, world) of each block."""
        staff = self.staff()
        for block, start in enumerate(range(0, self.customers, world.BLOCK)):
            count = min(world.BLOCK, self.customers - start)
            yield block, world.make_block(self.seed, block, count, staff, self.lang, self.types, self.faulty)


def _write(made: _Dealer, raw_dir: Path, truth_dir: Path) -> dict[str, int]:
    faults_of_files: list = []
    export = (English if made.dealer == "demo" else Chinese)(raw_dir, faults_of_files, made.faulty, made.month)
    truth_files, rows = TruthFiles(truth_dir), dict.fromkeys(tables.TABLES, 0)
    for block, w in made.blocks():
        done = deliver(w, made.seed, block, made.types, made.lang, made.month, made.faulty)
        export.add(block, done, np.random.default_rng([made.seed, 900_000 + block]))
        done.truth.pop("people")
        if block == 0:
            more = pd.DataFrame(fakes.staff_faults(w["staff"]) + faults_of_files, columns=done.truth["faults"].columns)
            done.truth["faults"] = pd.concat([done.truth["faults"], more], ignore_index=True).astype(object)
        else:
            done.truth.pop("staff")
        truth_files.add(done.truth)
        for name, frame in done.frames.items():
            rows[name] += len(frame)
    export.close()
    truth_files.close()
    about = {
        "dealer": made.dealer,
        "invented": True,
        "customers": made.customers,
        "seed": made.seed,
        "types": {"kind": made.types.name, "segments": made.types.names},
        "faults": "usual" if made.faulty else "none",
        "as_of": str(np.datetime64(people.END if made.month else people.AS_OF, "D")),
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
