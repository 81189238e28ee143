"""What the invented dealers carry for others to find: families and look-alikes, cars that left, dishonest advisers, data
without faults, a second month, tables of their own. Each is proven from the files and the truth behind them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from dealerkit import demo, params, tables
from dealerkit.__main__ import main
from dealerkit.demo import export, generate
from dealerkit.errors import UserError
from dealerkit.ingest import ingest
from stdnum.cn import ric
from test_demo import plain, read, truth

CUSTOMERS = 3_000


@pytest.fixture(scope="module")
def dealers(tmp_path_factory):
    """Name → folder: `usual` and `later` (a month later) of one seed, `clean` and `clean_later` without faults."""
    base = tmp_path_factory.mktemp("plantings")
    for name, faults, month in (
        ("usual", "usual", 0),
        ("later", "usual", 1),
        ("clean", "none", 0),
        ("clean_later", "none", 1),
    ):
        generate("demo", base / name / "raw", base / name / "truth", CUSTOMERS, seed=21, faults=faults, month=month)
    return base


def clean(folder, table):
    """A table of a dealer without faults: its files have no title lines."""
    frame = pd.read_csv(folder / "raw" / export.ENGLISH_FILES[table], dtype=str, keep_default_na=False)
    index = tables.header_index(tables.TABLES[table])
    return frame.rename(columns={header: index[tables.fold(header)] for header in frame.columns})


@pytest.fixture(scope="module")
def cards(dealers):
    """First cards of the dealer without faults by true person, with birth and sex from the ID number where it is there."""
    records = truth(dealers / "clean" / "truth", "records")
    c = clean(dealers / "clean", "customers").merge(records, on="customer_id").set_index("person_id")
    return c.assign(
        born=pd.to_datetime(c["id_number"].str[6:14].where(c["customer_type"] == "person"), errors="coerce")
    )


@pytest.fixture(scope="module")
def pairs(dealers, cards):
    """Planted pairs of persons by kind: rows of (card of the one, card of the other)."""
    r = truth(dealers / "clean" / "truth", "relations")
    r = r[r["other_person_id"].notna() & r["vin"].isna()]
    return {
        kind: [(cards.loc[a], cards.loc[b]) for a, b in zip(part["person_id"], part["other_person_id"])]
        for kind, part in r.groupby("kind")
    }


# -- families and look-alikes -----------------------------------------------------------------------------------


def test_every_kind_of_pair_is_planted_and_each_is_two_persons(pairs):
    assert set(pairs) == {"spouse", "father_son", "twins", "namesake", "company_driver"}
    assert min(len(p) for p in pairs.values()) >= 5
    numbers = [(a["id_number"], b["id_number"]) for rows in pairs.values() for a, b in rows]
    both = [(a, b) for a, b in numbers if a and b]
    assert len(both) > 50 and all(a != b for a, b in both)
    assert all(ric.is_valid(n) for kind, rows in pairs.items() if kind != "company_driver" for p in rows for n in [x["id_number"] for x in p] if n)  # fmt: skip


def test_couples_share_an_address_and_every_second_one_a_phone(pairs):
    rows = pairs["spouse"]
    assert all(a["gender"] == "male" and b["gender"] == "female" for a, b in rows)
    assert all(a["address"] == b["address"] != "" for a, b in rows)
    shared = np.mean([a["phone"] == b["phone"] for a, b in rows])
    assert 0.3 < shared < 0.7
    gaps = [abs((a["born"] - b["born"]).days) / 365.25 for a, b in rows if pd.notna(a["born"]) and pd.notna(b["born"])]
    assert max(gaps) < 10


def test_fathers_and_sons_share_surname_and_phone_a_generation_apart(pairs):
    rows = pairs["father_son"]
    for a, b in rows:
        assert a["phone"] == b["phone"] and a["name"].split()[0] == b["name"].split()[0]
        assert a["gender"] == b["gender"] == "male"
    gaps = [(b["born"] - a["born"]).days / 365.25 for a, b in rows if pd.notna(a["born"]) and pd.notna(b["born"])]
    assert gaps and min(gaps) > 23 and max(gaps) < 32


def test_twins_differ_in_one_character_and_their_number(pairs):
    for a, b in pairs["twins"]:
        assert a["phone"] == b["phone"] and a["address"] == b["address"] and a["gender"] == b["gender"]
        if pd.notna(a["born"]) and pd.notna(b["born"]):
            assert a["born"] == b["born"]
        (surname, one), (other_surname, other) = a["name"].split(), b["name"].split()
        assert surname == other_surname and one != other and one[:2] == other[:2]


def test_namesakes_share_a_name_and_nothing_else(pairs):
    for a, b in pairs["namesake"]:
        assert a["name"] == b["name"] and a["phone"] != b["phone"]
        assert a["residential_area"] != b["residential_area"] or a["residential_area"] == ""


def test_a_company_and_its_driver_are_on_one_phone_and_the_driver_is_a_contact(dealers, pairs):
    contacts = truth(dealers / "clean" / "truth", "contacts")
    assert all(a["customer_type"] == "company" and a["phone"] == b["phone"] for a, b in pairs["company_driver"])
    drivers = {b.name for _, b in pairs["company_driver"]}
    assert len(drivers & set(contacts["person_id"])) > len(drivers) / 4
    roles = clean(dealers / "clean", "contacts").merge(contacts, on="contact_id")
    firms = {a["customer_id"] for a, _ in pairs["company_driver"]}
    of_firms = roles[roles["customer_id"].isin(firms) & roles["person_id"].isin(drivers)]
    assert len(of_firms) and set(of_firms["role"]) == {"driver"}
    assert (roles["person_id"].str[0] == "K").mean() > 0.5
    r = truth(dealers / "clean" / "truth", "relations")
    assert {"owner", "driver", "payer", "household", "fleet"} <= set(r["kind"])
    fleets = r[r["kind"] == "fleet"].groupby("person_id").size()
    assert fleets.min() >= 2 and len(fleets) > 20


def test_orders_show_the_plate_of_their_day_and_who_brought_the_car(dealers):
    raw, hidden = dealers / "usual" / "raw", dealers / "usual" / "truth"
    orders = read(raw, "service_orders")
    orders["vin"], filled = orders["vin"].map(plain), orders["plate"] != ""
    assert 0.92 < filled.mean() < 0.99 and 0.15 < (orders["phone"] != "").mean() < 0.5
    plates = orders[filled].groupby("vin")["plate"].nunique()
    changed = set(plates.index[plates > 1])
    resold = set(truth(hidden, "cars").query("second_hand")["vin"])
    assert len(changed & resold) > 20 and 5 < len(changed - resold) < 0.04 * len(plates)
    contacts = read(raw, "contacts").groupby("name")["phone"].agg(set)
    brought = orders[orders["brought_by"].isin(contacts.index) & (orders["phone"] != "")]
    assert np.mean([p in contacts[n] for n, p in zip(brought["brought_by"], brought["phone"])]) > 0.9


def test_who_replaces_petrol_by_new_energy_mostly_keeps_town_and_letter(dealers):
    cars = truth(dealers / "clean" / "truth", "cars").query("not second_hand").sort_values("owned_from")
    v = clean(dealers / "clean", "vehicles").set_index("vin")
    cars = cars.join(v[["plate", "energy_type"]], on="vin")
    before = cars.groupby("person_id")[["plate", "energy_type", "replaced_here"]].shift()
    kind = {"petrol": 0, "hybrid": 0, "plug-in hybrid": 1, "electric": 1}
    step = (
        (before["energy_type"].map(kind) == 0) & (cars["energy_type"].map(kind) == 1) & before["replaced_here"].eq(True)
    )
    same = cars.loc[step, "plate"].str[:2] == before.loc[step, "plate"].str[:2]
    assert step.sum() > 40 and 0.45 < same.mean() < 0.9
    assert (cars.loc[step, "plate"].str.len() == 8).all() and (before.loc[step, "plate"].str.len() == 7).all()


def test_regions_are_mostly_where_the_plate_is_from(dealers):
    cards, cars = (clean(dealers / "clean", t) for t in ("customers", "vehicles"))
    joined = cars.merge(cards[["customer_id", "region"]], on="customer_id").query("region != '' and plate != ''")
    towns = joined.groupby(joined["plate"].str[1])["region"].agg(lambda r: r.value_counts(normalize=True).max())
    assert len(towns) == 6 and (towns > 0.5).all()


# -- cars that left ---------------------------------------------------------------------------------------------


def test_what_shows_that_an_owner_left_is_in_the_files(dealers):
    raw, hidden = dealers / "usual" / "raw", dealers / "usual" / "truth"
    left, records = truth(hidden, "owner_left"), truth(hidden, "records").set_index("customer_id")["person_id"]
    assert set(left["how"]) == {"traded_in", "resold", "plate_moved", "recorded", "silence"}
    assert left["how"].value_counts().min() >= 10 and left["left_on"].max() <= pd.Timestamp("2026-09-30")
    cars, sales = read(raw, "vehicles"), read(raw, "sales_orders")
    cars["vin"] = cars["vin"].map(plain)
    assert set(left.loc[left["traded_in"], "vin"]) == set(
        sales.loc[sales["trade_in_vin"] != "", "trade_in_vin"].map(plain)
    )
    orders = read(raw, "service_orders")
    orders = orders.assign(vin=orders["vin"].map(plain), person=orders["customer_id"].map(records)).dropna(
        subset="person"
    )
    for vin, person in left.loc[left["resold"], ["vin", "person_id"]].to_numpy()[:40]:
        others = orders[(orders["vin"] == vin) & (orders["person"] != person)]
        assert len(others), "another person brings the car"
    recorded = set(cars.loc[cars["disposed_on"] != "", "vin"])
    assert recorded <= set(left.loc[left["recorded"], "vin"])
    silent = left[left["how"] == "silence"]
    assert not set(silent["vin"]) & recorded and not silent[["traded_in", "resold", "plate_moved", "recorded"]].any(
        axis=None
    )


def test_a_plate_that_moved_is_on_the_orders_of_two_cars_of_one_person(dealers):
    raw, hidden = dealers / "usual" / "raw", dealers / "usual" / "truth"
    moved = truth(hidden, "owner_left").query("plate_moved")
    orders = read(raw, "service_orders")
    orders = orders.assign(vin=orders["vin"].map(plain)).query("plate != ''")
    owner = truth(hidden, "cars").set_index(["vin", "person_id"]).index
    shown = 0
    for vin, person in moved[["vin", "person_id"]].to_numpy():
        plates = set(orders.loc[orders["vin"] == vin, "plate"])
        others = set(orders.loc[orders["plate"].isin(plates) & (orders["vin"] != vin), "vin"])
        shown += bool(others)
        assert all((other, person) in owner for other in others if (other, person) in owner) and len(others) <= 2
    assert shown > len(moved) / 2


# -- advisers ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Surveys of a dealer with twenty advisers, joined with the truth; and its folder."""
    base = tmp_path_factory.mktemp("advisers")
    generate("demo", base / "raw", base / "truth", customers=5_000, seed=4)
    x = read(base / "raw", "interactions").drop_duplicates("interaction_id")
    surveys = truth(base / "truth", "surveys").merge(x, on="interaction_id")
    surveys["score"] = pd.to_numeric(surveys["score"], errors="coerce").where(lambda s: s <= 10)
    staff = truth(base / "truth", "staff").query("kind == 'adviser'").set_index("staff_id")
    return surveys.join(staff["way"].rename("of_adviser"), on="adviser_id"), staff, base


