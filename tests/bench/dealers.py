"""Invented dealers of any size, built through the chain's own notebooks, for measurements.

`built` generates a dealer, lays out a project folder around the working tree's library and notebooks, and executes
10-audit and 20-customers as `make` would, each in a process of its own so that memory is given back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from project import ROOT, lay_out

DEALER = "demo"
FIRST_STAGES = ("10-audit", "20-customers")


@dataclass(frozen=True)
class Built:
    """A built dealer.

    Attributes:
        root: its project folder; `build/demo/<stage>/` below it holds the tables, as in the real project.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """The dealer's build folder."""
        return self.root / "build" / DEALER

    @property
    def facts(self) -> dict:
        """name → value of every fact recorded so far."""
        found: dict = {}
        for path in sorted(self.folder.glob("[0-9][0-9]-*/facts.json")):
            found |= {name: fact["value"] for name, fact in json.loads(path.read_text(encoding="utf-8")).items()}
        return found

    def frame(self, name: str, stage: str = "20-customers", columns: list[str] | None = None) -> pd.DataFrame:
        """A table of a stage; in 10-audit the clean tables have their own names, those as delivered ``raw_<table>``."""
        return pd.read_parquet(self.folder / stage / f"{name}.parquet", columns=columns)

    def truth(self, name: str) -> pd.DataFrame:
        """A table of what the generator knows: persons, cars, records, faults, uplift, leads."""
        return pd.read_parquet(self.root / "truth" / f"{name}.parquet")

    def true_person(self) -> pd.Series:
        """person_id of 20-customers → the generator's person; persons joined of two true ones go to the first."""
        records = self.frame("person_records")
        who = self.truth("records").set_index("customer_id")["person_id"]
        found = records.assign(true=records["customer_id"].map(who)).dropna(subset=["true"])
        return (
            found.sort_values(["person_id", "customer_id"]).drop_duplicates("person_id").set_index("person_id")["true"]
        )

    def execute(self, stage: str) -> None:
        """Run the notebook of a stage; its page is not rendered.

        Raises `RuntimeError` with what the command printed when it fails.
        """
        command = [sys.executable, "-m", "dealerkit", "execute", "--dealer", DEALER, "--stage", stage]
        _run(command, self.root)


def built(customers: int, seed: int, types: str = "usual", keep: Path | None = None) -> Built:
    """A dealer of this size, seed and types, with 10-audit and 20-customers executed.

    Args:
        keep: folder in which built dealers stay and are found again; a kept dealer is not built anew when the code
            changes, so remove the folder then. Without it a temporary folder is made: `remove` it when done.
    """
    base = Path(keep) if keep else Path(tempfile.mkdtemp(prefix="dealers-"))
    dealer = Built(base / f"{types}-{customers}-{seed}")
    done = dealer.root / "done"
    if done.exists():
        return dealer
    shutil.rmtree(dealer.root, ignore_errors=True)
    lay_out(dealer.root)
    shutil.copy(ROOT / f"params/{DEALER}.yaml", dealer.root / "params")
    raw = dealer.root / "data/raw" / DEALER
    options = ["--customers", str(customers), "--seed", str(seed), "--types", types]
    made = [sys.executable, "-m", "dealerkit", "demo", "--dealer", DEALER, "--out", str(raw)]
    _run([*made, "--truth", str(dealer.root / "truth"), *options], dealer.root)
    _run([".venv/bin/python", "-I", "-S", "lib/dealerkit/lock.py", DEALER, "--", "true"], dealer.root)
    for stage in FIRST_STAGES:
        dealer.execute(stage)
    shutil.rmtree(raw)  # large, and read only once
    done.touch()
    return dealer


def remove(dealer: Built) -> None:
    """Delete a dealer's folder."""
    shutil.rmtree(dealer.root, ignore_errors=True)


def _run(command: list[str], root: Path) -> None:
    steered = ("DEALERKIT_STAGE", "DEALERKIT_ROOT", "AS_OF", "REPORT_LANG", "DEALERKIT_VERIFY")
    environment = {name: value for name, value in os.environ.items() if name not in steered}
    environment |= {"PYTHONPATH": str(ROOT / "lib"), "IPYTHONDIR": str(root / ".ipython")}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-6:])} ended with {done.returncode}\n{done.stdout}{done.stderr}")
