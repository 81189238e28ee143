"""How likely each customer or car is to do something: a readable scorecard, boosted trees beside it, and a simple rule.

`fit` learns all three from rows of earlier days, `evaluate` tests them on rows of a later day and says which one is
used, `score` gives its probabilities, `points` the scorecard as a table and `reasons` what drives each row. Windows
are the caller's: rows hold what was known at their origin, and an outcome that lies after it.

Data that can carry no model give an `Untrainable` with its reason instead.

Example:
    model = fit(rows, ["recency_days", "visits_count_12m"], outcome="is_lost", rule="recency_days")
    if not isinstance(model, Untrainable):
        result = evaluate(model, later_rows)
        probability = score(model, todays_rows, result.used)
"""

from dealerkit.propensity.evaluate import (
    FURTHER_OFF,
    NO_BETTER,
    SCORECARD_USED,
    TREES_RANK,
    TREES_USED,
    UNSTEADY,
    VERDICTS,
    WORSE,
    Evaluation,
    evaluate,
)
from dealerkit.propensity.model import (
    ALL_EVENTS,
    CONSTANT,
    FEW_EVENTS,
    FEW_OTHERS,
    MIN_CASES,
    MODELS,
    NO_EVENTS,
    NO_ROWS,
    NOTHING_VARIES,
    REASONS,
    Propensity,
    Untrainable,
    fit,
    points,
    reasons,
    score,
)

__all__ = [
    "ALL_EVENTS",
    "CONSTANT",
    "FEW_EVENTS",
    "FEW_OTHERS",
    "FURTHER_OFF",
    "MIN_CASES",
    "MODELS",
    "NOTHING_VARIES",
    "NO_BETTER",
    "NO_EVENTS",
    "NO_ROWS",
    "REASONS",
    "SCORECARD_USED",
    "TREES_RANK",
    "TREES_USED",
    "UNSTEADY",
    "VERDICTS",
    "WORSE",
    "Evaluation",
    "Propensity",
    "Untrainable",
    "evaluate",
    "fit",
    "points",
    "reasons",
    "score",
]
