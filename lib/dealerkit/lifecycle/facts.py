"""Facts of the page of the life cycle, which sentences, cards and later pages say."""

from __future__ import annotations

from dealerkit import propensity, stats
from dealerkit.lifecycle import DAYS_PER_MONTH, LEAST, churn, drift, lost, returns
from dealerkit.lifecycle.views import MODEL_NAMES, Found
from dealerkit.messages import N_

JOINED = {
    churn.PRODUCT: N_("the product of the probabilities of the cars, which came nearer to what happened at the test"),
    churn.SMALLEST: N_("the smallest probability of the cars, since the cars of one household tend to go together"),
}


def facts(found: Found) -> dict[str, tuple]:
    """All of them: name → (value, rows, table)."""
    made = _loss_facts(found) | _curve_facts(found) | _churn_facts(found)
    return made | drift.facts(found.churn.moved) | _stage_facts(found)


def _loss_facts(found: Found) -> dict[str, tuple]:
    loss, n = found.loss, len(found.loss.cars)
    count = len(loss.lost)
    low, high = stats.wilson(count, n)
    yuan = loss.yuan or (None, None, None)
    lines = lost.by_series(loss)
    lines = lines[lines["cars"] >= LEAST]
    shown = len(lines) > 1 and lines["share"].iloc[0] > lines["share"].iloc[-1]
    clear = shown and lines["low"].iloc[0] > lines["lost"].iloc[1:].sum() / lines["cars"].iloc[1:].sum()
    force = found.definitions[found.definitions["in_force"]].iloc[0]
    others = found.definitions.loc[found.definitions["base"] >= LEAST, "share"]
    agree = found.definitions.loc[~found.definitions["in_force"], "kendall"].dropna()
    rows = {
        "lost_definition_months": found.params.windows.lost_months,
        "lost_base_count": n,
        "lost_cars_count": count,
        "lost_cars_share": count / n if n else None,
        "lost_cars_share_low": low,
        "lost_cars_share_high": high,
        "lost_persons_count": loss.lost["person_id"].nunique(),
        "lost_gone_count": loss.gone,
        "lost_yuan_12m": yuan[0],
        "lost_yuan_12m_low": yuan[1],
        "lost_yuan_12m_high": yuan[2],
        "top_lost_series": lines["series"].iloc[0] if shown else None,
        "top_lost_series_share": lines["share"].iloc[0] if shown else None,
        "top_lost_is_clear": bool(clear),
        "least_lost_series": lines["series"].iloc[-1] if shown else None,
        "least_lost_series_share": lines["share"].iloc[-1] if shown else None,
        "lost_in_force_count": force["lost"],
        "lost_in_force_base": force["base"],
        "lost_in_force_share": force["share"],
        "lost_share_smallest": others.min(),
        "lost_share_largest": others.max(),
        "lost_kendall_smallest": agree.min() if len(agree) else None,
    }
    return {name: (value, n, "car_panel") for name, value in rows.items()}


def _curve_facts(found: Found) -> dict[str, tuple]:
    c = found.curves[0] if found.curves else None
    day, low, high = c.warning if c else (None, None, None)
    still = c.still_come if c else (None, None, None)
    lines = returns.lines(found.curves)
    rows = {
        "warning_days": day,
        "warning_days_low": low,
        "warning_days_high": high,
        "warning_month": day / DAYS_PER_MONTH if c else None,
        "warning_share": found.params.churn.warning_share,
        "warning_back_share": 1 - found.params.churn.warning_share,
        "warning_gone_share": 1 - still[0] if c else None,
        "warning_gone_share_low": 1 - still[2] if c else None,
        "warning_gone_share_high": 1 - still[1] if c else None,
        "return_never_share": c.away[-1] if c else None,
        "return_days_median": c.median if c else None,
        "return_visits_count": c.visits if c else None,
        "return_horizon_months": round((len(c.away) - 1) / DAYS_PER_MONTH, 1) if c else None,
        "return_peak_month": c.peak_month if c else None,
        "return_half_month": c.half_month if c else None,
        "return_series_first": lines[0].group if len(lines) > 1 else None,
        "return_series_first_days": lines[0].warning[0] if len(lines) > 1 else None,
        "return_series_last": lines[-1].group if len(lines) > 1 else None,
        "return_series_last_days": lines[-1].warning[0] if len(lines) > 1 else None,
        "past_warning_count": len(found.waiting) if c else None,
        "past_warning_reachable_count": int(found.waiting["may_be_called"].sum()) if c else None,
    }
    return {name: (value, c.visits if c else 0, "return_curves") for name, value in rows.items()}


