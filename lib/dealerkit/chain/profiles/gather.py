"""What is known of one person or one car, read from the tables that the pages of the report left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from dealerkit import factors, tags
from dealerkit.chain.profiles import events
from dealerkit.chain.profiles.built import Built
from dealerkit.identity import diary, left
from dealerkit.identity.views import UNCERTAIN
from dealerkit.messages import N_
from dealerkit.report.profile import CarProfile, CustomerProfile

#: Pages whose scores a customer's page shows: page, a table of it, what it tells.
_SCORED = (
    ("30-segments", "classes", N_("Classes and segment")),
    ("50-lifecycle", "churn_scores", N_("Chance to be lost")),
)


#: What two records of one person may share, the strongest first.
_KEYS = ("id_number", "phone", "name", "birth_date", "address")
#: Records that come from other tables than customers: source → key of its table, column of the name, column of the day.
_DERIVED = {
    "leads": ("lead_id", None, "created_at"),
    "contacts": ("contact_id", "name", None),
    "service_orders": ("order_id", "brought_by", "opened_at"),
}


def customer(built: Built, person_id: str, t) -> CustomerProfile:
    """Everything that a customer's page shows (see `CustomerProfile`)."""
    person = _first(built.rows("persons", person_id=[person_id]))
    mine = built.rows("person_records", person_id=[person_id])
    numbers = mine["customer_id"].tolist()
    cars = _cars(built, built.rows("cars", person_id=[person_id]))
    records = _records(built, mine)
    visits = events.visits_of(built, numbers, cars)
    brought = events.brought(built, records[records["source"] == "service_orders"])
    happened = [
        events.workshop(built, events.stacked(visits, brought).drop_duplicates("order_id"), t, person.get("name")),
        events.sales(built, t, customer_id=numbers),
        events.leads(built, numbers, t),
        events.contacts(built, numbers, t),
        events.campaigns(built, numbers, t),
    ]
    happened = events.joined(happened, built.as_of)
    relations = _relations(built, person_id)
    return CustomerProfile(
        person=person,
        records=records,
        relations=relations,
        diary=_diary(built, person_id, t),
        cars=cars,
        other_cars=_other_cars(built, {*relations["vin"], *happened["vin"]} - {*cars["vin"]}),
        events=happened,
        tags=_tags(built, t, person_id=[person_id]),
        numbers=_first(built.rows("person_factors", person_id=[person_id])),
        classes=_classes(built, person_id),
        risks=_risks(built, t, person_id=[person_id]),
        left_work=events.left_work(built, visits[visits["vin"].isin(cars.loc[cars["in_hand"].astype(bool), "vin"])]),
        missing=_missing(built, _SCORED, t),
        remarks=_remarks(built, _SCORED, t),
        as_of=built.as_of,
    )


def vehicle(built: Built, vin: str, t) -> CarProfile:
    """Everything that a car's page shows (see `CarProfile`)."""
    held = _cars(built, built.rows("cars", vin=[vin]))
    orders = built.rows("service_orders", vin=[vin])
    visits = events.up_to(orders.assign(day=pd.to_datetime(orders["opened_at"]).dt.normalize()), built.as_of)
    sales = events.sales(built, t, vin=[vin])
    return CarProfile(
        car=_first(built.rows("vehicles", vin=[vin])) | {"vin": vin},
        held=held.merge(_names(built, held["person_id"]), on="person_id", how="left"),
        owners=_owners(built, vin, held, visits),
        visits=visits.sort_values(["opened_at", "order_id"], ignore_index=True),
        events=events.joined([events.workshop(built, visits, t), sales], built.as_of),
        tags=_tags(built, t, vin=[vin]),
        risks=_risks(built, t, vin=[vin]),
        left_work=events.left_work(built, visits),
        missing=_missing(built, _SCORED[1:], t),
        remarks=_remarks(built, _SCORED[1:], t),
        as_of=built.as_of,
    )


def _first(rows: pd.DataFrame) -> dict:
    """The first row as a dict; nothing when there is none. What is unknown is None."""
    if rows.empty:
        return {}
    return {name: None if pd.isna(value) else value for name, value in rows.iloc[0].items()}