def test_the_truth_has_every_survey_and_a_quarter_of_the_advisers_fake(judged):
    surveys, staff, base = judged
    x = read(base / "raw", "interactions").drop_duplicates("interaction_id")
    assert len(surveys) == (x["kind"] == "survey").sum() and (surveys["adviser_id"] == surveys["staff_id"]).all()
    assert (staff["way"] != "").mean() == pytest.approx(0.25, abs=0.01)
    assert set(staff["way"]) == {"", *demo.people.WAYS}
    faults = truth(base / "truth", "faults")
    named = faults[faults["kind"] == "adviser_with_faked_scores"].set_index("key")["raw_value"]
    assert named.to_dict() == staff.loc[staff["way"] != "", "way"].to_dict()
    kinds = {"survey_own_phone": "own_phone", "survey_phone_changed": "phone_changed"}
    for kind, way in kinds.items():
        assert set(faults.loc[faults["kind"] == kind, "key"]) == set(
            surveys.loc[surveys["way"] == way, "interaction_id"]
        )


def test_each_way_of_faking_shows_in_its_surveys(judged):
    surveys, staff, base = judged
    fake = dict(iter(surveys[surveys["way"] != ""].groupby("way")))
    assert set(fake["tens"]["score"].dropna()) == {10} and set(fake["straight"]["score"].dropna()) == {9}
    own = fake["own_phone"]
    assert own.groupby("adviser_id")["phone"].nunique().max() <= 3 and own["score"].dropna().isin([9, 10]).all()
    staff_phones = set(read(base / "raw", "staff")["phone"])
    assert 0.2 < own["phone"].isin(staff_phones).mean() < 0.6
    changed = fake["phone_changed"]
    known = set(read(base / "raw", "customers")["phone"]) | set(
        read(base / "raw", "interactions").query("kind != 'survey'")["phone"]
    )
    assert (
        changed["phone"].is_unique
        and not changed["phone"].isin(known).any()
        and changed["true_phone"].notna().mean() > 0.5
    )


