"""Checks of the dealer's own: told before anything is read, counted and sorted like those of the kit."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import get_args

import pandas as pd
import pytest
from dealerkit import tables
from dealerkit.audit import DIMENSIONS, own, views
from dealerkit.audit.checks import built_in
from dealerkit.errors import UserError, UserErrors
from dealerkit.params import OwnCheckParams, Params, _validated
from dealerkit.report.translate import Translator

LABEL = {"en": "labour above half", "zh": "工时过半"}
CHECK = {
    "id": "labour_share",
    "table": "service_orders",
    "fails_when": "labour_yuan > 0.5 * total_yuan",
    "label": LABEL,
}


def visit(number: int, labour: str | None, total: str | None, **more) -> dict:
    return {
        "order_id": f"R{number}", "vin": f"LSVAA4081E200000{number}", "opened_at": "2026-05-01 09:00", "settled_at": "2026-05-01 12:00",
        "order_type": "保养", "labour_yuan": labour, "total_yuan": total, "payer_kind": "客户", "odometer_km": "5000",
    } | more  # fmt: skip


#: Labour above half the total: R1 and R3; not known: R4; R5 is a total row of the export.
VISITS = [
    visit(1, "60.01", "120.01"), visit(2, "60.00", "120.00"), visit(3, "90", "100"), visit(4, None, "100"),
    visit(5, "500", "600", _kind="total"),
]  # fmt: skip


def params(*checks: dict) -> Params:
    return Params.model_validate({"dealer": "x", "display_name": "X", "own_checks": list(checks)})


def told(*checks: dict) -> list[str]:
    with pytest.raises(UserErrors) as caught:
        own.declared(params(*checks))
    return caught.value.problems


def result(audited, check: str) -> dict:
    return audited.results.set_index("check").loc[check].to_dict()


def test_an_own_check_is_a_row_like_any_other(audit_of):
    audited = audit_of({"service_orders": VISITS}, own_checks=[CHECK])
    expected = {
        "table": "service_orders", "columns": "labour_yuan, total_yuan", "dimension": "consistency", "severity": "warn", "action": "flagged",
        "message": "labour above half", "message_zh": "工时过半", "checked": 3, "failed": 2, "share": pytest.approx(2 / 3), "examples": "60.01 · 90",
    }  # fmt: skip
    got = result(audited, "service_orders.labour_share")
    assert pd.isna(got.pop("cost_yuan")) and got.pop("fixer") == "workshop"
    assert got == expected
    faults = audited.faults.filter(audited.faults.check == "service_orders.labour_share").order_by("row").to_pandas()
    assert faults[["file", "row", "key", "delivered"]].values.tolist() == [
        ["service_orders.csv", 2, "R1", "60.01"],
        ["service_orders.csv", 4, "R3", "90"],
    ]
    assert sorted(audited.clean["service_orders"].order_id.to_pandas()) == ["R1", "R2", "R3", "R4"]


def test_passes_when_fails_where_it_is_false_and_not_where_it_is_unknown(audit_of):
    check = {k: v for k, v in CHECK.items() if k != "fails_when"} | {"passes_when": "labour_yuan <= 0.5 * total_yuan"}
    got = result(audit_of({"service_orders": VISITS}, own_checks=[check]), "service_orders.labour_share")
    assert (got["checked"], got["failed"]) == (3, 2)


def test_warn_counts_in_the_score_and_info_does_not(audit_of):
    def consistency(severity: str | None) -> tuple:
        checks = [CHECK | {"severity": severity}] if severity else []
        scores = audit_of({"service_orders": VISITS}, own_checks=checks).scores
        row = scores.query("table == 'service_orders' and dimension == 'consistency'").iloc[0]
        return int(row["checked"]), int(row["failed"])

    without = consistency(None)
    assert consistency("info") == without
    assert consistency("warn") == (without[0] + 3, without[1] + 2)


def test_reject_puts_rows_in_quarantine_under_its_label(audit_of):
    audited = audit_of({"service_orders": VISITS}, own_checks=[CHECK | {"severity": "reject"}])
    kept_out = audited.quarantine.order_by("row").to_pandas()
    assert kept_out[["row", "reasons"]].values.tolist() == [
        [2, "service_orders.labour_share"],
        [4, "service_orders.labour_share"],
        [6, "not_a_record.total"],
    ]
    line = audited.ledger.iloc[0]
    assert (line["raw"], line["clean"], line["quarantined"], line["merged"]) == (5, 2, 3, 0)
    assert sorted(audited.clean["service_orders"].order_id.to_pandas()) == ["R2", "R4"]
    reasons = views.quarantine_reasons(audited, Translator("en"))
    assert reasons[["reason", "rows"]].values.tolist() == [["labour above half", 2], ["a total row", 1]]


def test_labels_are_said_in_the_language_of_the_report(audit_of):
    audited = audit_of(
        {"service_orders": VISITS},
        own_checks=[CHECK | {"severity": "reject", "label": {"en": "no VIN", "zh": "没有 VIN"}}],
    )
    for language, said in (("en", "no VIN"), ("zh", "没有 VIN")):
        t = Translator(language)
        assert said in views.failing_checks(audited, t)["message"].tolist()
        assert said in views.quarantine_reasons(audited, t)["reason"].tolist()
        assert views.own_checks(audited, t)["message"].tolist() == [said]
        assert said not in t.untranslated


def test_examples_of_personal_columns_are_masked(audit_of):
    check = {"id": "known_name", "table": "customers", "fails_when": "name = 'Hidden Person'", "label": "x"}
    rows = [{"customer_id": "C1", "name": "Hidden Person", "phone": "13912345678"}]
    audited = audit_of({"service_orders": VISITS, "customers": rows}, own_checks=[check])
    assert result(audited, "customers.known_name")["examples"] == "H*"


def test_columns_say_what_is_shown(audit_of):
    audited = audit_of({"service_orders": VISITS}, own_checks=[CHECK | {"columns": ["total_yuan"]}])
    got = result(audited, "service_orders.labour_share")
    assert (got["columns"], got["examples"]) == ("total_yuan", "120.01 · 100")


def test_a_table_that_was_not_delivered_is_a_gap_and_no_error(audit_of):
    check = {"id": "cheap", "table": "sales_orders", "fails_when": "price_yuan < 1000", "label": "too cheap"}
    audited = audit_of(
        {"service_orders": VISITS, "customers": [{"customer_id": "C1", "name": "A B"}]}, own_checks=[check]
    )
    got = result(audited, "sales_orders.cheap")
    assert (got["checked"], got["failed"], got["action"]) == (0, 0, "flagged") and pd.isna(got["share"])
    gaps = views.gaps(audited, SimpleNamespace(derived=(), unread=()), Translator("en"))
    assert (
        "the dealer's own check: too cheap", "The table Car sales was not delivered.", "Deliver them, or take the check out of own_checks: in the params.",
    ) in gaps  # fmt: skip


def test_values_that_were_not_delivered_are_a_gap(audit_of):
    check = CHECK | {"fails_when": "wait_minutes > 600"}
    audited = audit_of({"service_orders": VISITS}, own_checks=[check])
    gaps = views.gaps(audited, SimpleNamespace(derived=(), unread=()), Translator("en"))
    assert "No row of the table Workshop visits has the values it looks at." in [why for _, why, _ in gaps]


def test_without_own_checks_there_are_none(audit_of):
    audited = audit_of({"service_orders": VISITS})
    assert len(views.own_checks(audited, Translator("en"))) == 0
    assert own.declared(params()) == []


def test_everything_wrong_is_told_at_once():
    problems = told(
        CHECK | {"fails_when": "labor_yuan > 1"},
        CHECK | {"id": "total_adds_up"},
        CHECK | {"columns": ["totl_yuan"]},
        CHECK | {"id": "b", "fails_when": "labour_yuan"},
        CHECK | {"id": "c", "fails_when": "order_type = 'repairs'"},
        CHECK | {"id": "d", "fails_when": "1 = 1"},
        CHECK | {"id": "e", "label": " "},
        CHECK | {"id": "f", "fails_when": "sum(total_yuan) > 1"},
    )
    starts = [
        "own_checks.0.fails_when (labour_share): no column 'labor_yuan'; nearest: 'labour_yuan'; the columns are order_id, vin",
        "own_checks.1.id: the check 'total_adds_up' of service_orders comes with the kit; choose another id",
        "own_checks.2.id: the check 'labour_share' of service_orders is declared by own_checks.0 already; choose another id",
        "own_checks.2.columns (labour_share): service_orders has no column 'totl_yuan'; nearest: 'total_yuan'; its columns are",
        "own_checks.3.fails_when (b): 'labour_yuan' is a number, not a condition; compare it",
        "own_checks.4.fails_when (c): order_type is never 'repairs'; nearest: 'repair'; it is one of maintenance",
        "own_checks.5.fails_when (d): '1 = 1' names no column; name one of order_id",
        "own_checks.6.label (e): empty; say what is wrong with a row that fails",
        "own_checks.7.fails_when (f): SUM(total_yuan) works over many rows; an expression sees the columns of one row",
    ]
    assert [problem[: len(start)] for problem, start in zip(problems, starts, strict=True)] == starts


@pytest.mark.parametrize(
    "condition",
    [
        "1 = 13800138000", "phone = 13800138000", "phone = '13800138000' and", "gender = '13800138000'", "phone like 13800138000",
        "phone = '张伟 138 0013 8000", '"张伟 13800138000" = phone', "phone = 13800138000 13800138000", "date '13800138000' > created_on",
        "13800138000", "phone + '13800138000' > 1", "phone = 浙A12345", "id_number = '34062119730728809X' || 1", "phone = a@example.cn",
    ],
)  # fmt: skip
def test_a_value_in_a_condition_is_not_repeated(condition):
    said = "\n".join(told(CHECK | {"table": "customers", "fails_when": condition}))
    assert not re.search("13800|0013|张伟|12345|3406|example", said) and "own_checks.0.fails_when" in said


@pytest.mark.parametrize(
    "change, told_",
    [
        ({"table": "service_order"}, "own_checks.0.table"),
        ({"id": "Labour share"}, "own_checks.0.id"),
        ({"severity": "error"}, "own_checks.0.severity"),
        ({"dimension": "accuracy"}, "own_checks.0.dimension"),
        ({"passes_when": "total_yuan > 0"}, "give either fails_when or passes_when"),
        ({"fails_when": None}, "give either fails_when or passes_when"),
        ({"label": None}, "own_checks.0.label"),
        ({"fail_when": "x"}, "unknown key; nearest: 'fails_when'"),
        ({"fails_when": True}, "own_checks.0.fails_when"),
        ({"fails_when": 13800138000}, "own_checks.0.fails_when (labour_share) = 1**********: Input should be"),
    ],
)
def test_a_wrong_form_is_told_when_the_params_are_read(change, told_):
    with pytest.raises(UserErrors) as caught:
        _validated({"dealer": "x", "display_name": "X", "own_checks": [CHECK | change]}, "params/x.yaml")
    assert told_ in str(caught.value)


def test_nothing_is_read_before_the_own_checks_are_told(audit_of):
    with pytest.raises(UserErrors, match="own checks of the params: 1 problem"):
        audit_of({"service_orders": VISITS}, own_checks=[CHECK | {"fails_when": "nothing"}])


def test_what_the_engine_cannot_compute_names_the_check(audit_of):
    check = CHECK | {
        "id": "far",
        "fails_when": "opened_at + interval '99999 years' + interval '99999 years' + interval '99999 years' > opened_at",
    }
    with pytest.raises(UserError, match=r"own check service_orders\.far: its condition cannot be computed"):
        audit_of({"service_orders": VISITS}, own_checks=[check])


def test_no_own_check_hides_a_built_in_one():
    names = {
        t.name: {c.name for c in built_in(t, pd.Timestamp("2026-01-01").date(), params().checks)}
        for t in tables.TABLES.values()
    }
    assert "total_adds_up" in names["service_orders"] and "key_repeated" in names["customers"]


def test_dimensions_of_the_params_are_those_of_the_audit():
    assert get_args(OwnCheckParams.model_fields["dimension"].annotation) == DIMENSIONS


def test_own_checks_of_the_shipped_dealer_hold():
    from dealerkit.params import load

    shipped = own.declared(load(views.__file__.rsplit("/lib/", 1)[0] + "/params/demo.yaml"))
    assert [c.id for c in shipped] == ["service_orders.settled_within_a_week", "sales_orders.discount_in_bounds"]
