"""Factors that seem to know the outcome."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from dealerkit.messages import N_
from dealerkit.stats.bins import evidence
from dealerkit.stats.cuts import Columns, discretise_all
from dealerkit.stats.ranking import auc_of

#: A factor that alone tells the outcome so well is suspected: honest factors of customers stay well below it.
AUC_LIMIT = 0.95

LATE = N_("known only at delivery, yet used at an earlier day")
TOO_GOOD = N_("tells the outcome too well alone")
ONLY_ONE = N_("filled for one outcome only")
CLEAN = N_("nothing suspicious")

_CHANCE = 1e-6  # a factor filled for one outcome only is suspected when chance makes that so rarely
_MIN_ROWS = 30


def leakage(
    rows: pd.DataFrame,
    features,
    outcome: str,
    known_late=(),
    as_of: date | None = None,
    limit: float = AUC_LIMIT,
    columns: Columns | None = None,
) -> pd.DataFrame:
    """Whether a factor knows the outcome: from a column filled later, or because it is the outcome in disguise.

    Suspected is a factor (`LATE`) named in `known_late` and filled in a row of an earlier day; (`TOO_GOOD`) whose
    bins alone reach an AUC of `limit`; (`ONLY_ONE`) missing for most, and filled only for rows of one outcome, more
    of them than chance explains. A check by figures cannot see every leak: where a column comes from must be known
    too.

    Args:
        rows: one row per case, with the outcome as 0 or 1, and the column ``origin`` if `as_of` is given.
        features: columns to check.
        outcome: name of the outcome's column.
        known_late: columns that are only known at delivery.
        as_of: day of delivery; rows of this origin may use what is known late. Without it, no row may.
        limit: AUC from which a factor is suspected.
        columns: the features' columns, where the caller has sorted them already.

    Returns:
        Frame with one row per factor in the order given: factor, auc (0.5–1; NaN when the outcome does not vary),
        filled_share, suspected, reason (a message).
    """
    y = rows[outcome].to_numpy(dtype=float)
    early = np.ones(len(rows), dtype=bool)
    if as_of is not None:
        early = (pd.to_datetime(rows["origin"]) < pd.Timestamp(as_of)).to_numpy()
    known_late, features = set(known_late), list(features)
    alone, found = np.full(len(features), np.nan), []
    if 0 < y.sum() < len(y):
        alone = _alone(columns or Columns.of(rows, features), y)
    for name, told in zip(features, alone):
        filled = rows[name].notna().to_numpy()
        if name in known_late and (filled & early).any():
            reason = LATE
        elif told >= limit:
            reason = TOO_GOOD
        elif _only_one(filled, y):
            reason = ONLY_ONE
        else:
            reason = CLEAN
        found.append((name, told, filled.mean() if len(filled) else np.nan, reason != CLEAN, reason))
    made = pd.DataFrame(found, columns=["factor", "auc", "filled_share", "suspected", "reason"])
    return made.astype({"auc": float, "filled_share": float, "suspected": bool})


def _alone(columns: Columns, y) -> list[float]:
    """AUC of the bins of each factor alone."""
    bins, first = columns.bins(discretise_all(columns, y))
    n, events = (np.bincount(bins, counts, first[-1]) for counts in (columns.counts(), columns.counts(y)))
    weight, _information = evidence(n, events, len(y), y.sum())
    parts = (slice(*ends) for ends in zip(first, first[1:]))
    return [auc_of(weight[own], events[own], (n - events)[own]) for own in parts]


def _only_one(filled, y) -> bool:
    if not 0 < y.sum() < len(y):
        return False
    n, share, events = filled.sum(), y.mean(), y[filled].sum()
    if n < _MIN_ROWS or n > len(y) / 2 or 0 < events < n:
        return False
    return n * np.log(share if events else 1 - share) < np.log(_CHANCE)
