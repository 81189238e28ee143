"""The churn model against recency alone, out of time, on generated dealers; and the same with the outcomes shuffled.

    python tests/bench/churn.py --customers 20000 --seeds 1 2 3 4 5 --keep FOLDER

Each dealer is built through the chain's own notebooks (10-audit, 20-customers); rows and windows are those of
50-lifecycle. Shuffled means that the outcomes of each origin are dealt out by lot, so that nothing can be learnt: then
the verdict has to be that the model is no better than the rule. Prints one line per dealer and outcome.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from dealerkit import factors, lifecycle, params, propensity
from dealerkit.lifecycle import churn
from dealers import DEALER, ROOT, Built, built


def rows_of(dealer: Built, made: params.Params) -> tuple[pd.DataFrame, list[str], pd.Timestamp]:
    """Labelled rows of all origins, the features, and the origin of the test."""
    cars, panel = (dealer.frame(name).astype({"origin": "datetime64[ns]"}) for name in ("car_panel", "panel"))
    as_of = cars["origin"].max().date()
    visits = ibis.duckdb.connect().read_parquet(dealer.folder / "10-audit/service_orders.parquet")
    history = lifecycle.history(visits, dealer.frame("cars"), as_of)
    rows, features = churn.features_of(cars, panel, factors.dictionary())
    return churn.labelled(rows, history, made), features, pd.Timestamp(made.churn.origins(as_of)[-1])


def shuffled(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows whose known outcomes are dealt out by lot within each origin."""
    rng, known = np.random.default_rng(seed), rows[rows[churn.OUTCOME].notna()].copy()
    known[churn.OUTCOME] = known.groupby("origin")[churn.OUTCOME].transform(lambda y: rng.permutation(y.to_numpy()))
    return known


def measured(rows: pd.DataFrame, features: list[str], test_at: pd.Timestamp) -> dict:
    """Figures of one model."""
    start, test = time.process_time(), pd.to_datetime(rows["origin"]) == test_at
    model = propensity.fit(rows[~test], features, churn.OUTCOME, churn.RULE)
    found = propensity.evaluate(model, rows[test])
    gain, low, high = found.gain("auc")
    return {
        "train": model.rows,
        "test": found.rows,
        "lost": found.events / found.rows,
        **{f"auc_{name}": found.value("auc", name)[0] for name in propensity.MODELS},
        "best": found.best,
        "gain": gain,
        "low": low,
        "high": high,
        "cv_auc": found.cross_validated.set_index("model").loc[found.best, "auc"],
        "slope": found.value("slope", found.best)[0],
        "exp_obs": found.value("expected_observed", found.best)[0],
        "lift": found.value("lift_tenth", found.best)[0],
        "used": found.used,
        "left_out": int((model.left_out["reason"] != propensity.CONSTANT).sum()),
        "cpu_s": time.process_time() - start,
    }


def main() -> None:
    """Print the table and, in the last line, how often the verdict was right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--keep", type=Path, help="folder in which built dealers stay")
    args = parser.parse_args()
    made, lines = params.load(ROOT / f"params/{DEALER}.yaml"), []
    for seed in args.seeds:
        rows, features, test_at = rows_of(built(args.customers, seed, keep=args.keep), made)
        for outcome, given in (("real", rows), ("shuffled", shuffled(rows, seed))):
            lines.append({"seed": seed, "outcome": outcome, **measured(given, features, test_at)})
    table = pd.DataFrame(lines)
    print(table.round(3).to_string(index=False))
    right = (table["used"] == "rule") == (table["outcome"] == "shuffled")
    print(f"right verdict: {int(right.sum())} of {len(table)}")


if __name__ == "__main__":
    main()
