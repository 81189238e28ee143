"""What sets classes of customers apart: screening of factors, their importance with intervals, differences, a tree.

A factor that a class is made from explains it trivially. So there are two questions: how much each factor matters,
those that define the classes among them; and what else goes with the classes, once these and all that follows from
them are set aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dealerkit.importance.differing import differences
from dealerkit.importance.screening import Screened, screen
from dealerkit.importance.target import Target, choose_target
from dealerkit.importance.tree import Rules, rules
from dealerkit.importance.weighing import Weighed, weigh
from dealerkit.params import Params

__all__ = ["Study", "choose_target", "study"]


@dataclass(frozen=True)
class Study:
    """All that is found about the classes; parts are None when there is nothing to find them from.

    Attributes:
        target: the classes.
        screened: factors dropped and kept.
        all_factors: model of all factors kept.
        others: model of those that neither define the classes nor follow from their definition.
        differences: what each class has more or less of than the others (see `differences`).
        rules: the decision tree.
    """

    target: Target | None
    screened: Screened | None = None
    all_factors: Weighed | None = None
    others: Weighed | None = None
    differences: pd.DataFrame | None = None
    rules: Rules | None = None


def study(owners: pd.DataFrame, target: Target | None, dictionary: pd.DataFrame, params: Params) -> Study:
    """Study the classes of owners.

    Args:
        owners: factors at ``as_of``, one row per person.
        target: what `choose_target` gives.
        dictionary: the factor dictionary (`factors.dictionary`).
        params: limits of the screening, resamplings, largest sample.
    """
    if target is None or not target.enough:
        return Study(target)
    screened = screen(owners, target, dictionary, params.importance)
    classes = target.of.reindex(screened.material.index)
    if not screened.kept:
        return Study(target, screened)
    other_groups = tuple(
        tuple(part) for group in screened.groups if (part := [f for f in group if f not in screened.follows])
    )
    return Study(
        target,
        screened,
        weigh(screened.material, classes, screened.groups, params.importance),
        weigh(screened.material, classes, other_groups, params.importance, True) if other_groups else None,
        differences(screened, classes, target),
        rules(screened.material[list(screened.kept)], classes, target, params.importance),
    )
