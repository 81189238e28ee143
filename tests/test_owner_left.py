"""Who no longer owns a car: each kind of evidence on cars made by hand, no look into the future, and the demo's true owners."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from dealerkit import factors
from dealerkit.identity import identify, left
from dealerkit.params import Params
from dealerkit.report.translate import Translator

DAY = date(2026, 6, 30)
CARS = [f"LSVAA408{d}E200000{i}" for i, d in enumerate("78903X12456", start=1)]
V, W = CARS[:2]


def customers(names: str = "ABC", **said: dict) -> list[dict]:
    """Cards, each with a name and a phone of its own."""
    cards = [{"customer_id": c, "name": f"王{c}明{c}", "phone": f"138000000{ord(c)}"} for c in names]
    return [card | said.get(card["customer_id"], {}) for card in cards]


def car(vin: str = V, customer: str | None = "A", bought: str | None = "2019-01-01", **more) -> dict:
    return {"vin": vin, "customer_id": customer, "purchased_on": bought} | more


def visits(*rows: tuple) -> list[dict]:
    """(customer, day opened, vin, further columns) each; settled the day after."""
    made = []
    for i, row in enumerate(rows):
        customer, day, vin, more = (*row, *(V, {})[len(row) - 2 :])
        settled = (pd.Timestamp(day) + pd.Timedelta(days=1)).strftime("%Y-%m-%d")
        made.append(
            {
                "order_id": f"R{i:03d}",
                "customer_id": customer,
                "vin": vin,
                "opened_at": f"{day} 09:00",
                "settled_at": settled,
            }
            | more
        )
    return made


def sale(customer: str, day: str, vin: str = V, trade_in: str | None = None) -> dict:
    return {
        "order_id": f"S{day}{vin[-1]}{customer}",
        "customer_id": customer,
        "vin": vin,
        "delivered_on": day,
        "trade_in_vin": trade_in,
    }


@pytest.fixture(scope="module")
def told(clean_of):
    """Of a dealer given by hand, each card a person: {(customer, car): (in hand, reason, day)}, {(customer, car, evidence):
    day}, and what was found."""

    def run(as_of: date = DAY, cards: list[dict] | None = None, params: dict | None = None, **given):
        given = {"customers": cards or customers(), "vehicles": [car()], "service_orders": []} | given
        connection, clean = clean_of(given)
        records = pd.DataFrame({"customer_id": [c["customer_id"] for c in given["customers"]]})
        records = records.assign(source="dms", person_id="P" + records["customer_id"])
        made = Params.model_validate({"dealer": "x", "display_name": "X"} | (params or {}))
        found = left.held_and_left(connection, clean, records, as_of, made)

        def key(row) -> tuple:
            return row.person_id[1:], "VWXYZ"[CARS.index(row.vin)]

        def day(value) -> str | None:
            return None if pd.isna(value) else str(value)[:10]

        cars = {key(r): (r.in_hand, r.left_reason, day(r.left_on)) for r in found.cars.to_pandas().itertuples()}
        rows = found.owner_left.to_pandas().itertuples()
        return cars, {(*key(r), r.evidence): day(r.seen_on) for r in rows}, found

    return run


HELD = (True, None, None)
A_CAME = [("A", "2020-01-10"), ("A", "2021-01-10"), ("A", "2022-01-10")]


def test_an_owner_who_comes_has_the_car(told):
    cars, signs, _ = told(service_orders=visits(*A_CAME, ("A", "2026-05-01")))
    assert cars == {("A", "V"): HELD} and signs == {}


def test_a_car_given_in_payment(told):
    sales = [sale("A", "2019-01-01"), sale("A", "2023-03-01", W, trade_in=V)]
    cars, signs, _ = told(
        vehicles=[car(), car(W, bought="2023-03-01")], sales_orders=sales, service_orders=visits(*A_CAME)
    )
    assert cars == {("A", "V"): (False, "traded_in", "2023-03-01"), ("A", "W"): HELD}
    assert signs[("A", "V", "traded_in")] == "2023-03-01"


def test_a_car_traded_in_and_sold_on_is_its_next_owners(told):
    sales = [sale("A", "2019-01-01"), sale("A", "2023-03-01", W, trade_in=V)]
    came = visits(*A_CAME, ("B", "2023-08-01"), ("B", "2026-05-01"))
    cars, _, found = told(
        vehicles=[car(customer="B"), car(W, bought="2023-03-01")], sales_orders=sales, service_orders=came
    )
    assert cars == {("A", "V"): (False, "traded_in", "2023-03-01"), ("B", "V"): HELD, ("A", "W"): HELD}
    held = found.cars.to_pandas().set_index(["vin", "in_hand"])["held_from"].astype(str)
    assert held[V, True] == "2023-08-01" and held[V, False] == "2019-01-01"


def test_a_car_traded_in_twice(told):
    sales = [
        sale("A", "2019-01-01"),
        sale("A", "2021-03-01", W, V),
        sale("B", "2021-06-01"),
        sale("B", "2024-03-01", CARS[2], V),
    ]
    cars, signs, _ = told(vehicles=[car(customer=None), car(W), car(CARS[2], "B")], sales_orders=sales)
    assert cars[("A", "V")] == (False, "traded_in", "2021-03-01") and cars[("B", "V")] == (
        False,
        "traded_in",
        "2024-03-01",
    )
    assert signs[("A", "V", "sold_again")] == "2021-06-01"


def test_a_car_bought_back_after_a_trade_in_is_held(told):
    sales = [sale("A", "2019-01-01"), sale("A", "2021-03-01", W, V), sale("A", "2022-01-01")]
    cars, _, _ = told(vehicles=[car(bought="2022-01-01"), car(W)], sales_orders=sales)
    assert cars[("A", "V")] == HELD


def test_a_car_sold_here_to_another(told):
    cars, _, _ = told(sales_orders=[sale("A", "2019-01-01"), sale("B", "2023-05-05")], service_orders=visits(*A_CAME))
    assert cars == {("A", "V"): (False, "sold_again", "2023-05-05"), ("B", "V"): HELD}


def test_two_names_on_one_purchase_are_no_second_sale(told):
    cars, _, _ = told(
        vehicles=[car(bought="2019-01-01")], sales_orders=[sale("B", "2019-01-20")], service_orders=visits(*A_CAME)
    )
    assert cars == {("A", "V"): HELD}


@pytest.mark.parametrize(("gone", "held"), [("2026-06-30", False), ("2026-07-01", True)])
def test_a_car_disposed_of_by_the_register(told, gone, held):
    cars, _, _ = told(vehicles=[car(disposed_on=gone)], service_orders=visits(*A_CAME, ("A", "2026-05-01")))
    assert cars == {("A", "V"): HELD if held else (False, "disposed", None)}


def test_another_who_comes_once_is_a_weak_sign_and_twice_a_strong_one(told):
    once, signs, _ = told(service_orders=visits(*A_CAME, ("B", "2026-05-01")))
    assert once == {("A", "V"): HELD} and signs[("A", "V", "other_owner")] == "2026-05-02"
    twice, signs, _ = told(service_orders=visits(*A_CAME, ("B", "2026-03-01"), ("B", "2026-05-01")))
    assert twice == {("A", "V"): (False, "other_owner_again", "2026-05-02"), ("B", "V"): HELD}
    assert signs[("A", "V", "other_owner")] == "2026-03-02"


def test_the_one_whom_the_register_names_is_the_owner(told):
    cars, signs, _ = told(vehicles=[car(customer="B")], service_orders=visits(*A_CAME, ("B", "2026-05-01")))
    assert cars == {("A", "V"): (False, "registered_to_other", None), ("B", "V"): HELD}
    assert ("A", "V", "other_owner") in signs


@pytest.mark.parametrize(
    "came",
    [
        [("B", "2026-03-01"), ("B", "2026-05-01"), ("A", "2026-06-01")],  # A came again
        [("B", "2021-06-01"), ("B", "2021-07-01"), ("A", "2026-06-01")],  # B drove A's car in between
    ],
)
def test_who_comes_again_had_the_car_all_along(told, came):
    cars, signs, _ = told(service_orders=visits(*A_CAME, *came))
    assert cars == {("A", "V"): HELD} and signs == {}


RELATED = {
    "a shared phone": {"cards": customers(B={"phone": "13800000065"})},
    "a second phone": {"cards": customers(A={"phone_alt": "13800000066"})},
    "a contact": {"contacts": [{"contact_id": "K1", "customer_id": "A", "vin": V, "role": "driver", "name": "王B明B", "phone": "13800000066"}]},
    "a contact of the car": {"contacts": [{"contact_id": "K1", "vin": V, "role": "driver", "name": "王B明B", "phone": "13800000066"}]},
}  # fmt: skip


@pytest.mark.parametrize("why", RELATED)
def test_family_and_drivers_are_nobody_else(told, why):
    came = visits(*A_CAME, ("B", "2024-03-01"), ("B", "2025-05-01"), ("B", "2026-06-01"))
    cars, signs, _ = told(service_orders=came, **RELATED[why])
    assert cars[("A", "V")] == HELD and signs == {}


def test_who_only_paid_may_have_bought_for_the_one_who_comes(told):
    sales = [sale("A", "2019-01-01")]
    soon, _, _ = told(
        sales_orders=sales, service_orders=visits(("B", "2019-06-01"), ("B", "2020-01-01"), ("B", "2026-05-01"))
    )
    assert soon == {("A", "V"): HELD}
    late, _, _ = told(
        sales_orders=sales, service_orders=visits(("B", "2021-06-01"), ("B", "2022-01-01"), ("B", "2026-05-01"))
    )
    assert late[("A", "V")] == (False, "other_owner_again", "2022-01-02")


def test_a_number_typed_for_many_cars_tells_nothing_of_owners(told):
    names = "ABCDEFGHIJKLMNOP"
    came = visits(
        *((c, f"2025-01-{10 + i}") for i, c in enumerate(names)),
        *((c, f"2025-02-{10 + i}") for i, c in enumerate(names)),
    )
    cars, signs, _ = told(cards=customers(names), service_orders=came)
    assert cars == {("A", "V"): HELD} and not {s for s in signs if s[2] != "silence"}


# ---- plates ---------------------------------------------------------------------------------------------------------

P = "浙B12345"


def test_a_plate_seen_later_on_another_car_of_the_same_owner(told):
    came = visits(
        ("A", "2020-01-10", V, {"plate": P}), ("A", "2024-05-01", W, {"plate": P}), ("A", "2026-05-01", W, {"plate": P})
    )
    both = [car(), car(W, bought="2024-04-01")]
    cars, signs, _ = told(vehicles=both, service_orders=came)
    assert cars == {("A", "V"): (False, "plate_moved", "2024-05-01"), ("A", "W"): HELD}
    assert signs[("A", "V", "plate_moved")] == "2024-05-01"
    came[1]["customer_id"] = came[2]["customer_id"] = "B"
    cars, _, _ = told(vehicles=[car(), car(W, "B", "2024-04-01")], service_orders=came)
    assert cars == {("A", "V"): HELD, ("B", "W"): HELD}  # of another owner: typed wrongly, says nothing


def test_one_plate_on_two_cars_of_the_register_is_on_the_one_bought_later(told):
    cars, _, _ = told(vehicles=[car(plate=P), car(W, bought="2024-04-01", plate=P)])
    assert cars == {("A", "V"): (False, "plate_moved", None), ("A", "W"): HELD}


# ---- silence ----------------------------------------------------------------------------------------------------------


def chance(found) -> float:
    [row] = found.owner_left.to_pandas().query("evidence == 'silence'")["probability"]
    return row


def test_silence_is_listed_with_a_chance_and_never_ends_an_ownership(told):
    old = [("A", "2016-01-10"), ("A", "2017-01-10"), ("A", "2018-01-10")]
    sure = {"identity": {"owner_left": {"strong": 0}}}
    cars, signs, found = told(vehicles=[car(bought="2012-01-01")], service_orders=visits(*old), params=sure)
    assert cars == {("A", "V"): HELD} and signs == {("A", "V", "silence"): "2026-06-30"}
    # L = 1 − (1 + (2200/2343.7)^6) / (1 + (5294/2343.7)^6), by hand; then L / (L + .9 (1 − L))
    kept = [
        1 / (1 + (days / (77 * 365.25 / 12)) ** 6)
        for days in ((date(2018, 1, 10) - date(2012, 1, 1)).days, (DAY - date(2012, 1, 1)).days)
    ]
    gone = 1 - kept[1] / kept[0]
    assert chance(found) == pytest.approx(gone / (gone + 0.9 * (1 - gone)), abs=1e-4) and chance(found) > 0.9


def test_silence_grows_with_age_and_counts_only_out_of_rhythm(told):
    rare = visits(("A", "2020-01-10"), ("A", "2022-12-10"))
    assert told(service_orders=rare)[1] == {}  # three and a half years away, and three years are usual
    often = visits(*A_CAME, ("A", "2022-12-10"))
    young, old = (told(vehicles=[car(bought=day)], service_orders=often)[2] for day in ("2019-01-01", "2014-01-01"))
    assert 0.3 < chance(young) < chance(old) < 0.9


# ---- params, future, page ---------------------------------------------------------------------------------------------


def test_the_stated_probabilities_decide(told):
    came = visits(*A_CAME, ("B", "2026-05-01"))
    cars, _, _ = told(service_orders=came, params={"identity": {"owner_left": {"other_owner": 0.9}}})
    assert cars[("A", "V")] == (False, "other_owner", "2026-05-02")
    cars, _, _ = told(vehicles=[car(disposed_on="2025-01-01")], params={"identity": {"owner_left": {"disposed": 0.5}}})
    assert cars[("A", "V")] == HELD


def test_nothing_of_a_later_day_is_seen(told):
    """Rows planted after the day change nothing, and evidence that a later report dates before the day was known by then."""
    sales = [sale("A", "2019-01-01"), sale("A", "2023-03-01", W, V)]
    came = visits(*A_CAME, ("C", "2024-03-01", W), ("C", "2024-05-01", W), ("A", "2020-05-05", W))
    after = visits(("B", "2026-07-01", W), ("B", "2026-07-05", W), ("A", "2026-08-01"))
    after += [r | {"order_id": f"X{r['order_id']}"} for r in after]
    more = [sale("C", "2026-07-02", W, V), sale("B", "2026-07-03")]
    both = [car(), car(W, bought="2023-03-01")]
    now = told(vehicles=both, sales_orders=sales, service_orders=came)
    planted = [r | {"order_id": f"Z{r['order_id']}"} for r in after]
    later = told(vehicles=both, sales_orders=sales + more, service_orders=came + planted)
    assert now[:2] == later[:2]
    for day in (date(2024, 3, 15), date(2024, 5, 15), DAY):
        then = told(as_of=day, vehicles=both, sales_orders=sales, service_orders=came)[1]
        assert {k: d for k, d in now[1].items() if d and d <= str(day) and k[2] != "silence"}.items() <= then.items()


def test_a_car_counts_for_each_owner_in_turn(clean_of):
    given = {
        "customers": customers("AB"),
        "vehicles": [car()],
        "sales_orders": [sale("A", "2019-01-01")],
        "service_orders": visits(*A_CAME, ("B", "2025-03-01"), ("B", "2025-05-01"), (None, "2026-06-01")),
    }
    connection, clean = clean_of(given)
    params = Params(dealer="x", display_name="X")
    found = identify(connection, clean, params, DAY)
    days = [date(2024, 6, 30), date(2025, 3, 31), date(2025, 6, 30), DAY]
    panel = factors.person_factors(connection, clean, found.persons, found.records, found.cars, days, DAY, params)
    who = dict(zip(found.records["person_id"], found.records["customer_id"], strict=True))
    panel["who"] = panel["person_id"].map(who)
    kinds = found.persons.assign(who=found.persons["person_id"].map(who)).set_index("who")
    kinds = kinds[["is_owner", "is_former_owner", "is_prospect"]]
    assert kinds.loc["A"].tolist() == [False, True, False] and kinds.loc["B"].tolist() == [True, False, False]
    cars = panel.pivot(index="origin", columns="who", values="cars_count").fillna(0)
    assert cars["A"].tolist() == [1, 1, 0, 0] and cars["B"].tolist() == [0, 0, 1, 1]
    # the visit that names nobody is that of who has the car now
    assert panel.set_index(["who", "origin"])["visits_count_all"].groupby("who").max().to_dict() == {"A": 3, "B": 3}


def test_the_page_tells_cars_by_evidence(told):
    _, _, found = told(service_orders=visits(*A_CAME, ("B", "2026-03-01"), ("B", "2026-05-01")))
    page = left.summary(found.owner_left, Translator("en"))
    assert page.to_dict("records") == [
        {"evidence": "Somebody else brought it twice or more", "cars": 1, "dated": 1, "probability": 0.9},
        {"evidence": "Somebody else brought it once", "cars": 1, "dated": 1, "probability": 0.7},
    ]
    facts = left.facts(found.cars, found.owner_left, Params(dealer="x", display_name="X"))
    assert {name: fact[0] for name, fact in facts.items()} == {
        "owner_left_cars": 1, "owner_left_dated_cars": 1, "owner_left_strong": 0.85, "owner_silent_cars": 0, "owner_silent_gone_share": None,
    }  # fmt: skip


def test_a_dealer_without_register_and_sales(told):
    cars, signs, _ = told(vehicles=[], service_orders=visits(*A_CAME, ("B", "2024-01-01")))
    assert cars == {}
    assert told(cards=customers("A"), vehicles=[], service_orders=[])[0] == {}


# ---- the demo's true owners -------------------------------------------------------------------------------------------


def test_the_demo_dealers_cars_that_left_are_found(demo, demo_persons):
    cards = demo.truth("records")[["customer_id", "person_id"]]
    true = demo_persons.records.merge(cards.rename(columns={"person_id": "true"}), on="customer_id")
    who = true.groupby("person_id")["true"].first()
    cars = demo_persons.cars.to_pandas().assign(true=lambda c: c["person_id"].map(who))
    gone = demo.truth("cars")
    gone = gone[gone["owned_to"].notna() & (gone["owned_to"] <= pd.Timestamp("2026-09-30"))]
    keys = set(zip(gone["person_id"], gone["vin"], strict=True))
    ended = cars[~cars["in_hand"]]
    said = set(zip(ended["true"], ended["vin"], strict=True))
    assert len(said) > 60 and len(said & keys) >= 0.98 * len(said)
    seen = gone[(gone["ending"] == "trade_in") | gone["disposal_recorded"]]
    visible = set(zip(seen["person_id"], seen["vin"], strict=True))
    assert len(visible) > 50 and len(visible & said) >= 0.97 * len(visible)
    held = cars[cars["in_hand"]]
    strong = demo_persons.owner_left.to_pandas().query("evidence != 'silence' and probability >= .85")
    assert not set(zip(held["person_id"], held["vin"], strict=True)) & set(
        zip(strong["person_id"], strong["vin"], strict=True)
    )
    silent = demo_persons.owner_left.to_pandas().query("evidence == 'silence'")
    right = [(who.get(r.person_id), r.vin) in keys for r in silent.itertuples()]
    assert abs(silent["probability"].mean() - sum(right) / len(right)) < 0.12
