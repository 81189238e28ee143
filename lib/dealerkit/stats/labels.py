"""Whether labels can be learnt from: there, both kinds, believable, steady, ripe, and one to each case."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from dealerkit.messages import N_
from dealerkit.stats.intervals import wilson

MISSING = N_("the outcome is missing for many rows")
CONSTANT = N_("the outcome is the same in every row")
FEW = N_("too few rows of one of the two outcomes")
RARE = N_("the share of the outcome is not to be believed")
CHANGES = N_("the share of the outcome changes from day to day by more than chance")
CONTRADICTS = N_("the same case of the same day has both outcomes")
UNRIPE = N_("the days in which the outcome may happen are not over")
SOUND = N_("nothing suspicious about the outcome")

#: Check → what is said when it suspects.
CHECKS = {
    "missing": MISSING,
    "constant": CONSTANT,
    "few": FEW,
    "share": RARE,
    "changes": CHANGES,
    "contradicts": CONTRADICTS,
    "unripe": UNRIPE,
}
#: Share of rows without an outcome from which that is suspicious.
MISSING_LIMIT = 0.05
#: Rows of the rarer outcome that carry a model.
FEW_LIMIT = 30
#: Shares of an outcome that a dealer's customers can have.
BELIEVABLE = (0.002, 0.9)
#: How many times as large as the smallest share of a day the largest may be, whatever the intervals say.
CHANGE_LIMIT = 1.5


def label_check(
    rows: pd.DataFrame,
    outcome: str,
    keys=(),
    origin: str | None = None,
    window_days: int | None = None,
    as_of: date | None = None,
    believable: tuple[float, float] = BELIEVABLE,
    few: int = FEW_LIMIT,
) -> pd.DataFrame:
    """Whether the labels of a table can be learnt from; for any table, before any model.

    Args:
        rows: one row per case, with the outcome as 0 or 1, missing where it is not known.
        outcome: name of the outcome's column.
        keys: columns that make a case, together with the origin; without any, contradictions are not looked for.
        origin: column with the day from which the case is looked at; without it, change and ripeness are not looked at.
        window_days: days after the origin in which the outcome may happen.
        as_of: day up to which anything is known; with `window_days` it tells the labels that are not ripe.
        believable: smallest and largest share of the outcome that are believed. A share is doubted only when its whole
            Wilson interval lies outside.
        few: rows of the rarer outcome below which there are too few.

    Returns:
        Frame with one row for each check of `CHECKS`, in that order: check; value (missing: share of rows; constant:
        different values; few: rows of the rarer outcome; share: share of the outcome; changes: how many times the
        smallest share of an origin the largest is, of those whose intervals at a common 95 % do not touch, else 1;
        contradicts: cases; unripe: labelled rows; NaN where not looked at); limit; suspected; reason (a message).

    Raises:
        ValueError: a column is missing, or an outcome is neither 0, 1 nor missing.
    """
    missing = [c for c in [outcome, *keys, *([origin] if origin else [])] if c not in rows]
    if missing:
        raise ValueError(f"the rows have no column {', '.join(missing)}")
    y = pd.to_numeric(rows[outcome], errors="coerce").astype(float)
    if not (y.isna() & rows[outcome].isna() | y.isin([0, 1])).all():
        raise ValueError(f"{outcome} must be 0, 1 or missing")
    known = rows[y.notna()]
    label = y[y.notna()]
    n, events = len(label), int(label.sum())
    found = [
        ("missing", y.isna().mean() if len(y) else np.nan, MISSING_LIMIT, y.isna().mean() > MISSING_LIMIT),
        ("constant", float(label.nunique()), 2.0, n > 0 and label.nunique() < 2),
        ("few", float(min(events, n - events)), float(few), min(events, n - events) < few),
        _share(n, events, believable),
        _changes(known, label, origin),
        _contradicts(known, label, keys, origin),
        _unripe(known, origin, window_days, as_of),
    ]
    made = pd.DataFrame(found, columns=["check", "value", "limit", "suspected"])
    made["suspected"] = made["suspected"].astype(bool)
    made["reason"] = np.where(made["suspected"], made["check"].map(CHECKS), SOUND)
    return made


def _share(n: int, events: int, believable: tuple[float, float]) -> tuple:
    low, high = wilson(events, n)
    wrong = "low" if n and high < believable[0] else "high" if n and low > believable[1] else ""
    return ("share", events / n if n else np.nan, believable[1] if wrong == "high" else believable[0], bool(wrong))


def _changes(known: pd.DataFrame, label: pd.Series, origin: str | None) -> tuple:
    """The largest step between two origins whose intervals do not touch, each at 1 − .05 / origins."""
    if not origin or known[origin].nunique() < 2:
        return ("changes", np.nan, CHANGE_LIMIT, False)
    counts = label.groupby(known[origin].to_numpy()).agg(["sum", "size"]).sort_index()
    low, high = wilson(counts["sum"].to_numpy(), counts["size"].to_numpy(), 1 - 0.05 / len(counts))
    share = (counts["sum"] / counts["size"]).to_numpy()
    apart = low[:, None] > high[None, :]
    # an origin without a single case counts as having half of one
    least = np.maximum(share, 0.5 / counts["size"].to_numpy())
    times = np.where(apart, share[:, None] / least[None, :], 1.0)
    return ("changes", float(times.max()), CHANGE_LIMIT, bool(times.max() > CHANGE_LIMIT))


def _contradicts(known: pd.DataFrame, label: pd.Series, keys, origin: str | None) -> tuple:
    columns = [*keys, *([origin] if origin and origin not in keys else [])]
    if not len(list(keys)):
        return ("contradicts", np.nan, 0.0, False)
    both = label.groupby([known[c].to_numpy() for c in columns], dropna=False).nunique()
    return ("contradicts", float((both > 1).sum()), 0.0, bool((both > 1).any()))


def _unripe(known: pd.DataFrame, origin: str | None, window_days: int | None, as_of: date | None) -> tuple:
    if not origin or window_days is None or as_of is None:
        return ("unripe", np.nan, 0.0, False)
    ripe = pd.to_datetime(known[origin]) + pd.Timedelta(days=window_days) <= pd.Timestamp(as_of)
    return ("unripe", float((~ripe).sum()), 0.0, bool((~ripe).any()))