def test_honest_advisers_call_their_customers_and_some_are_excellent(judged):
    surveys, staff, base = judged
    honest = surveys[(surveys["way"] == "") & (surveys["phone"] != "")]
    assert (honest["phone"] == honest["true_phone"]).all()
    scores = surveys[surveys["of_adviser"] == ""].groupby("adviser_id")["score"].agg(["mean", "std", "size"])
    loved = scores.index.isin(staff.index[staff["excellent"]])
    assert loved.sum() >= 2 and (scores["size"] > 40).all()
    assert scores.loc[loved, "mean"].between(9.4, 9.85).all() and (scores.loc[loved, "std"] > 0.3).all()
    assert (scores.loc[~loved, "mean"] < 9.2).all() and (scores["std"] > 0.3).all()
    # nobody's own phone, though families share one
    assert surveys[surveys["of_adviser"] == ""].groupby(["adviser_id", "phone"]).size().drop("", level=1).max() < 10


def test_suspicious_repeats_are_of_one_adviser_within_days_and_cost_next_to_nothing(judged):
    _, staff, base = judged
    faults = truth(base / "truth", "faults")
    keys = faults.loc[faults["kind"] == "suspicious_repeat", "key"]
    orders = read(base / "raw", "service_orders").drop_duplicates("order_id").set_index("order_id").loc[keys]
    assert set(orders["adviser_id"]) <= set(staff.index[staff["repeats"]])
    orders["vin"], total = orders["vin"].map(plain), pd.to_numeric(orders["labour_yuan"])
    opened = pd.to_datetime(orders["opened_at"])
    runs = opened.groupby(orders["vin"]).agg(["min", "max", "size"])
    assert total.between(8, 30).all() and runs["size"].between(6, 9).all() and len(runs) >= 3
    assert ((runs["max"] - runs["min"]).dt.days <= 27).all()


