"""Further keyed tables: read like all files, matched by their key, worked by hand, and every mistake named with its key."""

from __future__ import annotations

import functools
from datetime import date, timedelta

import pandas as pd
import pytest
from dealerkit import engine, factors, identity
from dealerkit.audit import audit
from dealerkit.audit.extras import extras
from dealerkit.errors import UserError, UserErrors
from dealerkit.factors import views
from dealerkit.ingest import ingest
from dealerkit.params import EngineParams, Params
from dealerkit.report.translate import Translator
from pydantic import ValidationError

BEFORE, DAY = date(2025, 6, 30), date(2026, 6, 30)
V1, V2, V3 = "LSVAA4081E2000001", "LSVAA4082E2000002", "LSVAA4083E2000003"
CUSTOMERS = "customer_id,name,phone,created_on\nA,张三,13800000001,2020-01-01\nB,李四,13800000002,2020-01-01\nC,王五,13800000002,2020-01-01\n"
VEHICLES = f"vin,plate,customer_id,purchased_on\n{V1},浙A12345,A,2020-01-01\n{V2},浙A54321,B,2020-01-01\n"
ORDERS = "order_id,vin,customer_id,opened_at,total_yuan\n" + "".join(
    f"R{i},{V1 if i % 2 else V2},{'A' if i % 2 else 'B'},{date(2022, 1, 1) + timedelta(days=40 * i)} 09:00,{100 + i}\n"
    for i in range(40)
)
#: Two years of policies: one VIN in lower case with blanks, one unknown, one row twice, one without a date, a sum with ¥.
POLICIES = f"""policy_no,vin,insurer,product,starts_on,ends_on,premium_yuan,claims_count
P1,{V1},Sun,commercial,2024-07-01,2025-06-30,4000.00,2
P2,{V1.lower()[:8]} {V1.lower()[8:]},Sun,commercial,2025-07-01,2026-06-30,"¥5,000.50",1
P3,{V2},Moon,compulsory,2025-01-01,2025-12-31,950,0
P3,{V2},Moon,compulsory,2025-01-01,2025-12-31,950,0
P4,{V3},Sun,commercial,2025-01-01,2025-12-31,1000,0
P5,{V2},Moon,commercial,someday,2025-12-31,1000,0
P6,{V2},Moon,commercial,2026-07-15,2027-07-14,9999,0
合计,,,,,,16949.5,
"""


def factor(name: str, aggregate: str, of: str | None = None, where: str | None = None, **more) -> dict:
    given = {"name": name, "label": name.replace("_", " "), "aggregate": aggregate, "of": of, "where": where}
    return {k: v for k, v in (given | more).items() if v is not None}


def policies(*made: dict, **more) -> dict:
    """An entry of the policies with these factors."""
    entry = {
        "name": "policies",
        "file": "policies.csv",
        "key": "vin",
        "date": "starts_on",
        "columns": {
            "policy_no": "policy_no",
            "insurer": "insurer",
            "product": "product",
            "ends_on": "ends_on",
            "premium_yuan": "premium_yuan",
            "claims_count": {"header": "claims_count", "known_from": "ends_on"},
        },
        "factors": list(made) or [factor("policies_count", "count")],
    }
    return {k: v for k, v in (entry | more).items() if v is not None}


def params(*entries: dict, **more) -> Params:
    given = {"dealer": "x", "display_name": "X", "gate": "off", "delivered_on": DAY, "extra_factors": entries}
    return Params.model_validate(given | more)


def deliver(folder, **further: str | bytes):
    """A raw folder with the small dealer and further files."""
    folder.mkdir(exist_ok=True)
    files = {"customers.csv": CUSTOMERS, "vehicles.csv": VEHICLES, "visits.csv": ORDERS} | further
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


