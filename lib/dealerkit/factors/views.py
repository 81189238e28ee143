"""The picture of who the customers are, as small tables and facts made from persons, cars and factors."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit import engine, stats, value
from dealerkit.factors import CLASSES, DAYS_12M, DAYS_PER_MONTH, dictionary
from dealerkit.factors.own import not_delivered
from dealerkit.messages import N_
from dealerkit.params import Params

AGE_BANDS = (
    (0, 29, N_("under 30")),
    (30, 39, N_("30–39")),
    (40, 49, N_("40–49")),
    (50, 59, N_("50–59")),
    (60, 120, N_("60 and over")),
)
ABSENCE_BANDS = (
    (0, 3, N_("under 3 months")),
    (3, 6, N_("3–6 months")),
    (6, 12, N_("6–12 months")),
    (12, 24, N_("12–24 months")),
    (24, 600, N_("over 24 months")),
)
TIERS = (N_("high value"), N_("middle value"), N_("low value"))


def facts(
    persons: pd.DataFrame, now: pd.DataFrame, cars: pd.DataFrame, merges: dict[str, int], params: Params
) -> dict[str, tuple]:
    """Facts of the customers: name → (value, rows, table).

    Args:
        persons: persons of `identity.identify`.
        now: person factors at ``as_of``.
        cars: car factors (cars in hand).
        merges: rule → pairs joined.
        params: windows.
    """
    owners = owners_of(persons, now)
    seen = owners[owners["visits_count_all"] > 0]
    active = owners["recency_days"] <= params.windows.active_months * DAYS_PER_MONTH
    lost = (seen["recency_days"] > params.windows.lost_months * DAYS_PER_MONTH).sum()
    low, high = stats.wilson(int(active.sum()), len(owners))
    lost_low, lost_high = stats.wilson(int(lost), len(seen))
    has_yuan = now["spend_yuan_12m"].notna().any()
    spend = now["spend_yuan_12m"].sum() if has_yuan else None
    active_spend = owners.loc[active, "spend_yuan_12m"].sum()
    rows = {
        "persons_count": len(persons),
        "owners_count": len(owners),
        "prospects_count": persons["is_prospect"].sum(),
        # where nobody is a company, the kind of customer was hardly delivered
        "companies_count": persons["is_company"].sum() or None,
        "records_count": persons["records_count"].sum(),
        "cars_count": len(cars),
        "records_joined": persons["records_count"].sum() - len(persons),
        "pairs_kept_apart": merges["kept_apart"],
        "active_customers": active.sum(),
        "active_share": active.mean() if len(owners) else None,
        "active_share_low": low,
        "active_share_high": high,
        "never_seen_count": len(owners) - len(seen),
        "absent_customers": lost,
        "absent_share": lost / len(seen) if len(seen) else None,
        "absent_share_low": lost_low,
        "absent_share_high": lost_high,
        "new_customers_12m": (owners["tenure_days"] < DAYS_12M).sum(),
        "service_yuan_12m": spend,
        "yuan_per_active": active_spend / active.sum() if has_yuan and active.sum() else None,
        "clv_yuan_total": owners["clv_yuan"].sum() if owners["clv_yuan"].notna().any() else None,
        "reachable_share": owners["is_reachable"].mean() if len(owners) else None,
        "unreachable_owners": (owners["is_reachable"] == 0).sum(),
        "new_energy_share": cars["energy_type"].isin(["phev", "bev"]).sum() / cars["energy_type"].notna().sum()
        if cars["energy_type"].notna().any()
        else None,
        "person_factors_count": (dictionary(params)["table"] == "person_factors").sum(),
        "active_months": params.windows.active_months,
        "lost_months": params.windows.lost_months,
        "horizon_months": params.value.horizon_months,
    }
    rows |= _best_away(owners, params) if has_yuan else {}
    per_customer = params.value_per_reachable_customer_yuan
    per_customer *= params.costs.unreachable_share
    rows["unreachable_yuan"] = per_customer * rows["unreachable_owners"] if per_customer else None
    rows["high_tier_share"], rows["high_tier_yuan_share"] = _high_tier(owners, params)
    tables = {"cars_count": "car_factors", "new_energy_share": "car_factors"}
    return {name: (value, len(owners), tables.get(name, "person_factors")) for name, value in rows.items()}


def _best_away(owners: pd.DataFrame, params: Params) -> dict:
    """Owners among the best spenders who stay away, can be reached and did not refuse; what they spent on average,
    not said of fewer than 30 persons."""
    away = owners["recency_days"] > params.windows.lost_months * DAYS_PER_MONTH
    best = owners["spend_yuan_all"] >= owners["spend_yuan_all"].quantile(1 - params.value.tier_shares[0])
    found = owners[away & best & (owners["is_reachable"] == 1) & (owners["consents_to_marketing"] != 0)]
    mean = found["spend_yuan_all"].mean() if len(found) >= 30 else None
    return {"best_away_reachable": len(found), "best_away_spend_yuan": mean}


def met(frame: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The rows of persons who were met by ``as_of``: an earlier day knows fewer persons than the export."""
    return frame[frame["person_id"].isin(now["person_id"])].reset_index(drop=True)