def _records(built: Built, mine: pd.DataFrame) -> pd.DataFrame:
    """The records of the sources that were joined: source, customer_id, what they hold, and joined_by: the keys that each
    shares with another of them; with the probability of the join (see `_probabilities`)."""
    kept = [
        "customer_id",
        "name",
        "phone",
        "phone_alt",
        "id_number",
        "birth_date",
        "address",
        "created_on",
        "source_channel",
    ]
    of_source = built.rows("customers", customer_id=mine["customer_id"].tolist())
    of_source = of_source.rename(columns={"_source": "source"})[["source", *kept]]
    rows = mine[["source", "customer_id"]].merge(of_source, on=["source", "customer_id"], how="left")
    rows = _with_derived(built, rows)
    shared = [
        [key for key in _KEYS if pd.notna(row[key]) and (rows[key] == row[key]).sum() > 1]
        for row in rows.to_dict("records")
    ]
    rows["joined_by"] = shared
    rows["probability"] = _probabilities(built, rows)
    return rows


def _with_derived(built: Built, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with phone, name and day of leads, contact persons and bringers of cars, which are records of their own."""
    for source, (key, name, day) in _DERIVED.items():
        own = rows["source"] == source
        if not own.any() or not built.has(source):
            continue
        number = rows.loc[own, "customer_id"].str.partition(":")[2]
        found = built.rows(source, **{key: number.tolist()}).drop_duplicates(key).set_index(key)
        rows.loc[own, "phone"] = number.map(found["phone"])
        if name:
            rows.loc[own, "name"] = number.map(found[name])
        if day:
            rows.loc[own, "created_on"] = number.map(pd.to_datetime(found[day]).dt.normalize())
    return rows


def _probabilities(built: Built, rows: pd.DataFrame) -> list[tuple[float, bool]]:
    """For each record the best probability of a pair with another record of the person, and whether it is more than that:
    pairs that are certain are not kept, so that without one the highest of those kept is the least it can be."""
    certain = (UNCERTAIN[1], True)
    if not built.has("identity_pairs") or len(rows) < 2:
        return [certain] * len(rows)
    numbers = rows["customer_id"].tolist()
    pairs = built.rows("identity_pairs", customer_id_a=numbers, customer_id_b=numbers)
    pairs = pairs[pairs["verdict"] == "joined"]
    best: dict[tuple[str, str], float] = {}
    for pair in pairs.to_dict("records"):
        for end in "ab":
            record = pair[f"source_{end}"], pair[f"customer_id_{end}"]
            best[record] = max(best.get(record, 0.0), float(pair["probability"]))
    records = zip(rows["source"], rows["customer_id"], strict=True)
    return [(best[record], False) if record in best else certain for record in records]


def _names(built: Built, person_ids: Iterable[str]) -> pd.DataFrame:
    """person_id → name and phone as known now."""
    rows = built.rows("persons", person_id=list(person_ids))
    return rows.reindex(columns=["person_id", "name", "phone"]).drop_duplicates("person_id")


def _other_cars(built: Built, vins: Iterable[str]) -> pd.DataFrame:
    """vin, series and plate of cars of others."""
    rows = built.rows("vehicles", vin=list(vins))
    return rows.reindex(columns=["vin", "series", "plate"]).astype(object)


def _relations(built: Built, person_id: str) -> pd.DataFrame:
    """Relations to other persons, from either side: kind, other_person_id, name, phone, vin, since."""
    columns = ["kind", "other_person_id", "name", "phone", "vin", "since"]
    if not built.has("relations"):
        return pd.DataFrame(columns=columns)
    own = built.rows("relations", person_id=[person_id]).assign(from_here=True)
    turned = {"person_id": "other_person_id", "other_person_id": "person_id"}
    other = built.rows("relations", other_person_id=[person_id]).rename(columns=turned).assign(from_here=False)
    rows = events.stacked(own, other)
    rows = rows[rows["other_person_id"].notna() & (rows["other_person_id"] != person_id)]
    known = _names(built, rows["other_person_id"]).rename(columns={"person_id": "other_person_id"})
    rows = rows.merge(known, on="other_person_id", how="left")
    both = rows["kind"].isin(["household", "family"])
    rows["kind"] = rows["kind"].where(both | rows["from_here"], "by_" + rows["kind"].astype(str))
    rows = rows.drop_duplicates(["kind", "other_person_id", "vin"])
    return rows.sort_values(["kind", "other_person_id"], ignore_index=True).reindex(columns=columns)


def _diary(built: Built, person_id: str, t) -> pd.DataFrame:
    """What became of the person's id, in words: as_of, what, other_person_id; the latest first."""
    rows = [built.rows("identity_diary", **{column: [person_id]}) for column in ("person_id", "other_person_id")]
    rows = events.stacked(*rows)
    if rows.empty:
        return pd.DataFrame(columns=["as_of", "what", "other_person_id"])
    rows = rows.drop_duplicates().sort_values(["as_of", "kind", "other_person_id"], ascending=[False, True, True])
    other = rows["other_person_id"].where(rows["other_person_id"] != person_id, rows["person_id"])
    what = [t.text(diary.KINDS[kind]) for kind in rows["kind"]]
    return rows.assign(other_person_id=other, what=what)[["as_of", "what", "other_person_id"]].reset_index(drop=True)


def _cars(built: Built, cars: pd.DataFrame) -> pd.DataFrame:
    """Cars with what is known of them now, those in hand first, and what speaks for it that they are gone (in words, the most
    probable); with their stage when page 50 was built."""
    cars = cars.sort_values(["in_hand", "purchased_on", "vin"], ascending=[False, False, True], ignore_index=True)
    stages = built.rows("car_stages", vin=cars["vin"].tolist())
    if len(stages):
        cars = cars.merge(stages[["person_id", "vin", "stage"]], on=["person_id", "vin"], how="left")
    cars = cars.merge(_evidence(built, cars), on=["person_id", "vin"], how="left")
    known = built.rows("car_factors", vin=cars["vin"].tolist())
    if len(known):
        named = known[["person_id", "vin", "recency_days", "visits_count_all", "odometer_km_last"]]
        cars = cars.merge(named, on=["person_id", "vin"], how="left")
    return cars


def _evidence(built: Built, cars: pd.DataFrame) -> pd.DataFrame:
    """The most probable evidence that an owner left a car: person_id, vin, evidence (as a message), left_probability."""
    found = built.rows("owner_left", vin=cars["vin"].tolist())
    if found.empty:
        return pd.DataFrame({c: pd.Series(dtype=object) for c in ("person_id", "vin", "evidence", "left_probability")})
    order = {name: place for place, name in enumerate(left.EVIDENCE)}
    found = found.assign(order=found["evidence"].map(order), evidence=found["evidence"].map(left.EVIDENCE))
    found = found.sort_values(["probability", "order"], ascending=[False, True]).drop_duplicates(["person_id", "vin"])
    found = found.rename(columns={"probability": "left_probability"})
    return found[["person_id", "vin", "evidence", "left_probability"]]


def _owners(built: Built, vin: str, held: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Who had or brought the car over time, by what the sales, the visits and the register say: person_id, name, first, last,
    visits, bought_on, holds."""
    sales = built.rows("sales_orders", vin=[vin])
    met = [
        sales.reindex(columns=["customer_id", "delivered_on"])
        .rename(columns={"delivered_on": "day"})
        .assign(bought=True)
    ]
    met.append(visits[["customer_id", "day"]].assign(bought=False))
    met = events.up_to(events.stacked(*met), built.as_of)
    who = built.rows("person_records", customer_id=met["customer_id"].tolist())
    met = met.merge(
        who.reindex(columns=["customer_id", "person_id"]).drop_duplicates("customer_id"), on="customer_id", how="left"
    )
    met = met.dropna(subset=["person_id"])
    met["day"] = pd.to_datetime(met["day"])
    made = met.groupby("person_id").agg(first=("day", "min"), last=("day", "max"))
    made["visits"] = (~met["bought"].astype(bool)).groupby(met["person_id"]).sum()
    made["bought_on"] = met[met["bought"].astype(bool)].groupby("person_id")["day"].max()
    made = made.reindex(sorted({*made.index, *held["person_id"]}))
    made["holds"] = made.index.isin(held.loc[held["in_hand"].astype(bool), "person_id"])
    made["bought_on"] = pd.to_datetime(made["bought_on"])
    made = made.rename_axis("person_id").reset_index().merge(_names(built, made.index), on="person_id", how="left")
    return made.sort_values(["first", "person_id"], ignore_index=True)


def _tags(built: Built, t, **among: list[str]) -> pd.DataFrame:
    """Tags in words: those of the catalogue with their day and car, in its order."""
    rows = built.rows("tags", **among)
    if rows.empty:
        return pd.DataFrame(
            columns=["place", "tag", "label", "class", "class_label", "rule", "since", "vin", "step", "offer"]
        )
    named = tags.catalogue(built.params, t).reset_index(names="place")
    rows = rows[["tag", "vin", "since"]].merge(named, on="tag", how="inner", validate="many_to_one")
    return rows.sort_values(["place", "since", "vin"], ignore_index=True)


def _classes(built: Built, person_id: str) -> pd.DataFrame:
    """Classes of the person in words: scheme_label, label, rule; with the segment, when there are segments."""
    row, rules = _first(built.rows("classes", person_id=[person_id])), built.rows("class_rules", scheme=_schemes(built))
    if not row or rules.empty:
        return pd.DataFrame(columns=["scheme_label", "label", "rule"])
    mine = rules[[row.get(s) == c for s, c in zip(rules["scheme"], rules["class"], strict=True)]]
    return mine[["scheme_label", "label", "rule"]].reset_index(drop=True)


def _schemes(built: Built) -> list[str]:
    return [c for c in built.columns("classes") if c != "person_id"]


def _risks(built: Built, t, **among: list[str]) -> pd.DataFrame:
    """The chance of each car to be lost, with the reasons in words and their values: vin, probability, yuan_12m, reasons."""
    scores = built.rows("churn_scores", **among)
    if scores.empty:
        return pd.DataFrame(columns=["vin", "probability", "yuan_12m", "reasons"])
    dictionary = factors.dictionary(built.params, t)
    of_car, of_person = (
        dictionary[dictionary["table"] == table].set_index("factor")["label"]
        for table in ("car_factors", "person_factors")
    )
    person = built.rows("person_factors", person_id=scores["person_id"].tolist()).set_index("person_id")
    car = built.rows("car_factors", vin=scores["vin"].tolist()).set_index(["person_id", "vin"])
    said = []
    for row in scores.to_dict("records"):
        reasons = []
        for name in (row["reason_1"], row["reason_2"], row["reason_3"]):
            if not isinstance(name, str):
                continue
            own = name.removeprefix("person_")
            if name.startswith("person_") and own in of_person:
                value = person[own].get(row["person_id"]) if own in person else None
                label = t.say(N_("{label:text}, all cars"), label=of_person[own])
            else:
                value = car[name].get((row["person_id"], row["vin"])) if name in car else None
                label = of_car.get(name, t.text(N_("Model line")) if name == "series" else name)
            reasons.append((label, value))
        said.append(reasons)
    return scores[["vin", "probability", "yuan_12m"]].assign(reasons=said)


def _missing(built: Built, scored: Sequence[tuple[str, str, str]], t) -> list[tuple[str, str, str]]:
    """What a later page tells that was not built: (title, why, remedy) each."""
    remedy = t.say(N_("Run make report DEALER={dealer:text}."), dealer=built.folders.dealer)
    why = t.text(N_("That page of the report was not built."))
    return [(t.text(title), why, remedy) for _page, table, title in scored if not built.has(table)]


def _remarks(built: Built, scored: Sequence[tuple[str, str, str]], t) -> list[str]:
    """Which of the scores are those of an earlier report."""
    old = [t.text(title) for page, table, title in scored if built.has(table) and built.is_older(page, "20-customers")]
    template = N_(
        "{title:text}: of an earlier report; the customers were built again since. Run make report DEALER={dealer:text}."
    )
    return [t.say(template, title=title, dealer=built.folders.dealer) for title in old]