class Made:
    """The small dealer from raw files to factors."""

    def __init__(self, base, chosen: Params, origins=(BEFORE, DAY), **further):
        raw = deliver(base / "raw", **further)
        self.read = ingest(chosen, raw, base / "out")
        connection = engine.connect(EngineParams(threads=1))
        attached = {
            name: connection.read_parquet(t.path, table_name=f"g_{name}") for name, t in self.read.tables.items()
        }
        clean = audit(connection, attached, chosen, DAY).clean
        self.extras = extras(connection, {e.name: connection.read_parquet(e.path) for e in self.read.extras}, chosen)
        rows = {name.removeprefix("extra_"): table for name, table in self.extras.rows.items()}
        found = identity.identify(connection, clean, chosen, DAY)
        given = (connection, clean, found.persons, found.records, found.cars, list(origins), DAY, chosen, rows)
        self.panel = factors.person_factors(*given)
        self.met = factors.matched(rows, clean, found.records, found.cars, chosen)
        who = found.records.drop_duplicates("person_id").set_index("person_id")["customer_id"]
        self.panel["who"] = self.panel["person_id"].map(who)
        connection.disconnect()

    def values(self, name: str) -> list:
        """A factor of A a year before, A now, B a year before, B now."""
        rows = self.panel.assign(origin=pd.to_datetime(self.panel["origin"]).dt.date).set_index(["who", "origin"])[name]
        return [rows.get((who, day)) for who in ("A", "B") for day in (BEFORE, DAY)]


UNKNOWN = float("nan")
#: Factor → its value for A a year before, A now, B a year before, B now.
WORKED = [
    (factor("policies_count", "count"), (1, 2, 1, 1)),
    (factor("policies_count_6m", "count", window_months=6), (0, 0, 1, 0)),
    (factor("premium_yuan_24m", "sum", "premium_yuan", window_months=24), (4000, 9000.50, 950, 950)),
    (factor("premium_yuan_mean", "mean", "premium_yuan", "product = 'commercial'"), (4000, 4500.25, UNKNOWN, UNKNOWN)),
    (factor("premium_yuan_max", "max", "premium_yuan"), (4000, 5000.50, 950, 950)),
    (factor("premium_yuan_min", "min", "premium_yuan"), (4000, 4000, 950, 950)),
    (factor("commercial_share", "share", "product = 'commercial'"), (1, 1, 0, 0)),
    (factor("insurer_last", "last", "insurer"), ("Sun", "Sun", "Moon", "Moon")),
    (factor("policy_days_ago", "days_since"), (364, 364, 180, 545)),
    # A policy that ends later counts days below 0; what it ends on is known from its start.
    (factor("insurance_days_ended", "days_since", "ends_on"), (0, 0, -184, 181)),
    # Claims are known when the policy's year is over.
    (factor("claims_count_all", "sum", "claims_count"), (2, 3, 0, 0)),
]  # fmt: skip


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("x"), params(policies(*(f for f, _ in WORKED))), **{"policies.csv": POLICIES})


@pytest.mark.parametrize("given, expected", WORKED, ids=[given["name"] for given, _ in WORKED])
def test_worked_by_hand(worked, given, expected):
    got = worked.values(given["name"])
    if isinstance(expected[0], str):
        assert got == list(expected)
    else:
        assert got == pytest.approx(list(expected), nan_ok=True, abs=1e-8)


def test_every_row_is_counted(worked):
    [counts] = worked.extras.counts.to_dict("records")
    assert counts == {
        "name": "policies",
        "files": "policies.csv",
        "delivered": 8,
        "other": 1,
        "repeated": 1,
        "without_key": 0,
        "without_date": 1,
        "unreadable": 1,
        "rows": 6,
    }
    assert counts["delivered"] == sum(counts[k] for k in ("other", "repeated", "without_key", "rows"))
    [met] = worked.met.to_dict("records")
    assert met == {"name": "policies", "rows": 6, "rows_matched": 5, "keys": 3, "keys_matched": 2, "undated": 1}


def test_the_page_tells_how_it_met_the_customers(worked):
    chosen = params(policies(*(f for f, _ in WORKED)))
    [row] = views.further_tables(worked.extras.counts, worked.met, chosen, Translator("en")).to_dict("records")
    assert (row["key"], row["unknown_keys"], row["undated"], row["left_out"]) == ("VIN", 1, 1, 2)
    assert row["known_share"] == pytest.approx(5 / 6) and row["factors"] == len(WORKED)


def test_the_file_feeds_no_canonical_table_and_is_no_unread_one(worked):
    assert "vehicles" in worked.read.tables and worked.read.tables["vehicles"].rows == 2
    assert not worked.read.unread
    assert [f.file for e in worked.read.extras for f in e.files] == ["policies.csv"]
    assert "policies.csv" not in {f.file for f in worked.read.files}


def test_they_stand_in_the_dictionary_with_their_table():
    chosen = params(policies(factor("premium_yuan_24m", "sum", "premium_yuan", window_months=24)))
    row = factors.dictionary(chosen, Translator("en")).query("own").iloc[0]
    assert row["extra"] == "policies" and row["unit"] == "yuan" and row["window"] == "24 months"
    assert row["formula"] == "sum(premium_yuan) from policies, window_months 24"


