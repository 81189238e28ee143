"""Faking advisers found, honest ones accused, over generated dealers; by hand: python tests/bench/authenticity.py [dealers] [customers].

Each dealer has advisers who fake in different ways, excellent honest ones, and ordinary ones. Prints the shares, by kind.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dealerkit.audit.authenticity import examine
from dealerkit.params import AuthenticityParams, CheckParams
from faking import KINDS, dealer_with_fakers


def main(dealers: int = 200, customers: int = 1500) -> None:
    seen = []
    for seed in range(dealers):
        frames, kinds = dealer_with_fakers(seed, customers)
        examined = examine(frames, {"phone"} & set(frames["interactions"].columns), AuthenticityParams(), CheckParams())
        accused = set(examined.loc[examined["found"] & examined["accuses"], "employee"])
        tested = set(examined["employee"])
        seen += [(kind, name in accused) for name, kind in kinds.items() if name in tested]
    table = pd.DataFrame(seen, columns=["kind", "accused"])
    print(table.groupby("kind")["accused"].agg(["size", "mean"]).round(3).to_string())
    fakes = table["kind"].isin(KINDS)
    print(
        f"faking advisers found {table.loc[fakes, 'accused'].mean():.3f}; honest ones accused {table.loc[~fakes, 'accused'].mean():.3f}"
    )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
