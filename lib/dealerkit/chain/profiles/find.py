"""Which person or car is meant by what somebody has at hand: a number, a phone, a plate, a VIN.

What was given is never repeated in a message but masked.
"""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

from dealerkit.chain.profiles.built import Built
from dealerkit.errors import UserError
from dealerkit.messages import mask

#: So many are named when several are meant.
_NAMED = 10
_VIN_LENGTH = 17
_ACCEPTED = "a person id of the kit, a customer number, a phone, a plate or a VIN"


def person(built: Built, given: str) -> str:
    """The person_id that is meant.

    Raises `UserError` when nobody is, or several are: then with their person ids, one of which can be given instead.
    """
    text = _plain(given)
    if not text:
        raise UserError("no ID given", f"name a customer, as in ID=C00001: {_ACCEPTED}")
    found = sorted({*_by_id(built, text), *_by_number(built, text), *_by_phone(built, text), *_by_car(built, text)})
    if not found:
        raise UserError(
            f"no customer has the ID {mask(text, 'id')!r}",
            f"give {_ACCEPTED}, as it stands in the exports; make report reads new ones",
        )
    if len(found) > 1:
        raise UserError(
            f"the ID {mask(text, 'id')!r} belongs to {len(found)} customers: {_several(built, found)}",
            f"give the person id of one of them, as in ID={found[0]}",
        )
    return found[0]


def car(built: Built, given: str) -> str:
    """The VIN of the car that is meant.

    Raises `UserError` when none is, or several are.
    """
    text = _letters(_plain(given))
    if not text:
        raise UserError("no VIN given", "name a car by its VIN or its plate, as in VIN=LSVAA4182E2000001")
    found = sorted(_vins(built, text))
    if not found:
        raise UserError(
            f"no car has the VIN or plate {mask(text, 'vin')!r}",
            "give the VIN or the plate as it stands in the exports",
        )
    if len(found) > 1:
        raise UserError(
            f"the plate {mask(text, 'plate')!r} stands on {len(found)} cars: {_cars(built, found)}",
            "give the VIN instead; the page of who holds the car (make customer with the person id as ID) has it in full",
        )
    return found[0]


def _cars(built: Built, found: list[str]) -> str:
    """Each car with model line and year, its VIN masked, and the person ids of those who hold it."""
    named = found[:_NAMED]
    rows = built.rows("vehicles", vin=named).drop_duplicates("vin").set_index("vin")
    rows = rows.reindex(index=named, columns=["series", "model_year"])
    held = built.rows("cars", vin=named).query("in_hand").groupby("vin")["person_id"].agg(sorted)
    said = []
    for vin, series, year in rows.itertuples():
        car = [series if pd.notna(series) else "car", *([str(int(year))] if pd.notna(year) else [])]
        said.append(f"{' '.join(car)} ({mask(vin, 'vin')}, held by {', '.join(held.get(vin, ['nobody']))})")
    return "; ".join(said) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")


def _plain(given: str) -> str:
    """The text in half width, without blanks at its ends."""
    return " ".join(unicodedata.normalize("NFKC", given).split())


def _letters(text: str) -> str:
    """Letters and digits only, in capitals, as plates and VINs are kept."""
    return re.sub(r"[^0-9A-Za-z\u4e00-\u9fff]", "", text).upper()


def _by_id(built: Built, text: str) -> list[str]:
    if not re.fullmatch(r"[Pp][0-9A-Fa-f]{8,32}", text):
        return []
    asked, met = "P" + text[1:].lower(), set()
    while asked and asked not in met and not len(built.rows("persons", person_id=[asked])):
        met.add(asked)
        asked = _merged_into(built, asked)
    return [asked] if asked and asked not in met else []


def _merged_into(built: Built, person_id: str) -> str | None:
    """The person into whom one went, by the latest entry of the diary, None when the diary knows of none."""
    rows = built.rows("identity_diary", other_person_id=[person_id])
    rows = rows[rows["kind"] == "merged"].sort_values(["as_of", "person_id"]) if len(rows) else rows
    return rows["person_id"].iloc[-1] if len(rows) else None


def _by_number(built: Built, text: str) -> list[str]:
    """By the number of any source, of a lead or of a contact person."""
    low, records = text.lower(), built.table("person_records")
    numbers = [low, *(f"{space.lower()}:{low}" for space in ("lead", "contact", *built.params.sources))]
    rows = records.filter(records.customer_id.lower().isin(numbers)).select("person_id").distinct()
    found = set(rows.to_pyarrow()["person_id"].to_pylist())
    return sorted(found | _by_lead(built, text))


def _by_lead(built: Built, text: str) -> set[str]:
    """The customer whom a lead names."""
    rows = built.rows("leads", lead_id=[text, text.upper()])
    return _persons(built, rows["customer_id"].dropna()) if len(rows) else set()


def _by_phone(built: Built, text: str) -> set[str]:
    digits = re.sub(r"^(?:00)?86(?=1\d{10}$)", "", re.sub(r"\D", "", text))
    if len(digits) < 7 or re.search(r"[A-Za-z\u4e00-\u9fff]", text):
        return set()
    numbers: list[str] = []
    for name, columns, key in (
        ("customers", ("phone", "phone_alt"), None),
        ("leads", ("phone",), "lead"),
        ("contacts", ("phone",), "contact"),
    ):
        for column in columns if built.has(name) else ():
            rows = built.rows(name, **{column: [digits]})
            if key is None:
                numbers += rows["customer_id"].tolist()
            else:
                own = f"{key}:" + rows[f"{key}_id"].astype(str)
                # A contact person is somebody else than the customer to whom the contact belongs.
                numbers += (rows["customer_id"].fillna(own) if key == "lead" else own).tolist()
    if "phone" in built.columns("service_orders"):
        numbers += ("brought:" + built.rows("service_orders", phone=[digits])["order_id"].astype(str)).tolist()
    return _persons(built, numbers)


def _by_car(built: Built, text: str) -> set[str]:
    """Holders of the car; of one that is held by nobody any more, those who held it."""
    cars = built.rows("cars", vin=_vins(built, _letters(text)))
    if cars.empty:
        return set()
    held = cars[cars["in_hand"]]
    return set((held if len(held) else cars)["person_id"])


def _vins(built: Built, letters: str) -> set[str]:
    """Cars of which these are the plate, now or at a visit, or the VIN; orders, which are many, are only looked through for
    what can be one."""
    found: set[str] = set()
    places = [("plate", "vehicles"), ("vin", "vehicles")]
    places += [("plate", "service_orders")] if letters[:1] > "Z" else []
    places += [("vin", "service_orders")] if len(letters) >= _VIN_LENGTH else []
    for column, name in places:
        if not found and letters and column in built.columns(name):
            found = set(built.rows(name, **{column: [letters]})["vin"])
    return found


def _persons(built: Built, numbers) -> set[str]:
    """Persons of customer numbers."""
    return set(built.rows("person_records", customer_id=list(numbers)).get("person_id", pd.Series(dtype=object)))


def _several(built: Built, found: list[str]) -> str:
    rows = built.rows("persons", person_id=found[:_NAMED]).set_index("person_id")["name"]
    named = [f"{key} ({mask(rows[key], 'name')})" for key in found[:_NAMED] if key in rows]
    return ", ".join(named) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
