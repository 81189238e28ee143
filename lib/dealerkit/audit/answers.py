"""What the audit page answers first: can this report be trusted, what is broken, what does it cost, who must fix what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import pandas as pd

from dealerkit.audit.authenticity import TESTS
from dealerkit.audit.fixers import FIXERS, remedy_of
from dealerkit.audit.kinds import DIMENSION_LABELS, DIMENSIONS
from dealerkit.audit.views import failing_checks
from dealerkit.messages import N_

#: Least health and least share of usable rows with which a report can be trusted, and trusted with care.
_TRUSTED, _WITH_CARE = (90, 0.97), (75, 0.9)
TRUST = {
    "yes": N_("Yes"),
    "with_care": N_("Yes, with care"),
    "no": N_("Not yet"),
}
ROLES = {"adviser": N_("service adviser"), "caller": N_("who asked")}
#: How an effect is written, where not as a share.
_EFFECTS = {"scores_high": "number"}


def trust_level(health: float, usable: float | None) -> str:
    """``yes``, ``with_care`` or ``no``, by the health score and the share of usable rows."""
    usable = 0 if usable is None else usable
    for level, (least, share) in (("yes", _TRUSTED), ("with_care", _WITH_CARE)):
        if health >= least and usable >= share:
            return level
    return "no"


def facts(audited, usable: float | None, false_discovery: float) -> dict[str, tuple]:
    """Facts behind the answers: name → (value, rows, table).

    Args:
        audited: what the audit found.
        usable: share of the rows that can be used.
        false_discovery: level of the tests of authenticity.
    """
    scores, tests, results = audited.scores, audited.authenticity, audited.results
    worst = scores.groupby("dimension")["score"].min()
    by_table = {name: dict(zip(part["dimension"], part["score"])) for name, part in scores.groupby("table", sort=False)}
    called = tests[tests["found"] & tests["accuses"]]
    cost, kit = audited.cost, results[results["message_zh"] == ""]
    return {
        "trust_level": (trust_level(audited.health, usable), None, "scores"),
        "dimension_scores": ({d: float(worst[d]) for d in DIMENSIONS if d in worst.index}, len(scores), "scores"),
        "table_scores": (by_table, len(scores), "scores"),
        "check_kinds_count": (int(kit["message"].nunique()), len(kit), "results"),
        "faults_yuan": (cost.total_yuan if cost else None, len(results), "results"),
        "faults_unreachable": (cost.unreachable if cost else None, None, "faults"),
        "faults_misplaced": (cost.misplaced if cost else None, None, "faults"),
        "unreachable_kept_share": (cost.shares[0] if cost else None, None, None),
        "misplaced_kept_share": (cost.shares[1] if cost else None, None, None),
        "customer_yuan": (cost.value_yuan if cost else None, None, None),
        "authenticity_tests": (len(tests), len(tests), "authenticity"),
        "authenticity_employees": (int(tests["employee"].nunique()), len(tests), "authenticity"),
        "authenticity_found": (len(called), len(tests), "authenticity"),
        "authenticity_accused": (int(called["employee"].nunique()), len(tests), "authenticity"),
        "authenticity_by_chance": (math.ceil(len(tests) * false_discovery), len(tests), "authenticity"),
        "false_discovery_level": (false_discovery, None, None),
    }


def headline(level: str) -> str:
    """The title of the page, as a message."""
    return {
        "yes": N_("This report can be trusted: data health {health_score:score}, {clean_share:share} of the rows can be used"),
        "with_care": N_("This report can be trusted with care: data health {health_score:score}, {clean_share:share} of the rows can be used"),
        "no": N_("This report cannot be trusted yet: data health {health_score:score}, {clean_share:share} of the rows can be used"),
    }[level]  # fmt: skip


def by_dimension(audited, t) -> pd.DataFrame:
    """The weakest table of each dimension: dimension (with the table), score."""
    weakest = audited.scores.sort_values(["score", "table"]).drop_duplicates("dimension").set_index("dimension")
    rows = [
        {
            "dimension": t.say(
                "{dimension:text} · {table:text}",
                dimension=t.text(DIMENSION_LABELS[name]),
                table=t.labels(weakest.at[name, "table"]),
            ),
            "score": float(weakest.at[name, "score"]),
        }
        for name in DIMENSIONS
        if name in weakest.index
    ]
    return pd.DataFrame(rows, columns=["dimension", "score"])


def trend(earlier: list[Mapping], as_of: date, health: float) -> pd.DataFrame:
    """The health score of the earlier reports and of this one: as_of, health; the oldest first.

    Args:
        earlier: what `Run.earlier` gives.
        as_of, health: of this report.
    """
    past = [(report["as_of"], report["facts"].get("health_score")) for report in earlier]
    rows = [(pd.Timestamp(day), float(score)) for day, score in past if score is not None]
    return pd.DataFrame([*rows, (pd.Timestamp(as_of), float(health))], columns=["as_of", "health"])


def since(earlier: list[Mapping], audited, t) -> pd.DataFrame:
    """Scores by table and dimension that moved by a point or more since the last report, most first: table, dimension,
    before, now, step; without rows at the first report."""
    before = earlier[-1]["facts"].get("table_scores") if earlier else None
    rows = []
    for row in audited.scores.itertuples():
        past = (before or {}).get(row.table, {}).get(row.dimension)
        if past is not None and abs(row.score - past) >= 1:
            table, dimension = t.labels(row.table), t.text(DIMENSION_LABELS[row.dimension])
            rows.append(
                {"table": table, "dimension": dimension, "before": past, "now": row.score, "step": row.score - past}
            )
    done = pd.DataFrame(rows, columns=["table", "dimension", "before", "now", "step"])
    return done.sort_values("step", key=lambda s: -s.abs(), kind="stable", ignore_index=True)


def costs(audited, t, most: int = 8) -> pd.DataFrame:
    """The faults that cost most: what, yuan."""
    failing = failing_checks(audited, t)
    found = failing[failing["cost_yuan"] > 0].sort_values(["cost_yuan", "check"], ascending=[False, True])
    return found[["what", "cost_yuan"]].head(most).reset_index(drop=True)


def by_fixer(audited, t) -> pd.DataFrame:
    """Who must mend what, the dearest first: fixer, checks, rows, yuan (no customer twice), worst, how."""
    failing = failing_checks(audited, t)
    rows = []
    for place, fixer in enumerate(FIXERS):
        own = failing[failing["fixer"] == fixer]
        if own.empty:
            continue
        worst = own.sort_values(["cost_yuan", "failed"], ascending=False, na_position="last").iloc[0]
        rows.append(
            {"fixer": t.text(fixer), "checks": len(own), "rows": int(own["failed"].sum()), "place": place}
            | {"yuan": audited.cost.of_fixer(fixer) if audited.cost else None, "worst": worst["what"]}
            | {"worst_rows": int(worst["failed"]), "how": remedy_of(worst["check"])}
        )
    done = pd.DataFrame(rows, columns=["fixer", "checks", "rows", "yuan", "worst", "worst_rows", "how", "place"])
    done["yuan"] = done["yuan"].astype(float)
    return done.sort_values(["yuan", "place"], ascending=[False, True], na_position="last", ignore_index=True)


def steps(audited, t) -> list[tuple[str, str, str, dict]]:
    """What each of them does first: (request, gain, how, values) each, as messages."""
    done = []
    for row in by_fixer(audited, t).to_dict("records"):
        paid = row["yuan"] == row["yuan"] and row["yuan"] > 0
        how = N_(
            "{how:text} Most of all: {worst:text}, {worst_rows:count|row|rows}. In all {checks:count|check|checks} with {rows:count|row|rows}."
        )
        values = {k: row[k] for k in ("fixer", "yuan", "worst", "worst_rows", "checks", "rows")} | {
            "how": t.text(row["how"])
        }
        done.append((N_("{fixer:text}"), N_("{yuan:yuan}") if paid else "", how, values))
    return done


def suspects(audited, t) -> pd.DataFrame:
    """What the tests of authenticity found: number (of the employee in the table `authenticity`), role, finding, cases,
    of, effect (with its meaning), p_adjusted, verdict."""
    rows = []
    for row in audited.authenticity[audited.authenticity["found"]].to_dict("records"):
        test, kind = TESTS[row["test"]], _EFFECTS.get(row["test"], "share")
        value, low, high = (t.value(row[name], kind) for name in ("effect", "low", "high"))
        effect = t.say(
            "{effect:text}: {value:text} ({low:text} to {high:text})",
            effect=t.text(test.effect),
            value=value,
            low=low,
            high=high,
        )
        rows.append(
            {"number": row["number"], "role": t.text(ROLES[row["role"]]), "finding": t.text(test.message)}
            | {"cases": row["cases"], "of": row["of"], "effect": effect, "p_adjusted": _rate(row["p_adjusted"], t)}
            | {"verdict": t.text(N_("look into it") if test.accuses else N_("no fault"))}
        )
    return pd.DataFrame(rows, columns=["number", "role", "finding", "cases", "of", "effect", "p_adjusted", "verdict"])


def _rate(rate: float, t) -> str:
    """A rate of false findings in words: far from nought, nought itself says too much."""
    least = 0.001
    return t.say(N_("under {least:share}"), least=least) if rate < least else t.value(rate, "share")
