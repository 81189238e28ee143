"""Faking advisers found, honest ones accused, over generated dealers.

By hand: PYTHONPATH=tests python tests/bench/authenticity.py [dealers] [customers] [seed]. Prints the shares by kind of
adviser; to be reached over 200 dealers: faking advisers found .9 or more, honest ones accused .05 or less.
"""

from __future__ import annotations

import sys

from faking import judged, told


def main(dealers: int = 200, customers: int = 400, seed: int = 1) -> None:
    found = told(judged(dealers, customers, seed))
    found = found[found["tested"]]
    print(found.groupby("kind")["accused"].agg(["size", "sum", "mean"]).round(3).to_string())
    print(found[found["accused"]].groupby(["kind", "tests"]).size().to_string())
    fakes = found["fakes"]
    print(
        f"faking advisers found {found.loc[fakes, 'accused'].mean():.3f} of {fakes.sum()}; "
        f"honest ones accused {found.loc[~fakes, 'accused'].mean():.3f} of {(~fakes).sum()}"
    )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
