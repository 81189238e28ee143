"""What the summary page leads with, chosen by what the facts of the pages before it can carry."""

from __future__ import annotations

from collections.abc import Mapping

from dealerkit.messages import N_

#: Facts that the summary follows from report to report: fact, label, kind.
FOLLOWED = (
    ("active_customers", N_("Active customers"), "persons"),
    ("lost_cars_share", N_("Cars lost in a year"), "share"),
    ("lost_yuan_12m", N_("Yuan lost a year"), "yuan"),
    ("at_risk_reachable_count", N_("Likely to go, reachable"), "persons"),
    ("service_yuan_12m", N_("Workshop revenue in 12 months"), "yuan"),
    ("clv_yuan_total", N_("Expected value of the owners"), "yuan"),
    ("loyal_share", N_("Loyal customers"), "share"),
    ("unreachable_owners", N_("Owners without a usable phone"), "persons"),
    ("health_score", N_("Data health"), "score"),
)
_TURNED = 5  # customers from which on the headline says how many can be turned


def headline(facts: Mapping[str, Mapping]) -> tuple[str, str]:
    """Finding and sentence under it, as messages: what was lost, what it is worth, who can still be turned; where the
    history cannot tell a loss, who stays away.

    Args:
        facts: of `Run.facts`.
    """
    known = _values(facts)
    if not known.get("lost_cars_count"):
        return (
            N_("{active_customers:persons} of {owners_count:count} owners came in the last {active_months:months}"),
            N_("{absent_customers:persons} owners who used to come have been away for more than {lost_months:months}."),
        )
    return _lost(known), _where(known)


def _lost(known: Mapping) -> str:
    turned = (known.get("past_warning_reachable_count") or 0) >= _TURNED
    if known.get("lost_yuan_12m") is None:
        if turned:
            return N_(
                "{lost_cars_share:share} of the cars that came a year ago were lost; {past_warning_reachable_count:persons|customer|customers} can still be turned"
            )
        return N_("{lost_cars_share:share} of the cars that came a year ago were lost, {lost_cars_count:count} cars")
    if turned:
        return N_(
            "{lost_cars_share:share} of the cars that came a year ago were lost, {lost_yuan_12m:yuan} a year; {past_warning_reachable_count:persons|customer|customers} can still be turned"
        )
    return N_("{lost_cars_share:share} of the cars that came a year ago were lost, {lost_yuan_12m:yuan} a year")


def _where(known: Mapping) -> str:
    back = known.get("warning_gone_share") is not None
    if known.get("top_lost_is_clear"):
        if back:
            return N_(
                "{top_lost_series:text} owners leave most, {top_lost_series_share:share} of them in a year; of {least_lost_series:text} owners {least_lost_series_share:share}. Of the cars still away {warning_days:days} after a visit, {warning_gone_share:share} stay away, against {return_never_share:share} after any visit."
            )
        return N_(
            "{top_lost_series:text} owners leave most, {top_lost_series_share:share} of them in a year; of {least_lost_series:text} owners {least_lost_series_share:share}."
        )
    if back and _tells_warranty(known):
        return N_(
            "Of cars under warranty {stage_new_exit_share:share} stayed away or were sold in a year, of older ones in use {stage_in_use_exit_share:share}. Of those still away {warning_days:days} after a visit, {warning_gone_share:share} stay away, against {return_never_share:share} after any visit."
        )
    if back:
        return N_(
            "Of the cars still away {warning_days:days} after a visit, {warning_gone_share:share} stay away, against {return_never_share:share} after any visit."
        )
    return N_("{absent_customers:persons} owners who used to come have been away for more than {lost_months:months}.")


def _tells_warranty(known: Mapping) -> bool:
    """Whether cars under warranty can be set against older ones: most ends are known, and both are many."""
    both = known.get("stage_in_use_exit_share") is not None and known.get("stage_new_exit_share") is not None
    return both and (known.get("stage_warranty_known_share") or 0) >= 0.5


def model_trust(facts: Mapping[str, Mapping]) -> str:
    """How far the churn model can be trusted, as a message."""
    known = _values(facts)
    if known.get("churn_auc_best") is None:
        return N_("There is no churn model: {churn_reason:label}.")
    if known["churn_model_used"]:
        return N_(
            "The churn model, tried on a later day than it learned from, ranks {churn_auc:number} ({churn_auc_low:number} to {churn_auc_high:number}); days since the last visit alone rank {churn_auc_rule:number}. Lost were {churn_test_ratio:number} times as many as predicted."
        )
    if known["churn_auc_gain_low"] > 0:
        return N_(
            "The churn model, tried on a later day than it learned from, ranks {churn_auc_best:number}, days since the last visit alone {churn_auc_rule:number}. {churn_verdict:label}"
        )
    return N_(
        "The churn model is not shown to be better than days since the last visit: tried on a later day it ranks {churn_auc_best:number}, the days alone {churn_auc_rule:number}; the difference may be {churn_auc_gain_low:number} to {churn_auc_gain_high:number}. So the days are used."
    )


def _values(facts: Mapping[str, Mapping]) -> dict:
    return {name: fact["value"] for name, fact in facts.items()}