def test_many_small_dealers_come_from_the_same_world_quickly():
    made = list(demo.surveys(6, customers=300, seed=3))
    again = list(demo.surveys(6, customers=300, seed=3))
    assert len(made) == 6
    for one, same in zip(made, again):
        assert set(one.frames) == {"staff", "customers", "service_orders", "interactions"}
        for name, frame in one.frames.items():
            assert list(frame.columns) == tables.TABLES[name].names
            pd.testing.assert_frame_equal(frame, same.frames[name])
        assert (
            len(one.advisers) == 8 and (one.advisers["way"] != "").sum() == 1 and one.advisers["excellent"].sum() >= 1
        )
        x = one.frames["interactions"].set_index("interaction_id")
        surveys = one.surveys.set_index("interaction_id")
        assert set(surveys.index) == set(x.index[x["kind"] == "survey"])
        assert set(surveys["adviser_id"]) <= set(one.advisers["staff_id"]) <= set(one.frames["staff"]["staff_id"])
        assert surveys.groupby("adviser_id").size().min() > 12
        assert 280 < len(one.frames["customers"]) < 340
        assert set(x["customer_id"]) - {""} <= set(one.frames["customers"]["customer_id"])
    cards = [set(one.frames["customers"]["id_number"]) - {""} for one in made]
    assert not set.intersection(*cards) and {w for one in made for w in one.advisers["way"]} > {"", "tens"}
    honest = next(demo.surveys(1, customers=300, seed=3, fakers=0))
    assert (honest.advisers["way"] == "").all() and (honest.surveys["way"] == "").all()


