"""Nothing from after a day enters a factor at that day, of all factors: the kit's, the dealer's own, and of further tables.

Every table and column of `tables.TABLES` takes part: one that is added is planted and changed here without another line.
"""

from __future__ import annotations

import ibis
import pandas as pd
import pytest
from dealerkit import engine, factors, identity, tables
from dealerkit.factors import CAR_FACTORS, PERSON_FACTORS
from dealerkit.params import Params
from test_factors import BEFORE, DAY, V1, V2, crowd, rows

#: The day on which everything planted happens: after the earlier origin, before the later one.
LATER = "2025-07-01"
NEW_VIN = "LSVAA4085E2900000"
FURTHER = {
    "policies": {
        "key": "vin", "date": "from",
        "columns": {"product": "p", "premium_yuan": "y", "ends_on": "e", "claims_count": {"header": "c", "known_from": "ends_on"}, "riders_count": {"header": "r", "known_from": "export"}},
        "factors": [
            ("policies_count", "count", None), ("premium_yuan_sum", "sum", "premium_yuan"), ("product_last", "last", "product"), ("policy_days_ago", "days_since", None),
            ("insurance_days_ended", "days_since", "ends_on"), ("claims_count_all", "sum", "claims_count"), ("riders_count_max", "max", "riders_count"),
        ],
    },
    "telematics": {
        "key": "customer_id", "known_from": "export", "columns": {"trips_count": "t", "app_level": "l"},
        "factors": [("trips_count", "sum", "trips_count"), ("app_level_last", "last", "app_level"), ("links_count", "count", None)],
    },
}  # fmt: skip
OWN = [
    {"name": "repair_yuan", "table": "service_orders", "aggregate": "sum", "of": "total_yuan", "where": "order_type = 'repair'"},
    {"name": "quantity_mean", "table": "service_lines", "aggregate": "mean", "of": "quantity"},
    {"name": "price_lost_count", "table": "leads", "aggregate": "count", "where": "lost_reason = 'price'"},
    {"name": "lost_leads_count", "table": "leads", "aggregate": "count", "where": "status = 'lost'"},
    {"name": "answer_share", "table": "campaigns", "aggregate": "share", "of": "responded_on is not null"},
    {"name": "channel_used_last", "table": "interactions", "aggregate": "last", "of": "channel"},
    {"name": "car_yuan_max", "table": "sales_orders", "aggregate": "max", "of": "price_yuan"},
    {"name": "premium_ratio", "formula": "premium_yuan_sum / nullif(spend_yuan_all, 0)"},
]  # fmt: skip


def chosen() -> Params:
    extra = [
        {"name": name, "file": "x.csv"} | {k: v for k, v in table.items() if k != "factors"}
        | {"factors": [{"name": n, "label": n, "aggregate": a, "of": of} for n, a, of in table["factors"]]}
        for name, table in FURTHER.items()
    ]  # fmt: skip
    own = [factor | {"label": factor["name"]} for factor in OWN]
    return Params.model_validate({"dealer": "x", "display_name": "X", "extra_factors": extra, "own_factors": own})


PARAMS = chosen()
DECLARED = [f.name for f in PERSON_FACTORS] + [f.name for t in PARAMS.extra_factors for f in t.factors] + [f["name"] for f in OWN]  # fmt: skip


def policies() -> list[dict]:
    named = "vin dated_at product premium_yuan ends_on claims_count riders_count"
    return rows(named, (V1, "2024-07-01", "full", 4000, "2025-06-30", 2, 1), (V1, "2025-03-01", "basic", 900, "2026-02-28", 1, 1), (V2, "2024-01-01", "full", 100, "2024-12-31", 0, 1))  # fmt: skip


def telematics() -> list[dict]:
    return rows("customer_id trips_count app_level", ("A", 12, "pro"), ("D1", 3, "free"))


def world() -> dict[str, list[dict]]:
    """Every table: the crowd of `test_factors`, and the further tables under their names."""
    given = crowd()
    given["staff"] = rows("staff_id role phone", ("E1", "adviser", "13900000001"))
    return given | {"extra_policies": policies(), "extra_telematics": telematics()}


def declared_of(name: str) -> tables.Table:
    further = {f"extra_{table.name}": table.declared for table in PARAMS.extra_factors}
    return further.get(name) or tables.TABLES[name]


