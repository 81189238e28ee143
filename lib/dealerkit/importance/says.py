"""What the page on what sets customers apart says: headline, sentences, and what could not be said."""

from __future__ import annotations

import pandas as pd

from dealerkit.importance import Study
from dealerkit.importance.target import FEWEST_OF_CLASS, FEWEST_OWNERS
from dealerkit.importance.views import ends, sure
from dealerkit.messages import N_


def headline(study: Study) -> tuple[str, str]:
    """The finding and the sentence under it, as messages of facts."""
    if study.all_factors is None:
        return N_("What sets customers apart cannot be said from these data"), N_(
            "Why, and what would help, is said below."
        )
    if not study.all_factors.has_skill:
        return (
            N_("No factor known tells the {importance_target:label} apart better than drawing lots"),
            N_(
                "{importance_all_skill:share} are placed right ({importance_all_skill_low:share} to {importance_all_skill_high:share}), {importance_by_lot:share} by lot. So no order of importance is shown."
            ),
        )
    found = len(sure(study.others))
    if not found:
        return (
            N_("Beyond what defines them, nothing known tells the {importance_target:label} apart"),
            N_(
                "What defines them shows first of all in “{importance_definer_first:text}”. No other factor stands out from chance, so none is ranked."
            ),
        )
    lead = N_(
        "What defines the {importance_target:label}, first of all “{importance_definer_first:text}”, is set aside: it would explain them trivially."
    )
    if found > 2:
        lead = N_(
            "Next come “{important_factor_second:text}” and “{important_factor_third:text}”. What defines the {importance_target:label}, first of all “{importance_definer_first:text}”, is set aside: it would explain them trivially."
        )
    return _first(study), lead


def _first(study: Study) -> str:
    """What goes most with the classes, or is among that where the rank is not sure; with the means where they are clear."""
    shared = sure(study.others)["rank_high"].iloc[0] > 1
    if ends(study) is None:
        if shared:
            return N_("“{important_factor_first:text}” is among what goes most with the {importance_target:label}")
        return N_("“{important_factor_first:text}” goes most with the {importance_target:label}")
    if shared:
        return N_(
            "“{important_factor_first:text}” is among what goes most with the {importance_target:label}: {important_factor_most_mean:text} at “{important_factor_most_class:text}”, {important_factor_least_mean:text} at “{important_factor_least_class:text}”"
        )
    return N_(
        "“{important_factor_first:text}” goes most with the {importance_target:label}: {important_factor_most_mean:text} at “{important_factor_most_class:text}”, {important_factor_least_mean:text} at “{important_factor_least_class:text}”"
    )


def first_steps(study: Study) -> list[tuple[str, str, str, dict]]:
    """What to do: (request, gain, how, values) each, as messages; nothing where no factor surely goes with the classes."""
    if not len(sure(study.others)):
        return []
    how = N_(
        "it goes with the classes, which does not prove that it makes them: treat some customers differently, drawn by lot, and compare"
    )
    return [(N_("Find out whether “{important_factor_first:text}” can be used"), "", how, {})]


def verdict(study: Study) -> str:
    """How far the model of the other factors can be trusted, as a message of facts."""
    if study.others is None:
        return N_(
            "Every factor left after the screening defines the classes or follows from their definition; nothing else is known of the persons."
        )
    if study.others.has_skill:
        return N_(
            "From the factors that do not define them, {importance_skill:share} of persons not learned from are placed in the right class ({importance_skill_low:share} to {importance_skill_high:share}, averaged over the classes), against {importance_by_lot:share} by drawing lots. Of two persons of different classes the model tells which is which in {importance_skill_auc:share} of cases ({importance_skill_auc_low:share} to {importance_skill_auc_high:share}; lots: 50 %)."
        )
    return N_(
        "From the factors that do not define them, {importance_skill:share} of persons not learned from are placed in the right class ({importance_skill_low:share} to {importance_skill_high:share}), against {importance_by_lot:share} by drawing lots: no better than chance, so nothing is ranked."
    )


def rank_note(study: Study) -> str:
    """How sure the first place is, as a message of facts."""
    found = sure(study.others)
    if not len(found):
        return N_("no factor is ranked")
    if found["rank_high"].iloc[0] == 1:
        return N_(
            "fewer placed right without “{important_factor_first:text}”; first of {importance_groups_count:count} for sure"
        )
    return N_(
        "fewer placed right without “{important_factor_first:text}”; rank 1 to {important_factor_first_rank_high:count} of {importance_groups_count:count}"
    )


def gaps(study: Study, owners: pd.DataFrame, t) -> list[tuple[str, str, str]]:
    """What could not be said of the classes: (title, why, remedy) each, in the words of ``t``."""
    title, found = t.text(N_("What sets customers apart")), []
    if study.target is None:
        why = N_(
            "No classes to explain: the natural groups are not to be trusted, and neither value nor loyalty can be told."
        )
        found.append(
            (
                title,
                t.text(why),
                t.text(N_("Deliver amounts with the visits (column total_yuan), and a longer history.")),
            )
        )
    elif not study.target.enough:
        counts = {"persons": len(study.target.of), "classes": len(study.target.names)}
        why = t.say(
            N_("{persons:count|owner|owners} in {classes:count|class|classes} of {fewest:count} persons or more: too few to learn from (at least {least:count} in two classes)."),
            **counts, fewest=FEWEST_OF_CLASS, least=FEWEST_OWNERS,
        )  # fmt: skip
        found.append((title, why, t.text(N_("Deliver more customers, or a longer history of visits."))))
    elif not study.screened.kept:
        why = t.text(N_("No factor was left after the screening: all are constant, mostly unknown or tell nothing."))
        found.append(
            (
                title,
                why,
                t.text(N_("Deliver more of what is known of the customers (birth date, occupation, contacts).")),
            )
        )
    if len(owners) and not owners["spend_yuan_all"].notna().any():
        found.append(
            (
                t.text(N_("Importance of money")),
                t.text(N_("No workshop visit has an amount, so spending and value take no part.")),
                t.text(N_("Deliver the settled total with the visits (column total_yuan).")),
            )
        )
    if study.rules is not None and not study.rules.has_skill:
        found.append(
            (
                t.text(N_("Decision tree")),
                t.say(
                    N_("A small tree places {tree:share} right, naming the largest class {size:share}: the difference may be chance, so no tree is drawn."),
                    tree=study.rules.accuracy.value, size=study.rules.by_size,
                ),
                t.text(N_("The table of differences above still holds.")),
            )
        )  # fmt: skip
    return found