SHOP = "单号,客户,下单时间,金额（元）\nS1,A,2025-01-05 10:30,120\nS2,B,2026/1/5 9:00,80\nS3,Z,2026-01-05,5\nS4,,2026-01-05,5\n"


def test_chinese_headers_in_gb18030_and_a_customers_number(tmp_path):
    entry = policies(
        factor("shop_yuan_12m", "sum", "amount_yuan", window_months=12),
        name="shop", file="商城*.csv", key="customer_id", key_header="客户", date="下单时间", columns={"amount_yuan": "金额（元）"},
    )  # fmt: skip
    made = Made(tmp_path, params(entry), **{"商城订单 2026.csv": SHOP.encode("gb18030")})
    assert made.values("shop_yuan_12m") == [120, 0, 0, 80]
    [counts] = made.extras.counts.to_dict("records")
    assert (counts["rows"], counts["without_key"], made.met["keys_matched"][0]) == (3, 1, 2)


@pytest.mark.parametrize("key, values", [("phone", ("+86 138 0000 0001", "13800000002")), ("plate", ("浙a·12345", "浙A54321"))])  # fmt: skip
def test_a_phone_of_two_persons_names_nobody(tmp_path, key, values):
    text = f"{key},day,yuan\n{values[0]},2025-01-05,10\n{values[1]},2025-01-05,20\n"
    entry = policies(factor("spent_yuan", "sum", "spent_yuan"), key=key, date="day", columns={"spent_yuan": "yuan"})
    made = Made(tmp_path, params(entry), **{"policies.csv": text})
    assert made.met["rows_matched"][0] == (1 if key == "phone" else 2)
    assert made.values("spent_yuan") == [10, 10, *([0, 0] if key == "phone" else [20, 20])]


def test_what_only_the_delivery_tells_counts_on_its_day_alone(tmp_path):
    text = f"vin,connected,trips_count\n{V1},yes,12\n{V2},no,3\n"
    entry = policies(
        factor("trips_count", "sum", "trips_count"), factor("is_connected", "last", "connected"), factor("links_count", "count"),
        date=None, known_from="export", columns={"connected": {"header": "connected", "type": "bool"}, "trips_count": "trips_count"},
    )  # fmt: skip
    made = Made(tmp_path, params(entry), **{"policies.csv": text})
    assert made.values("trips_count") == pytest.approx([UNKNOWN, 12, UNKNOWN, 3], nan_ok=True)
    assert made.values("is_connected") == pytest.approx([UNKNOWN, 1, UNKNOWN, 0], nan_ok=True)
    assert made.values("links_count") == pytest.approx([UNKNOWN, 1, UNKNOWN, 1], nan_ok=True)
    assert factors.dictionary(params(entry)).query("own")["at_delivery_only"].all()


def test_own_formulas_may_name_them(tmp_path):
    chosen = params(policies(), own_factors=[{"name": "twice_count", "label": "2", "formula": "2 * policies_count"}])
    assert Made(tmp_path, chosen, **{"policies.csv": POLICIES}).values("twice_count") == [2, 4, 2, 2]


def test_without_a_matching_row_the_factor_is_empty_and_it_is_said(tmp_path):
    entry = policies(factor("premium_yuan", "sum", "premium_yuan"))
    text = f"{POLICIES.splitlines()[0]}\nP1,{V3},Sun,commercial,2024-07-01,2025-06-30,4000,2\n"
    made = Made(tmp_path, params(entry), **{"policies.csv": text})
    now = factors.at(made.panel, DAY)
    said = views.gaps(now, now, params(entry), {}, Translator("en"))
    assert now["premium_yuan"].isna().all()
    assert said[-1][0] == "premium yuan" and "no row of policies names a known person" in said[-1][1]


# -- mistakes -------------------------------------------------------------------------------------------------------


