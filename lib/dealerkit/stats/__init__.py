"""Statistics that more than one stage needs.

* `intervals`: Wilson for shares.
* `chance`: what chance alone would make of many tests (`false_discovery`) and of two samples (`psi`).
* `cuts`: values in few readable bins (`discretise`), many columns at once (`Columns`, `discretise_all`).
* `bins`: what bins tell of an outcome (`woe`, `information_value`).
* `ranking`: how well scores rank and hit, with intervals that keep a person's rows together (`auc`, `measures`).
* `logistic`: logistic regression on few columns.
* `labels`: outcomes that cannot be learnt from (`label_check`).
* `leaks`: factors that know the outcome (`leakage`).
* `threads`: one thread for what the libraries compute (`one_thread`).
"""

from dealerkit.stats.bins import (
    Binning,
    as_numbers,
    as_texts,
    evidence,
    information_value,
    is_number,
    woe,
    woe_of,
)
from dealerkit.stats.chance import STEADY, Drift, false_discovery, psi
from dealerkit.stats.cuts import Columns, discretise, discretise_all
from dealerkit.stats.intervals import wilson
from dealerkit.stats.labels import label_check
from dealerkit.stats.leaks import leakage
from dealerkit.stats.logistic import logistic
from dealerkit.stats.ranking import MEASURES, auc, calibration_table, group_draws, measures
from dealerkit.stats.threads import one_thread

__all__ = [
    "MEASURES",
    "STEADY",
    "Binning",
    "Columns",
    "Drift",
    "as_numbers",
    "as_texts",
    "auc",
    "calibration_table",
    "discretise",
    "discretise_all",
    "evidence",
    "false_discovery",
    "group_draws",
    "information_value",
    "is_number",
    "label_check",
    "leakage",
    "logistic",
    "measures",
    "one_thread",
    "psi",
    "wilson",
    "woe",
    "woe_of",
]
