"""Are planted groups of customers found, and is nothing found where nothing is planted?

    python tests/bench/recovery.py --customers 20000 --seeds 5

For each kind of planted types and each seed: generate a dealer, execute 10-audit and 20-customers, cluster the owners
as 30-segments does, and compare with the truth that the generator kept. One line per dealer: verdict, number of
clusters, adjusted Rand index with the planted types (over all clustered owners, and over those known for two years),
stability and gap of the weakest cluster, silhouette beside that of data without groups, seconds. To be reached:
``apart`` in groups with an ARI of .9 or more, ``none`` without groups; ``usual`` is for information, its types overlap.

``--keep FOLDER`` keeps the built dealers there and finds them again; remove it when code of the first stages changes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pandas as pd
from dealerkit import params
from dealerkit.demo.types import TYPES
from dealerkit.segments import clusters, views
from dealers import DEALER, Built, built, remove
from sklearn.metrics import adjusted_rand_score

TWO_YEARS = 730
GOAL = 0.9


def recovered(dealer: Built) -> dict:
    """What the clustering of a built dealer found, and how far it agrees with what is planted."""
    settings = params.load(dealer.root / "params" / f"{DEALER}.yaml")
    owners = views.owners_of(dealer.frame("persons"), dealer.frame("person_factors"))
    found = clusters.cluster(owners, settings.clusters)
    planted = dealer.true_person().map(dealer.truth("persons").set_index("person_id")["segment"])
    members = found.members.assign(planted=found.members["person_id"].map(planted)).dropna(subset=["planted"])
    tenure = owners.set_index("person_id")["tenure_days"]
    old = members[members["person_id"].map(tenure) >= TWO_YEARS]
    row = {
        "owners": len(owners),
        "verdict": found.verdict,
        "k": len(found.profile),
        "ari": _agreement(members),
        "ari_2y": _agreement(old),
    }
    if len(found.profile):
        chosen = found.evidence[found.evidence["chosen"]].iloc[0]
        row |= {
            name: chosen[name]
            for name in ("jaccard", "valley_share", "silhouette", "reference_silhouette", "ward_agreement")
        }
    return row


def _agreement(members: pd.DataFrame) -> float | None:
    return adjusted_rand_score(members["planted"], members["cluster"]) if len(members) else None


def reached(row: dict) -> str:
    """yes or no where there is something to be reached, else nothing."""
    goals = {"apart": row["verdict"] == "groups" and (row["ari_2y"] or 0) >= GOAL, "none": row["verdict"] == "none"}
    return {True: "yes", False: "NO", None: ""}[goals.get(row["types"])]


def main() -> int:
    """Print the table; exit code 1 when something that was to be reached was not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 1 … N")
    parser.add_argument("--types", nargs="+", choices=list(TYPES), default=["apart", "none"])
    parser.add_argument("--keep", type=Path, help="folder in which built dealers stay")
    args = parser.parse_args()
    rows = []
    for seed in range(1, args.seeds + 1):
        for types in args.types:
            began = time.monotonic()
            dealer = built(args.customers, seed, types, args.keep)
            ready = time.monotonic()
            row = {"types": types, "seed": seed} | recovered(dealer)
            row |= {"build_s": round(ready - began), "cluster_s": round(time.monotonic() - ready)}
            rows.append(row | {"reached": reached(row)})
            if args.keep is None:
                remove(dealer)
            print(" ".join(f"{name}={value}" for name, value in rows[-1].items()), file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).sort_values(["types", "seed"]).round(3).to_string(index=False))
    return int(any(row["reached"] == "NO" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
