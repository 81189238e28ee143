"""How far the cars scored today have moved from those that the churn model learned from, factor by factor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dealerkit import propensity, stats
from dealerkit.lifecycle import LEAST
from dealerkit.messages import N_

COLUMNS = ["factor", "cars_before", "cars_now", "index", "bound", "verdict"]
#: How often at most any factor may be called moved where none did.
FALSE_CALLS = 0.05


def drift(model: propensity.Propensity, before: pd.DataFrame, now: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Stability index of every factor of the scorecard, and of the simple rule: see `COLUMNS`, the largest first.

    The bins are those of the scorecard; the rule has five of equal size where the scorecard does without it. Chance is
    allowed for over all factors together (Bonferroni). Empty with fewer than 30 cars on either side.

    Args:
        model: what was learned.
        before: cars of the last day learned from, each once, so that a car does not count twice.
        now: cars scored.
    """
    binnings = {v.binning.factor: v.binning for v in model.scorecard.variables}
    if rule not in binnings:
        cuts = np.unique(np.quantile(before[rule].dropna().astype(float), [0.2, 0.4, 0.6, 0.8])) if len(before) else []
        binnings[rule] = stats.Binning(rule, tuple(map(float, cuts)))
    if min(len(before), len(now)) < LEAST:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for factor, binning in binnings.items():
        counts = [np.bincount(binning.assign(side[factor]), minlength=binning.count) for side in (before, now)]
        found = stats.psi(*counts, level=1 - FALSE_CALLS / len(binnings))
        rows.append((factor, len(before), len(now), round(found.value, 4), round(found.bound, 4), found.verdict))
    made = pd.DataFrame(rows, columns=COLUMNS)
    return made.sort_values(["index", "factor"], ascending=[False, True], ignore_index=True)


def facts(found: pd.DataFrame) -> dict[str, tuple]:
    """How many factors were looked at, and how many moved by more than chance explains."""
    moved = int((found["verdict"] != stats.STEADY).sum()) if len(found) else None
    rows = {"drift_factors_count": len(found) or None, "drift_moved_count": moved}
    return {name: (value, len(found), "churn_drift") for name, value in rows.items()}


def said(found: pd.DataFrame) -> str:
    """Whether the cars moved, a message."""
    if found.empty:
        return N_("Whether the cars of today differ from those learned from cannot be told: there are too few.")
    if (found["verdict"] == stats.STEADY).all():
        return N_(
            "Since the last day learned from, none of {drift_factors_count:count|factor|factors} looked at moved by more than chance explains."
        )
    return N_(
        "Since the last day learned from, {drift_moved_count:count} of {drift_factors_count:count|factor|factors} looked at moved by more than chance explains; the more they moved, the less the past says of the probabilities."
    )


def rows(found: pd.DataFrame, names: Mapping[str, str], t, most: int = 6) -> pd.DataFrame:
    """The factors that moved most, in words: factor, index, bound, verdict."""
    found = found.head(most)
    return found.assign(
        factor=[names.get(f, f) for f in found["factor"]], verdict=[t.text(v) for v in found["verdict"]]
    )[["factor", "index", "bound", "verdict"]]