def owners_of(persons: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Factors at ``as_of`` of persons with a car in hand."""
    return now[now["person_id"].isin(persons.loc[persons["is_owner"], "person_id"])]


def _high_tier(owners: pd.DataFrame, params: Params) -> tuple[float | None, float | None]:
    """Shares of people and of expected yuan in the highest value tier."""
    tiers = value_tiers(owners, params, None)
    return (None, None) if tiers.empty else (tiers["people_share"].iloc[0], tiers["yuan_share"].iloc[0])


def value_tiers(owners: pd.DataFrame, params: Params, t) -> pd.DataFrame:
    """Tiers by expected value and a share of the past (`value.tiers`): tier, persons, people_share, yuan_share (of
    expected yuan), clv_yuan_mean; empty without amounts."""
    past = params.value.past_share
    score = value.tier_score(owners["clv_yuan"], owners["spend_yuan_24m"], past).rename("tier")
    tier, cuts = value.tiers(score, params.value.tier_shares, params.value.tier_yuan)
    if not cuts or tier.isna().all():
        return pd.DataFrame(columns=["tier", "persons", "people_share", "yuan_share", "clv_yuan_mean"])
    made = owners.groupby(tier)["clv_yuan"].agg(["size", "sum", "mean"]).reindex(range(3)).fillna(0)
    return pd.DataFrame(
        {
            "tier": [t.text(name) if t else name for name in TIERS],
            "persons": made["size"].astype(int),
            "people_share": made["size"] / made["size"].sum(),
            "yuan_share": made["sum"] / made["sum"].sum() if made["sum"].sum() else np.nan,
            "clv_yuan_mean": made["mean"],
        }
    )


def absence_bands(owners: pd.DataFrame, t) -> pd.DataFrame:
    """Owners by time since the last visit: band, persons, share, spend_yuan_24m; those never seen come last."""
    months = owners["recency_days"] / DAYS_PER_MONTH
    rows = [(name, (months > low - (low == 0)) & (months <= high)) for low, high, name in ABSENCE_BANDS]
    rows.append((N_("never at the workshop"), months.isna()))
    return pd.DataFrame(
        [
            {
                "band": t.text(name),
                "persons": int(mask.sum()),
                "share": mask.mean() if len(owners) else np.nan,
                "spend_yuan_24m": owners.loc[mask, "spend_yuan_24m"].sum(),
            }
            for name, mask in rows
        ]
    )


def by_series(cars: pd.DataFrame, params: Params, most: int = 8) -> pd.DataFrame:
    """Cars in hand by model line: series, cars, active, active_share with interval, age_months_median."""
    limit = params.windows.active_months * DAYS_PER_MONTH
    known = cars.dropna(subset=["series"])
    made = (
        known.assign(active=known["recency_days"] <= limit)
        .groupby("series")
        .agg(cars=("vin", "size"), active=("active", "sum"), age_months_median=("vehicle_age_months", "median"))
        .reset_index()
    )
    made["active_share"] = made["active"] / made["cars"]
    made["low"], made["high"] = stats.wilson(made["active"].to_numpy(), made["cars"].to_numpy())
    return made.sort_values(["cars", "series"], ascending=[False, True], ignore_index=True).head(most)


def series_facts(series: pd.DataFrame) -> dict[str, tuple]:
    """Facts of the model lines seen most and least, of those with 30 cars or more."""
    known = series[series["cars"] >= 30].sort_values(["active_share", "series"])
    ends = (known["series"].iloc[-1], known["series"].iloc[0]) if len(known) else (None, None)
    return {"best_series": (ends[0], len(series), "car_factors"), "worst_series": (ends[1], len(series), "car_factors")}


def by_age(owners: pd.DataFrame, t) -> pd.DataFrame:
    """Owners of known age by band: band, persons, share, yuan_per_person_24m."""
    known = owners.dropna(subset=["age_years"])
    rows = []
    for low, high, name in AGE_BANDS:
        mask = known["age_years"].between(low, high)
        rows.append(
            {
                "band": t.text(name),
                "persons": int(mask.sum()),
                "share": mask.mean() if len(known) else np.nan,
                "yuan_per_person_24m": known.loc[mask, "spend_yuan_24m"].mean(),
            }
        )
    return pd.DataFrame(rows)


def by_quarter(visits: ir.Table, as_of: date, quarters: int = 12) -> pd.DataFrame:
    """Visits and yuan of the last whole quarters of 91 days up to ``as_of``: ends_on, visits, yuan (None without amounts)."""
    ago = ibis.literal(as_of).delta(visits.opened_at.date(), unit="day")
    recent = visits.filter((ago >= 0) & (ago < 91 * quarters)).group_by(back=(ago / 91).floor().cast("int64"))
    made = engine.frame_of(recent.agg(visits=_.count(), yuan=_.total_yuan.sum()).order_by(ibis.desc("back")))
    made["ends_on"] = [pd.Timestamp(as_of) - pd.Timedelta(days=91 * int(back)) for back in made["back"]]
    return made[["ends_on", "visits", "yuan"]]


def quarter_facts(quarters: pd.DataFrame) -> dict[str, tuple]:
    """Facts of the last quarter and the same one a year before."""
    visits = quarters["visits"]
    return {
        "visits_last_quarter": (visits.iloc[-1] if len(visits) else 0, int(visits.sum()), "service_orders"),
        "visits_quarter_year_before": (
            visits.iloc[-5] if len(visits) > 4 else None,
            int(visits.sum()),
            "service_orders",
        ),
    }


def coverage(now: pd.DataFrame, params: Params, t) -> pd.DataFrame:
    """How many persons each class of factors is known of: class, factors, filled (mean share known), weakest factor and its share."""
    declared = dictionary(params).query("table == 'person_factors'")
    label = dictionary(params, t).query("table == 'person_factors'").set_index("factor")["label"]
    known = now[declared["factor"]].notna().mean()
    rows = []
    for klass, name in CLASSES.items():
        own = declared[declared["class"] == klass]
        share = known[own["factor"]]
        weakest = label[share.fillna(0).idxmin()]
        rows.append(
            {
                "class": t.text(name),
                "factors": len(own),
                "filled": share.mean(),
                "weakest": weakest,
                "weakest_share": share.min(),
            }
        )
    return pd.DataFrame(rows)


def further_tables(counts: pd.DataFrame, met: pd.DataFrame, params: Params, t) -> pd.DataFrame:
    """How the further tables of the params were read and meet the customers: table, files, key, rows, known_share (rows
    of a known person), unknown_keys, undated, left_out (repeated, without a key, totals), unreadable (values), factors.

    Args:
        counts: of `audit.extras`.
        met: of `factors.matched`.
    """
    about = {table.name: table for table in params.extra_factors}
    made = counts.drop(columns="rows").merge(met, on="name", validate="one_to_one")
    return pd.DataFrame(
        {
            "table": made["name"],
            "files": made["files"],
            "key": [t.labels(_home(about[name].key), about[name].key) for name in made["name"]],
            "rows": made["rows"],
            "known_share": made["rows_matched"] / made["rows"].where(made["rows"] > 0),
            "unknown_keys": made["keys"] - made["keys_matched"],
            "undated": made["undated"],
            "left_out": made["other"] + made["repeated"] + made["without_key"],
            "unreadable": made["unreadable"],
            "factors": [len(about[name].factors) for name in made["name"]],
        }
    )


def _home(key: str) -> str:
    """The canonical table whose column a key is."""
    return "vehicles" if key in ("vin", "plate") else "customers"


def gaps(
    now: pd.DataFrame, owners: pd.DataFrame, params: Params, clean: dict[str, ir.Table], t
) -> list[tuple[str, str, str]]:
    """What could not be computed of the customers: (title, why, remedy) each, in the words of ``t``."""
    found = []
    if not now["spend_yuan_all"].notna().any():
        found.append(
            (
                t.text("Spending and value"),
                t.text("No workshop visit has an amount."),
                t.text("Deliver the settled total with the visits (column total_yuan)."),
            )
        )
    elif not owners["clv_yuan"].notna().any():
        found.append(
            (
                t.text("Expected value"),
                t.text("The purchase model could not be fitted: too few customers came again, or all came alike."),
                t.text("Deliver a longer history of visits."),
            )
        )
    if not now["age_years"].notna().any():
        found.append(
            (
                t.text("Age of customers"),
                t.text("No birth date and no ID number was delivered."),
                t.text("Deliver birth_date with the customers."),
            )
        )
    return found + _own_gaps(now, params, clean, t)


def _own_gaps(now: pd.DataFrame, params: Params, clean: dict[str, ir.Table], t) -> list[tuple[str, str, str]]:
    """Own and extra factors that nobody has."""
    missing, found = not_delivered(params, clean), []
    for own in params.own_factors:
        label = getattr(own.label, t.language)
        if own.name in missing:
            table = t.labels(missing[own.name])
            why = t.say(N_("No {table:text} were delivered, and your factor is made of them."), table=table)
            found.append((label, why, t.say(N_("Deliver {table:text}."), table=table)))
        elif now[own.name].isna().all():
            why = t.text(
                N_(
                    "Your factor is empty for everybody: what it is made of was not delivered, or never meets the condition."
                )
            )
            found.append(
                (label, why, t.text(N_("Look at its expression in own_factors, and at the columns it names.")))
            )
    empty = [(table, f) for table in params.extra_factors for f in table.factors if now[f.name].isna().all()]
    for table, factor in empty:
        why = t.say(
            N_(
                "It is empty for everybody: no row of {table:text} names a known person by then, or meets the condition."
            ),
            table=table.name,
        )
        remedy = t.text(N_("Look at its key, its date and its expressions in extra_factors."))
        found.append((getattr(factor.label, t.language), why, remedy))
    return found


def churn_origins(as_of: date, params: Params) -> list[date]:
    """Origins of the churn model before ``as_of`` (see `params.ChurnParams.origins`)."""
    return params.churn.origins(as_of)


def panel_origins(as_of: date, params: Params) -> list[date]:
    """Origins of the panel, oldest first: those of the churn model, a year ago, and ``as_of`` itself last."""
    year_ago = (pd.Timestamp(as_of) - pd.DateOffset(months=12)).date()
    return [*sorted({*churn_origins(as_of, params), year_ago}), as_of]


def first_steps(facts: dict[str, dict]) -> list[tuple[str, str, str, dict]]:
    """What to do next by the facts so far: (request, gain, how, values) each, as messages."""
    known = {name: fact["value"] for name, fact in facts.items()}
    steps = []
    if (known.get("best_away_reachable") or 0) >= 5:
        steps.append(
            (
                N_(
                    "Call {best_away_reachable:persons|high-spending owner who has|high-spending owners who have} stayed away"
                ),
                "",
                N_(
                    "they spent {best_away_spend_yuan:yuan} each so far, have a usable phone and did not refuse; leave some uncalled, drawn by lot, to see the effect"
                )
                if known.get("best_away_spend_yuan")
                else N_(
                    "they have a usable phone and did not refuse; leave some uncalled, drawn by lot, to see the effect"
                ),
                {},
            )
        )
    if known.get("unreachable_owners"):
        steps.append(
            (
                N_("Repair the phones of {unreachable_owners:persons|owner|owners}"),
                N_("{unreachable_yuan:yuan}") if known.get("unreachable_yuan") else "",
                N_("no call or message reaches them; ask at their next visit"),
                {},
            )
        )
    return steps