def _churn_facts(found: Found) -> dict[str, tuple]:
    study, works = found.churn, found.churn.works
    test = study.evaluation
    people = study.persons
    alert = found.params.churn.alert_probability
    risky = people[people["probability"].astype(float) >= alert] if works else people
    called = risky[risky["may_be_called"].astype(bool)] if works else risky
    rows = {
        "churn_gap_months": found.params.churn.gap_months,
        "churn_outcome_months": found.params.churn.outcome_months,
        "churn_alert_probability": alert,
        "churn_cars_count": len(study.scores) if works else None,
        "churn_used": MODEL_NAMES[test.used] if works else None,
        "churn_model_used": (test.used != "rule") if works else None,
        "churn_verdict": test.verdict if works else None,
        "churn_reason": None if works else test.reason,
        "at_risk_unreachable_count": int((~risky["is_reachable"].astype(bool)).sum()) if works else None,
        "churn_test_count": test.rows if works else None,
        "churn_test_lost_share": test.events / test.rows if works else None,
        "churn_left_count": int(study.origins["left"].sum()),
        "at_risk_count": len(risky) if works else None,
        "at_risk_reachable_count": len(called) if works else None,
        "at_risk_reachable_yuan": (called["probability"].astype(float) * called["yuan_12m"].fillna(0)).sum()
        if works and found.history.has_yuan and len(called) >= LEAST
        else None,
        "at_risk_waiting_count": int(called["person_id"].isin(found.waiting["person_id"]).sum()) if works else None,
        "churn_joined": JOINED[study.joint] if works else None,
    }
    for name, key in (("churn_expected_count", "cars"), ("churn_expected_yuan", "yuan"), ("churn_test_ratio", "ratio")):
        rows |= _three(name, study.expected.get(key, (None,) * 3))
    for name, model in (
        ("churn_auc", None),
        ("churn_auc_rule", "rule"),
        ("churn_auc_best", test.best if works else ""),
    ):
        rows |= _three(name, test.value("auc", model) if works else (None,) * 3)
    rows |= _three("churn_auc_gain", test.gain("auc") if works else (None,) * 3)
    rows |= _three("churn_slope", test.value("slope") if works else (None,) * 3)
    rows |= _checked(study.model)
    return {name: (value, len(study.scores) if works else 0, "churn_scores") for name, value in rows.items()}


def _checked(model) -> dict[str, object]:
    """What was found out about outcomes and factors before the model learned; None where it could not."""
    learned = isinstance(model, propensity.Propensity)
    looked = model.labels[model.labels["value"].notna()] if learned else None
    found = looked[looked["suspected"]] if learned else None
    return {
        "churn_labels_count": model.rows_given if learned else None,
        "churn_label_checks_count": len(looked) if learned else None,
        "churn_label_suspected_count": len(found) if learned else None,
        "churn_label_said": (found if len(found) else looked)["reason"].iloc[0] if learned else None,
        "churn_factors_checked_count": len(model.leakage) if learned else None,
        "churn_factors_suspected_count": int(model.leakage["suspected"].sum()) if learned else None,
    }


def _three(name: str, values: tuple) -> dict:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _stage_facts(found: Found) -> dict[str, tuple]:
    moves = found.car_moves.set_index(["before", "after"])
    rows = {}
    for before in ("new", "in_use", "replacement"):
        for column, name in (("share", f"stage_{before}_exit_share"), ("low", f"stage_{before}_exit_share_low")):
            rows[name] = moves.loc[(before, "exit"), column] if moves.loc[(before, "exit"), "of"] >= LEAST else None
        known = moves.loc[(before, "exit"), "of"] >= LEAST
        rows[f"stage_{before}_exit_share_high"] = moves.loc[(before, "exit"), "high"] if known else None
    back = moves.loc["exit"]
    returned = int(back.loc[back.index != "exit", "n"].sum())
    rows["stage_won_back_count"] = returned
    rows["stage_won_back_of"] = int(back["of"].iloc[0])
    rows["stage_won_back_share"] = returned / back["of"].iloc[0] if back["of"].iloc[0] >= LEAST else None
    rows["stage_warranty_known_share"] = found.warranty_known
    return {name: (value, int(found.car_moves["n"].sum()), "stage_transitions") for name, value in rows.items()}