# -- no faults --------------------------------------------------------------------------------------------------


def test_a_dealer_without_faults_has_none(dealers):
    for name in ("clean", "clean_later"):
        folder = dealers / name / "truth"
        assert not len(truth(folder, "faults")) and not truth(folder, "records")["is_duplicate"].any()
        assert (truth(folder, "staff")["way"] == "").all() and json.loads((folder / "about.json").read_text())[
            "faults"
        ] == "none"
        for table, declared in tables.TABLES.items():
            frame = clean(dealers / name, table)
            assert not frame.duplicated(list(declared.key)).any(), table
            assert not (frame[list(declared.key)] == "").any(axis=None), table
            for c in declared.columns:
                if c.ref:
                    known = set(clean(dealers / name, c.ref)[tables.TABLES[c.ref].key[0]])
                    assert set(frame[c.name]) - {""} <= known, (table, c.name)
    orders = clean(dealers / "clean", "service_orders")
    km = orders.assign(km=orders["odometer_km"].astype(int)).sort_values("opened_at").groupby("vin")["km"]
    assert (km.diff().dropna() >= 0).all() and (orders["settled_at"] >= orders["opened_at"]).all()
    assert orders["settled_at"].max() < "2026-10-01" and orders["opened_at"].min() >= "2020-10-01"


# -- the second month -------------------------------------------------------------------------------------------


def test_the_second_month_keeps_the_rows_of_the_first(dealers):
    """Rows of the first export without state of the day (odometer, points, status …) are delivered again, to the byte."""
    state = {
        "customers": {"points", "member_level", "phone"},
        "vehicles": {"odometer_km", "odometer_on", "insurance_ends_on", "plate", "disposed_on", "customer_id"},
        "leads": {"status", "closed_at", "lost_reason", "recontacted_at", "first_contact_at", "assigned_at", "salesperson_id", "customer_id"},
        "interactions": {"customer_id"},
    }  # fmt: skip
    changes = truth(dealers / "later" / "truth", "changes")
    deleted = dict.fromkeys(changes.loc[changes["kind"] == "card_deleted", "old"], "")
    becomes = changes[changes["kind"].isin(["card_merged", "card_renumbered"])].set_index("old")["new"]
    mended = changes[changes["kind"] == "mended"]
    for table in tables.TABLES:
        first, second = (read(dealers / name / "raw", table) for name in ("usual", "later"))
        if "customer_id" in first:
            first["customer_id"] = first["customer_id"].replace(
                becomes.to_dict() | (deleted if table != "customers" else {})
            )
        gone = changes.loc[changes["kind"].isin(["card_merged", "card_deleted"]), ["old", "new"]].stack()
        steady = [c for c in tables.TABLES[table].names if c not in state.get(table, ())]
        touched = set(mended.loc[mended["table"] == table, "key"]) | (set(gone) if table == "customers" else set())
        key = tables.TABLES[table].key[0]
        rows, later = (f[~f[key].map(plain).isin(touched)][steady] for f in (first, second))
        counted = rows.value_counts(), later.value_counts()
        assert (counted[1].reindex(counted[0].index).fillna(0) >= counted[0]).all(), table
        assert len(second) > len(first) or table in ("staff", "campaigns")
        if table in ("interactions", "leads"):
            # a customer who had no card yet may have one now; nothing else changes
            both = first.drop_duplicates(key).merge(second.drop_duplicates(key), on=key)
            same = (both["customer_id_x"] == both["customer_id_y"]) | (both["customer_id_x"] == "")
            assert same.all() and len(both) == first[key].nunique()