def refused(tmp_path, chosen: Params, **further) -> str:
    """What the refusal says, in full."""
    raw = deliver(tmp_path / "raw", **({"policies.csv": POLICIES} | further))
    with pytest.raises((UserError, UserErrors)) as caught:
        ingest(chosen, raw, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
    return str(caught.value)


@pytest.mark.parametrize(
    "entry, said",
    [
        ({"columns": {"premium_yuan": "premium"}}, ("extra_factors.0.columns.premium_yuan (policies) = 'premium'", "nearest: 'premium_yuan'")),
        ({"date": "started"}, ("extra_factors.0.date (policies) = 'started'", "headers found: policy_no, vin")),
        ({"key_header": "chassis"}, ("extra_factors.0.key_header (policies) = 'chassis'",)),
        ({"key": "plate"}, ("extra_factors.0.key (policies) = 'plate': no header", "add key_header:")),
        ({"file": "polices.csv"}, ("extra_factors.0.file (policies) = 'polices.csv'", "nearest: 'policies.csv'")),
        ({"ids_from": "callcenter"}, ("extra_factors.0.ids_from", "not under sources")),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key_and_the_nearest_name(tmp_path, entry, said):
    told = refused(tmp_path, params(policies(**{"columns": {"premium_yuan": "premium_yuan"}} | entry)))
    assert all(part in told for part in said), told
    assert V1 not in told


EXPRESSIONS = [
    (factor("a_yuan", "sum", "premum_yuan"), "extra_factors.0.factors.0.of (a_yuan)", "nearest: 'premium_yuan'"),
    (factor("a_yuan", "sum", "insurer"), "is a text: sum needs a number", ""),
    (factor("a_count", "count", where="premium_yuan"), "extra_factors.0.factors.0.where", "not a condition"),
    (factor("a_days", "days_since", "premium_yuan"), "is no day", ""),
    (factor("visits_count_12m", "count"), "extra_factors.0.factors.0.name = 'visits_count_12m': a factor of the kit", ""),
    (factor("a_vin", "last", "vin"), "cannot hold the texts of vin: personal data", ""),
]  # fmt: skip


@pytest.mark.parametrize("given, said, also", EXPRESSIONS, ids=[str(i) for i in range(len(EXPRESSIONS))])
def test_an_expression_that_cannot_be_read_is_named_before_anything_is_computed(given, said, also):
    with pytest.raises(UserErrors) as caught:
        factors.check_own(params(policies(given)))
    [problem] = caught.value.problems
    assert said in problem and also in problem
    assert str(caught.value).startswith("params/x.yaml: 1 problem in extra_factors")


def test_rows_without_a_date_have_no_window():
    entry = policies(factor("a_count", "count", window_months=12), date=None, known_from="export")
    entry["columns"] = {"premium_yuan": "premium_yuan"}
    with pytest.raises(UserErrors, match=r"factors.0.window_months \(a_count\): the rows have no date"):
        factors.check_own(params(entry))


@pytest.mark.parametrize(
    "entry, said",
    [
        ({"date": None}, "give either date"),
        ({"known_from": "export"}, "give either date"),
        ({"file": None}, "give either file or url"),
        ({"columns": {"Bad Name": "x"}}, "cannot name a column"),
        ({"columns": {"vin": "x"}}, "cannot name a column"),
        ({"columns": {"a_count": {"header": "x", "known_from": "end_on"}, "ends_on": "y"}}, "nearest: 'ends_on'"),
        ({"key": "car"}, "'customer_id', 'vin', 'phone' or 'plate'"),
        ({"factors": []}, "at least 1 item"),
        ({"factors": [factor("a_count", "count", "x")]}, "count takes no `of`"),
        ({"factors": [factor("a_count", "sum")]}, "sum needs `of`"),
        ({"url": "sqlite:///a.db", "file": None}, "url needs `query`"),
    ],
)
def test_the_shape_is_checked_with_the_params(entry, said):
    with pytest.raises(ValidationError, match=said):
        params(policies(**entry))


@pytest.mark.parametrize("own", [True, False])
def test_a_name_is_given_once(own):
    again = [policies(factor("a_count", "count"), name="other")]
    given = {"own_factors": [{"name": "a_count", "label": "a", "formula": "age_years"}]} if own else {}
    with pytest.raises(ValidationError, match="twice or more: a_count"):
        params(policies(factor("a_count", "count")), *([] if own else again), **given)


def test_the_same_files_give_the_same_bytes(tmp_path):
    rows = functools.partial(Made, chosen=params(policies(*(f for f, _ in WORKED))), **{"policies.csv": POLICIES})
    one, two = (rows(tmp_path / name) for name in ("one", "two") if (tmp_path / name).mkdir() is None)
    pd.testing.assert_frame_equal(one.panel, two.panel)
    assert one.read.extras[0].path.read_bytes() == two.read.extras[0].path.read_bytes()