def made(clean_of, given: dict[str, list[dict]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Factors of persons and of cars at the earlier origin, of those who are known in the untouched world."""
    connection, clean = clean_of({name: table for name, table in given.items() if name in tables.TABLES})
    extras = {}
    for table in PARAMS.extra_factors:
        declared = table.declared
        plain = [
            {c: row.get(c) for c in declared.names} | {"row": i} for i, row in enumerate(given[f"extra_{table.name}"])
        ]
        kinds = {c.name: {"money": "decimal(18,2)", "date": "date", "time": "timestamp", "int": "int64"}.get(c.type, "string") for c in declared.columns}  # fmt: skip
        texts = ibis.memtable(plain, schema=dict.fromkeys(declared.names, "string") | {"row": "int64"})
        typed = texts.select("row", **{name: texts[name].cast(kind) for name, kind in kinds.items()})
        extras[table.name] = engine.keep(connection, f"leak_{table.name}", typed)
    found = identity.identify(connection, clean, PARAMS, DAY)
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, [BEFORE, DAY], DAY, PARAMS, extras)  # fmt: skip
    cars = factors.car_panel(connection, clean, found.records, found.cars, panel, DAY).to_pandas()
    panel.insert(0, "who", panel["person_id"].map(named(found.records)))
    return panel, cars


def named(records: pd.DataFrame) -> pd.Series:
    """Customer number of each person: contact persons are records too, and may turn out to be a customer."""
    own = records[~records["customer_id"].str.contains(":")]
    return own.drop_duplicates("person_id").set_index("person_id")["customer_id"]


@pytest.fixture(scope="module")
def plain(clean_of):
    return made(clean_of, world())


def at_before(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    rows_ = factors.at(frame, BEFORE).sort_values(key, ignore_index=True).drop(columns="person_id").astype(object)
    return rows_.where(rows_.notna(), None)


def same_at_before(given: tuple, other: tuple) -> None:
    """All factors of persons and cars at the earlier origin are the same."""
    for frames, key, names in ((0, "who", DECLARED), (1, "vin", [f.name for f in CAR_FACTORS])):
        a, b = at_before(given[frames], key), at_before(other[frames], key)
        assert len(a) > 30 and set(names) <= set(a.columns)
        pd.testing.assert_frame_equal(a, b)


def other_value(column: tables.Column, i: int) -> str:
    """A value of the column's type that stands nowhere else, for the i-th row."""
    if column.personal == "phone":
        return f"158{abs(hash_of(column.name)) % 10:d}000{i:04d}"
    if column.personal == "vin" or column.name == "vin":
        return f"LSVAA4085E27{i:05d}"
    if column.codes:
        codes = [code for code in column.codes if code not in ("control",)]
        return codes[(i + 1) % len(codes)]
    kinds = {
        "date": LATER,
        "time": f"{LATER} 11:11",
        "int": str(7 + i % 2),
        "number": str(3 + i % 5),
        "money": str(77_000 + i),
    }
    return kinds.get(column.type, f"other {column.name} {i}")


def hash_of(text: str) -> int:
    """A number of a text, the same in every run."""
    return sum(map(ord, text))


#: Columns that tie a planted row to someone who is known before.
TIES = {
    "customer_id": "A",
    "vin": V1,
    "lead_id": None,
    "order_id": None,
    "trade_in_vin": None,
    "account_manager_id": None,
}


def planted(name: str, given: dict[str, list[dict]]) -> list[dict]:
    """Rows with every column filled that come into being after the earlier origin, of a known customer and a known car."""
    table, found = declared_of(name), []
    for i in range(4):
        row = {c.name: other_value(c, 900 + i) for c in table.columns}
        row |= {column: tie for column, tie in TIES.items() if column in row and column not in table.key[:1]}
        row |= {key: f"N{name}{i}" for key in table.key if key not in ("vin", "customer_id", "line_no")}
        if name == "customers":
            row |= {"customer_id": f"N{i}", "id_number": None}
        if name == "vehicles":
            row["vin"] = NEW_VIN[:-1] + str(i)
        if name == "service_lines":
            # A line is known with its order: that of a planted one.
            row |= {"order_id": f"Nservice_orders{i}", "line_no": "1"}
        found.append(row)
    return found


def test_every_table_and_column_takes_part():
    given = world()
    assert set(given) == {*tables.TABLES, *(f"extra_{name}" for name in FURTHER)}
    for name in given:
        declared = declared_of(name)
        blank = {c.name for c in declared.columns} - {c for row in planted(name, given) for c, v in row.items() if v is not None}  # fmt: skip
        assert blank <= {"lead_id", "order_id", "trade_in_vin", "account_manager_id", "id_number"}, name


def test_rows_of_after_a_day_change_nothing_at_it(clean_of, plain):
    given = world()
    for name in given:
        if name == "extra_telematics":
            continue  # it has no day: only known at delivery, see below
        given[name] += planted(name, given)
    other = made(clean_of, given)
    same_at_before(plain, other)
    # They are seen afterwards, so that the test can fail.
    now = [factors.at(frame[0], DAY).set_index("who").loc["A"] for frame in (plain, other)]
    for factor in ("visits_count_all", "contacts_count_12m", "purchases_count_all", "campaigns_count_12m", "leads_count_24m", "policies_count", "labour_hours_24m", "premium_yuan_sum"):  # fmt: skip
        assert now[1][factor] > now[0][factor], factor


def known_late(name: str) -> list[tables.Column]:
    """Columns of which only the state at delivery is known; for who has a car, see below."""
    holder = {"vehicles": "customer_id"}.get(name)
    return [c for c in declared_of(name).columns if c.known_from == "export" and c.name != holder]


def test_the_state_at_delivery_changes_nothing_before_it(clean_of, plain):
    given, changed = world(), set()
    for name, table in given.items():
        for column in known_late(name):
            for i, row in enumerate(table):
                row[column.name] = other_value(column, i)
            changed.add(f"{name}.{column.name}")
    late = {"customers.phone", "customers.points", "vehicles.insurance_ends_on", "vehicles.disposed_on", "leads.status"}
    late |= {"contacts.customer_id", "contacts.vin", "customers.account_manager_id"}
    assert late | {"extra_policies.riders_count", "extra_telematics.trips_count"} <= changed
    other = made(clean_of, given)
    same_at_before(plain, other)
    now = [factors.at(frame[0], DAY).set_index("who").loc["A"] for frame in (plain, other)]
    for factor in ("member_level", "credit_grade", "trips_count", "riders_count_max", "lost_leads_count"):
        assert now[1][factor] != now[0][factor], factor


def test_who_takes_over_a_car_later_changes_nothing_before(clean_of):
    """Cars are bought by another customer after the day; what they came for before, unnamed, does not go with them."""
    worlds = []
    for step in (1, 7):
        given = world()
        customers = [row["customer_id"] for row in given["customers"]]
        for i, row in enumerate(given["vehicles"][::2]):
            row |= {"purchased_on": LATER, "customer_id": customers[(i * 2 + step) % len(customers)]}
        worlds.append(made(clean_of, given))
    same_at_before(*worlds)
    now = [factors.at(frame[0], DAY).set_index("who")["cars_count"] for frame in worlds]
    assert not now[0].equals(now[1].reindex(now[0].index)), "they have them afterwards"


def dated_columns(name: str) -> dict[str, list[tables.Column]]:
    """Column with a day → the columns of the row that are known since then, where that is not the row's own day."""
    table, found = declared_of(name), {}
    for column in table.columns:
        if column.known_from in table and column.known_from not in (table.date, column.name):
            found.setdefault(column.known_from, []).append(column)
    return found


def test_what_is_written_later_changes_nothing_before(clean_of):
    """Values known since a day after the origin (a settlement, a response, the end of a lead) may be anything."""
    worlds, dated = [], set()
    for turn in (0, 1):
        given = world()
        for name, table in given.items():
            for day, columns in dated_columns(name).items():
                dated.add(f"{name}.{day}")
                # Of cars one in two keeps its purchase, or nobody would have one.
                for i, row in enumerate(table[:: 2 if name == "vehicles" else 1]):
                    row[day] = LATER if declared_of(name)[day].type == "date" else f"{LATER} 10:00"
                    row |= {c.name: other_value(c, i + turn) for c in columns if not c.ref}
        worlds.append(made(clean_of, given))
    assert {"service_orders.settled_at", "campaigns.responded_on", "leads.closed_at", "extra_policies.ends_on"} <= dated
    same_at_before(*worlds)


def test_an_origin_alone_gives_the_same(clean_of, plain):
    """The days at which factors are served do not touch one another."""
    connection, clean = clean_of({name: table for name, table in world().items() if name in tables.TABLES})
    found = identity.identify(connection, clean, PARAMS, DAY)
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, [BEFORE], DAY, PARAMS)
    panel.insert(0, "who", panel["person_id"].map(named(found.records)))
    names = ["who", *(f.name for f in PERSON_FACTORS)]
    pd.testing.assert_frame_equal(at_before(plain[0], "who")[names], at_before(panel, "who")[names])