def test_the_second_month_has_what_the_month_brought(dealers):
    first, second = (dealers / name / "truth" for name in ("usual", "later"))
    assert json.loads((second / "about.json").read_text())["as_of"] == "2026-10-31"
    opened = read(dealers / "later" / "raw", "service_orders")["opened_at"]
    assert (opened.str[:7] == "2026-10").sum() > 200
    before, after = (truth(f, "persons").set_index("person_id") for f in (first, second))
    assert set(before.index) <= set(after.index) and 5 < len(after) - len(before) < 0.03 * len(before)
    steady = ["customer_type", "is_prospect", "segment", "fleet_size"]
    assert (before[steady] == after.loc[before.index, steady]).all(axis=None)
    changes = truth(second, "changes")
    kinds = set(changes["kind"])
    assert {"card_merged", "card_renumbered", "card_deleted", "phone_changed", "plate_changed", "mended"} <= kinds
    cards = read(dealers / "later" / "raw", "customers").set_index("customer_id")
    phones = changes[changes["kind"] == "phone_changed"]
    assert (cards.loc[phones["key"], "phone"].to_numpy() == phones["new"].to_numpy()).mean() > 0.7
    gone = changes.loc[changes["kind"].isin(["card_merged", "card_renumbered", "card_deleted"]), "old"]
    assert not set(gone) & set(cards.index)
    new_second = truth(second, "records").query("is_duplicate")
    assert (~new_second["customer_id"].isin(truth(first, "records")["customer_id"])).any()


def test_persons_and_their_numbers_stay_the_same_over_the_month(dealers):
    one, two = (truth(dealers / name / "truth", "records") for name in ("usual", "later"))
    both = one.merge(two, on=["source", "customer_id"])
    assert (both["person_id_x"] == both["person_id_y"]).all()
    assert 3 <= len(one) - len(both) <= 8
    cards = read(dealers / "later" / "raw", "customers").drop_duplicates("customer_id")
    assert set(cards["customer_id"]) == set(two["customer_id"])
    faults = truth(dealers / "later" / "truth", "faults")
    mended = truth(dealers / "later" / "truth", "changes").query("kind == 'mended'")
    keys = set(zip(faults["table"], faults["key"], faults["column"]))
    assert len(mended) >= 3 and not keys & set(zip(mended["table"], mended["key"], mended["column"]))
    assert len(faults) > len(truth(dealers / "usual" / "truth", "faults")) - 10


def test_the_call_centre_keeps_its_numbers_over_the_month(tmp_path):
    calls = []
    for month in (0, 1):
        generate("demo_cn", tmp_path / f"r{month}", tmp_path / f"t{month}", 300, seed=6, month=month)
        calls.append(pd.read_csv(tmp_path / f"r{month}" / export.CN_CALLS, sep="\t", dtype=str, encoding="utf-8-sig"))
        name = export.CN_BOOK.format(month=("2026-09", "2026-10")[month])
        assert (tmp_path / f"r{month}" / name).exists()
    one, two = (c.drop_duplicates().set_index("流水号")["客户编号"] for c in calls)
    assert len(two) > len(one) and (two.reindex(one.index) == one).all()


