"""What the page of the life cycle says: headline, steps, sentences, and what could not be said."""

from __future__ import annotations

from collections.abc import Mapping

from dealerkit import propensity
from dealerkit.lifecycle.views import Found
from dealerkit.messages import N_

TESTED = N_(
    "{churn_verdict:label} On {churn_test_count:count} cars of a later day, the model that did best ranked {churn_auc_best:number} ({churn_auc_best_low:number} to {churn_auc_best_high:number}) and days since the last visit alone {churn_auc_rule:number} ({churn_auc_rule_low:number} to {churn_auc_rule_high:number}); .5 would be chance."
)


def headline(found: Found) -> tuple[str, str]:
    """Finding and sentence under it."""
    loss = found.loss
    if loss.cars.empty:
        return (
            N_("It cannot be told yet how many cars were lost: the history is too short"),
            N_("{return_visits_count:count} visits are on record; when cars come back is shown below."),
        )
    risk = N_("{at_risk_reachable_count:persons|customer|customers} likely to stay away can still be reached.")
    if not len(loss.lost):
        return N_("No car was lost of {lost_base_count:count} that came a year ago"), risk
    lead = N_(
        "Lost: not seen for {lost_definition_months:months}. Of the cars that still come, {churn_expected_count:count} are expected to follow within {churn_outcome_months:months}; {at_risk_reachable_count:persons|customer|customers} likely to go can still be reached."
    )
    if loss.yuan is None:
        return N_(
            "{lost_cars_share:share} of the cars that came a year ago were lost, {lost_cars_count:count} cars"
        ), lead
    return N_(
        "{lost_cars_share:share} of the cars that came a year ago were lost: {lost_cars_count:count} cars, {lost_yuan_12m:yuan} a year"
    ), lead


def first_steps(facts: Mapping[str, Mapping]) -> list[tuple[str, str, str, dict]]:
    """What to do by the facts of this page: (request, gain, how, values) each, the most useful first; nobody is called for
    fewer than five."""
    made, known = [], {name: fact["value"] for name, fact in facts.items()}
    if (known["past_warning_reachable_count"] or 0) >= 5:
        made.append(
            (
                N_("Call {past_warning_reachable_count:persons|customer|customers} past their warning day"),
                "",
                N_(
                    "a car of theirs was not seen for longer than the warning day of its model line ({warning_days:days} over all), and is not lost yet; they have a usable phone and did not refuse"
                ),
                {},
            )
        )
    if (known["at_risk_reachable_count"] or 0) >= 5:
        gain = N_("{at_risk_reachable_yuan:yuan}") if known["at_risk_reachable_yuan"] else ""
        made.append(
            (
                N_("Call {at_risk_reachable_count:persons|customer|customers} likely to go"),
                gain,
                _called(known),
                {},
            )
        )
    if known["top_lost_is_clear"]:
        made.append(
            (
                N_("Ask why {top_lost_series:text} owners leave"),
                "",
                N_(
                    "{top_lost_series_share:share} were lost in a year, {least_lost_series_share:share} of {least_lost_series:text}; the number alone does not say why"
                ),
                {},
            )
        )
    if (known["at_risk_unreachable_count"] or 0) >= 5:
        made.append(
            (
                N_("Find the phones of {at_risk_unreachable_count:persons|customer|customers} likely to go"),
                "",
                N_("they have no usable phone on record; ask at their next visit, or write"),
                {},
            )
        )
    return made


def _called(known: Mapping) -> str:
    """How those likely to go are called; how many of them are called already, where that tells of no single person."""
    both = known.get("at_risk_waiting_count") or 0
    rest = (known["at_risk_reachable_count"] or 0) - both
    if not known["at_risk_reachable_yuan"]:
        return N_(
            "probability {churn_alert_probability:share} or more; leave some uncalled, drawn by lot, to see the effect"
        )
    if both >= 5 and (rest >= 5 or not rest):
        return N_(
            "probability {churn_alert_probability:share} or more, {at_risk_waiting_count:persons} of them past their warning day as well; the yuan are what is expected to go with them; leave some uncalled, drawn by lot, to see the effect"
        )
    return N_(
        "probability {churn_alert_probability:share} or more; the yuan are what is expected to go with them; leave some uncalled, drawn by lot, to see the effect"
    )


def verdict(found: Found) -> str:
    """How the model did, or why there is none, as a message."""
    if found.churn.works:
        return TESTED
    return N_(
        "There is no churn model: {churn_reason:label}, and days since the last visit could not be tested either."
    )


def checked(facts: Mapping[str, Mapping]) -> str:
    """What was looked at before the model learned, as a message; its numbers are not known without a model."""
    if facts["churn_label_suspected_count"]["value"]:
        return N_(
            "Before it learned, {churn_labels_count:count} outcomes went through {churn_label_checks_count:count} checks; {churn_label_suspected_count:count|check|checks} found something, first of all: {churn_label_said:label}. Of {churn_factors_checked_count:count} factors, {churn_factors_suspected_count:count|was|were} suspected of knowing the outcome, and left out."
        )
    return N_(
        "Before it learned, {churn_labels_count:count} outcomes went through {churn_label_checks_count:count} checks: {churn_label_said:label}. Of {churn_factors_checked_count:count} factors, {churn_factors_suspected_count:count|was|were} suspected of knowing the outcome, and left out."
    )


