"""Statistics that more than one stage needs.

* `intervals`: Wilson for shares.
* `chance`: what chance alone would make of many tests (`false_discovery`) and of two samples (`psi`).
* `bins`: values in few readable bins, and what the bins tell of an outcome (`discretise`, `woe`, `information_value`).
* `ranking`: how well scores rank and hit, with intervals that keep a person's rows together (`auc`, `measures`).
* `leaks`: factors that know the outcome (`leakage`).
"""

from dealerkit.stats.bins import (
    Binning,
    as_numbers,
    as_texts,
    discretise,
    information_value,
    is_number,
    woe,
)
from dealerkit.stats.chance import STEADY, Drift, false_discovery, psi
from dealerkit.stats.intervals import wilson
from dealerkit.stats.leaks import leakage
from dealerkit.stats.ranking import MEASURES, auc, calibration_table, group_draws, measures

__all__ = [
    "MEASURES",
    "STEADY",
    "Binning",
    "Drift",
    "as_numbers",
    "as_texts",
    "auc",
    "calibration_table",
    "discretise",
    "false_discovery",
    "group_draws",
    "information_value",
    "is_number",
    "leakage",
    "measures",
    "psi",
    "wilson",
    "woe",
]