def test_the_command_makes_a_second_month_without_faults(tmp_path, capsys):
    given = ["demo", "--out", str(tmp_path / "r"), "--truth", str(tmp_path / "t"), "--customers", "60"]
    assert main([*given, "--faults", "none", "--month", "1"]) == 0
    about = json.loads((tmp_path / "t" / "about.json").read_text())
    assert (about["as_of"], about["faults"]) == ("2026-10-31", "none")
    assert main([*given, "--faults", "few"]) == 2 and "use one of usual, none" in capsys.readouterr().err
    assert main([*given, "--month", "2"]) == 2 and "use 0 for the first export" in capsys.readouterr().err
    with pytest.raises(UserError, match="a share of fakers of 2 is out of range"):
        generate("demo", tmp_path / "x", tmp_path / "y", fakers=2)
    assert not (tmp_path / "x").exists()


# -- tables of their own ----------------------------------------------------------------------------------------


def test_insurance_and_shop_tables_join_the_dealer_and_have_faults(dealers):
    raw = dealers / "usual" / "raw"
    faults = truth(dealers / "usual" / "truth", "faults")
    policies, shop = (pd.read_csv(raw / f, dtype=str) for f in export.ENGLISH_EXTRAS.values())
    assert list(policies) == "policy_no vin insurer product starts_on ends_on premium_yuan claims_count".split()
    assert list(shop) == "order_no customer_id ordered_at category amount_yuan".split()
    cars = set(read(raw, "vehicles")["vin"].map(plain))
    orphans = faults[(faults["table"] == "insurance_policies") & (faults["kind"] == "orphan_vin")]
    vins = policies.drop_duplicates()["vin"].map(plain)
    assert set(vins[~vins.isin(cars)]) == set(orphans["raw_value"]) and len(orphans) >= 2
    cards = set(read(raw, "customers")["customer_id"])
    lost = faults[(faults["table"] == "shop_orders") & (faults["kind"] == "orphan_customer")]
    assert set(shop.loc[~shop["customer_id"].isin(cards), "customer_id"]) == set(lost["raw_value"]) and len(lost) >= 1
    for name, frame in (("insurance_policies", policies), ("shop_orders", shop)):
        twice = faults[(faults["table"] == name) & (faults["kind"] == "exact_duplicate_row")]
        assert sorted(frame.loc[frame.duplicated(), frame.columns[0]]) == sorted(twice["key"]) and len(twice) >= 1
    assert (policies["starts_on"] <= "2026-09-30").all() and (policies["starts_on"] < policies["ends_on"]).all()
    assert (shop["ordered_at"] < "2026-10-01").all()
    assert 0.02 < policies["claims_count"].astype(int).gt(0).mean() < 0.4


def test_tables_of_their_own_do_not_disturb_what_is_read(made_cn):
    raw, read_ = made_cn
    assert not read_.unread
    assert [part.file for table in read_.extras for part in table.files] == [export.CN_EXTRAS["insurance_policies"]]
    header = (raw / export.CN_EXTRAS["insurance_policies"]).read_bytes().decode("gb18030").splitlines()[0]
    assert header == "保单号,车架号,保险公司,险种,起保日期,到期日期,保费（元）,出险次数"


@pytest.fixture(scope="module")
def made_cn(tmp_path_factory):
    """A small `demo_cn` and how it is read by the params that ship."""
    base = tmp_path_factory.mktemp("cn")
    generate("demo_cn", base / "raw", base / "truth", 200, seed=8)
    made = params.load(params_file())
    return base / "raw", ingest(made, base / "raw", base / "out")


def params_file():
    from test_demo import ROOT

    return ROOT / "params" / "demo_cn.yaml"


def test_numbers_called_and_plates_are_read_from_both_dealers(made_cn):
    _, done = made_cn
    x = pd.read_parquet(done.tables["interactions"].path)
    spoken = x["kind"].isin(["满意度调查", "关怀回访"])
    assert x.loc[spoken, "phone"].notna().mean() > 0.7
    orders = pd.read_parquet(done.tables["service_orders"].path)
    assert orders["plate"].notna().mean() > 0.9 and 0.1 < orders["phone"].notna().mean() < 0.6
    assert pd.read_parquet(done.tables["customers"].path)["region"].notna().mean() > 0.3