def returning(found: Found) -> str:
    """What the return curve says, a message."""
    if not found.curves:
        return N_("Too few returns are on record to say when cars come back.")
    if found.curves[0].half_month is None:
        return N_(
            "Half are back after {return_days_median:days}. By day {warning_days:count}, {warning_back_share:share} of those who come back within {return_horizon_months:months} are back. Of those still away then, {warning_gone_share:share} ({warning_gone_share_low:share} to {warning_gone_share_high:share}) stay away, against {return_never_share:share} after any visit."
        )
    return N_(
        "Half are back after {return_days_median:days}. By day {warning_days:count}, {warning_back_share:share} of those who come back within {return_horizon_months:months} are back. Of those still away then, {warning_gone_share:share} ({warning_gone_share_low:share} to {warning_gone_share_high:share}) stay away, against {return_never_share:share} after any visit. Two months to look who is missing: the chance of coming back is greatest in month {return_peak_month:count}, and down to half of that in month {return_half_month:count}."
    )


def losing(found: Found) -> str:
    """How the loss of the last year was counted, a message."""
    if found.loss.cars.empty:
        return N_("No car came before the year that ended now, so that none could be lost in it.")
    return N_(
        "Lost in the last year: of {lost_base_count:count|car that came|cars that came} a year ago, {lost_cars_count:count} were not seen for {lost_definition_months:months} or longer, held by {lost_persons_count:persons|customer|customers}. {lost_gone_count:count|car that came a year ago is|cars that came a year ago are} known to have been sold, traded in or scrapped since, and not counted. Of all cars in hand that ever came, {lost_in_force_share:share} were not seen for so long: those lost in earlier years are among them. A customer counts as away only when none of the cars came."
    )


def expecting(found: Found) -> str:
    """What the model says of today's cars and customers, a message."""
    if not found.churn.works:
        return N_("How many are likely to go cannot be said without a model or a tested rule.")
    return N_(
        "Expected to stay away, of {churn_cars_count:count} cars that come now: {churn_expected_count:count} ({churn_expected_count_low:count} to {churn_expected_count_high:count}). Probabilities come from: {churn_used:label}; the sums are scaled to what was lost at the test, {churn_test_ratio:number} times what was predicted. A customer is lost when all cars are; the probability of that is {churn_joined:label}. {at_risk_count:persons|customer is|customers are} at {churn_alert_probability:share} or more; {at_risk_reachable_count:persons} of them have a usable phone and did not refuse."
    )


def points_title(found: Found) -> str:
    """Title of the table of points, a message; it says so when the points are not what is used."""
    if found.churn.works and found.churn.evaluation.used == "scorecard":
        return N_(
            "Points of the scorecard, its widest factors; more points, more likely to stay away; associated, not proven"
        )
    return N_(
        "Points of the scorecard, its widest factors; not used for the probabilities above; more points, more likely to stay away; associated, not proven"
    )


def gaps(found: Found, t) -> list[tuple[str, str, str]]:
    """What could not be said: (title, why, remedy) each, in the words of ``t``."""
    more = N_("Deliver a longer history of visits.")
    made, loss = [], found.loss
    if loss.cars.empty:
        made.append(
            (N_("Loss of the last year"), N_("No car on record came in the time before the year that ended now."), more)
        )
    if not found.history.has_yuan:
        why, remedy = (
            N_("No workshop visit has an amount."),
            N_("Deliver the settled total with the visits (column total_yuan)."),
        )
        made.append((N_("Yuan lost"), why, remedy))
    if not found.curves:
        made.append(
            (
                N_("Return curves and warning day"),
                N_("Fewer than 30 cars, or fewer than 30 returns, are on record."),
                more,
            )
        )
    elif not any(c.kind == "series" for c in found.curves):
        why = N_("No model line is known, or none has 30 cars and 30 returns.")
        made.append(
            (N_("Return curves by model line"), why, N_("Deliver the model line with the cars (column series)."))
        )
    if len(found.ranks) < 3:
        why = N_("Fewer than three model lines have 30 cars, so that definitions cannot be compared by their ranking.")
        made.append(
            (N_("Ranking of the model lines"), why, N_("Deliver the model line with the cars (column series)."))
        )
    if not found.churn.works:
        made.append(_no_model(found))
    if found.history.gone.empty:
        why = N_("No car is known to have been sold, traded in or scrapped, so that such cars count as lost.")
        made.append(
            (N_("Cars that left for good"), why, N_("Deliver disposed_on with the cars, or trade-ins with the sales."))
        )
    return [tuple(t.text(part) for part in gap) for gap in made]


def _no_model(found: Found) -> tuple[str, str, str]:
    """Why no churn model could be made, and what would help."""
    cause = found.churn.evaluation.reason
    title = N_("Churn model")
    if cause == propensity.NO_EVENTS:
        return (
            title,
            N_("No car stayed away in the windows of the model, so that there is nothing to learn from."),
            N_("Nothing needs to be done; shorten churn.outcome_months to look at shorter absences."),
        )
    if cause == propensity.ALL_EVENTS:
        return (
            title,
            N_("Every car stayed away in the windows of the model, so that there is nothing to learn from."),
            N_("Check whether the visits of the last year were delivered; or widen churn.outcome_months."),
        )
    if cause == propensity.NOTHING_VARIES:
        return (
            title,
            N_("No factor varies between the cars."),
            N_("Deliver visits with days, amounts and mileage of their own."),
        )
    return (
        title,
        N_("Too few cars, or too few lost cars, lie within the windows of the model."),
        N_("Deliver a longer history of visits, or shorten churn.outcome_months and churn.gap_months."),
    )
