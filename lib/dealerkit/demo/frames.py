"""What the dealer's systems export on a day: the canonical tables, cut from the world at that day.

The world is made once, to its last day. An export shows the rows dated up to its own day and the state of that day; every
random choice is made for all rows of the world, so that two exports of different days agree on the rows they share.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit import tables
from dealerkit.demo import cards, crm, words
from dealerkit.demo.people import NEVER
from dealerkit.demo.workshop import DAY


def dates(days) -> np.ndarray:
    """Days since 1970 as dates; `NEVER`, negative and missing become NaT."""
    days = pd.to_numeric(pd.Series(np.asarray(days))).fillna(NEVER).to_numpy().astype(np.int64)
    return np.where((days >= NEVER) | (days < -40_000), np.datetime64("NaT"), days.astype("datetime64[D]")).astype(
        "datetime64[s]"
    )


def times(minutes) -> np.ndarray:
    """Minutes since 1970 as times; negative becomes NaT."""
    minutes = np.asarray(minutes).astype(np.int64)
    return np.where(minutes < 0, np.datetime64("NaT"), minutes.astype("datetime64[m]")).astype("datetime64[s]")


class Export:
    """The export of one day from a block of the world.

    Attributes:
        frames: canonical tables, all columns in order, typed values.
        spells, sales, leads, calls, cards, campaigns, contacts: the world's rows that this export knows, campaigns with
            the customer number used.
    """

    def __init__(self, rng: np.random.Generator, w: dict, staff: pd.DataFrame, as_of: int, first: bool, lang: str):
        self.w, self.staff, self.as_of, self.lang = w, staff, as_of, lang
        self.cards = w["cards"][w["cards"]["created"] <= as_of]
        self.leads = crm.lead_state(w["leads"], as_of)
        made = {
            "staff": staff if first else staff.iloc[:0],
            "customers": self._customers(rng),
            "vehicles": self._vehicles(rng),
            "contacts": self._contacts(rng),
            "leads": self._leads(rng),
            "sales_orders": self._sales(rng),
            "service_orders": self._orders(rng),
            "service_lines": self._lines(),
            "interactions": self._interactions(rng),
            "campaigns": self._campaigns(rng),
        }
        self.frames = {
            name: made[name].reindex(columns=table.names).reset_index(drop=True)
            for name, table in tables.TABLES.items()
        }

    def who(self, rng, person, day) -> np.ndarray:
        """Customer numbers for persons on days."""
        return cards.customer_of(rng, self.cards, person, day)

    def _number(self, persons: pd.DataFrame) -> np.ndarray:
        """Phone of persons on the day of the export."""
        return np.where(persons["phone_on"] <= self.as_of, persons["phone_new"], persons["phone"])

    def _settled(self) -> np.ndarray:
        return (self.w["orders"]["settled"] < (self.as_of + 1) * DAY).to_numpy()

    def _customers(self, rng) -> pd.DataFrame:
        r, orders, lang = self.w["cards"], self.w["orders"][self._settled()], self.lang
        spent = orders.groupby("person")["total_yuan"].sum().reindex(r["person"]).fillna(0).to_numpy()
        level = np.digitize(spent, [4_000, 12_000, 30_000])
        managers = self.staff.loc[self.staff["kind"] == "manager", "staff_id"].to_numpy()
        company = r["company"].to_numpy(dtype=bool)
        made = r.assign(
            customer_type=np.where(company, "company", "person"),
            gender=np.where(company, None, np.where(r["female"], "f", "m")),
            birth_date=dates(np.where(r["has_birth"], r["birth"], NEVER)),
            id_number=np.where(r["has_id"], r["id_number"], None),
            phone=self._number(r),
            phone_alt=np.where(r["has_alt"], r["phone_alt"], None),
            email=np.where(r["has_email"], r["email"], None),
            member_level=words.pick(words.LEVELS, lang)[level],
            points=(spent * rng.uniform(0.05, 0.3, len(r))).astype(int),
            account_manager_id=np.where(r["manager"], managers[rng.integers(0, len(managers), len(r))], None),
            created_on=dates(r["created"]),
        )
        return made[(r["created"] <= self.as_of).to_numpy()]

    def _vehicles(self, rng) -> pd.DataFrame:
        spells, orders, as_of = self.w["spells"], self.w["orders"][self._settled()], self.as_of
        first = spells[spells["generation"] < 9]
        n, here = len(first), first["sold_here"].to_numpy(dtype=bool)
        next_owner = spells[(spells["generation"] == 9) & spells["person"].isin(self.cards["person"])]
        taken = next_owner.drop_duplicates("car", keep="last").set_index("car").reindex(first["car"])
        has_next = taken["person"].notna().to_numpy()
        person = np.where(has_next, taken["person"], first["person"]).astype(int)
        seen = orders.drop_duplicates("vin", keep="last").set_index("vin").reindex(first["vin"])
        payment = self.w["sales"].set_index("spell")["payment"].reindex(first.index).to_numpy()
        start = first["start"].to_numpy()
        anniversary = start + np.ceil((seen["day"].fillna(first["start"] + 1).to_numpy() - start + 1) / 365) * 365
        bought = np.where(here | (rng.random(n) < 0.6) | (not self.w["careless"]), start, NEVER)
        insured = (rng.random(n) < 0.6) & (self.w["careless"] | (anniversary > as_of - 300))
        f = first.assign(
            customer_id=self.who(rng, person, np.full(n, -1)),
            brand=words.BRAND[self.lang == "zh"],
            plate=self._plates(rng, first, taken["plate"].to_numpy(), has_next),
            purchased_on=dates(bought),
            list_price_yuan=first["list_price"].astype(float),
            purchase_price_yuan=np.where(here, first["list_price"] - first["discount_price"], np.nan),
            warranty_ends_on=dates(np.where(bought < NEVER, first["warranty_on"], NEVER)),
            odometer_km=seen["odometer_km"].to_numpy(),
            odometer_on=dates(seen["day"].to_numpy()),
            insurance_ends_on=dates(np.where(insured, anniversary, NEVER)),
            finance_ends_on=dates(np.where(payment == "loan", start + 1096, NEVER)),
            disposed_on=dates(np.where(self.disposed(first) & ~has_next, first["end"], NEVER)),
        )
        f["sold_here"] = np.where(here, "yes", "no")
        f["series"] = words.pick([ln["name"] for ln in words.LINES], self.lang)[first["line"].to_numpy()]
        self.spells = spells[(spells["known"] <= as_of) & spells["person"].isin(self.cards["person"])]
        return f[(first["known"] <= as_of).to_numpy()]

    def disposed(self, spells: pd.DataFrame) -> np.ndarray:
        """Whether the dealer has written down by now that the car left."""
        return (spells["recorded"] & (spells["end"] <= self.as_of)).to_numpy(dtype=bool)

    def _plates(self, rng, first: pd.DataFrame, of_next: np.ndarray, has_next: np.ndarray) -> np.ndarray:
        """Plates on file: some files still have the old plate of a car that was sold on, or whose plate moved."""
        lags = (rng.random(len(first)) < 0.4) & self.w["careless"]
        now = np.where(first["plate_on"] <= self.as_of, first["plate_next"], first["plate"])
        gone = (first["plate_gone"] <= self.as_of).to_numpy()
        return np.where(has_next & ~lags, of_next, np.where(gone & ~has_next & ~lags, None, now))

    def _contacts(self, rng) -> pd.DataFrame:
        c = self.w["contacts"]
        c = c.assign(contact_id=c["id"], customer_id=self.who(rng, c["person"], np.zeros(len(c))))
        known = c["customer_id"].notna() & (self.w["spells"]["known"].to_numpy()[c["spell"]] <= self.as_of)
        self.contacts = c[known]
        return self.contacts

    def _leads(self, rng) -> pd.DataFrame:
        leads = self.leads
        leads = leads.assign(
            lead_id=leads["id"],
            customer_id=np.where(leads["known"], self.who(rng, leads["person"], leads["created"] // DAY), None),
            created_at=times(leads["created"]),
            assigned_at=times(leads["assigned"]),
            first_contact_at=times(leads["first_contact"]),
            recontacted_at=times(leads["recontacted"]),
            closed_at=times(leads["closed"]),
        )
        self.leads = leads[leads["created"] < (self.as_of + 1) * DAY - 300]
        return self.leads

    def _sales(self, rng) -> pd.DataFrame:
        sales = self.w["sales"]
        made = sales.assign(
            order_id=sales["id"],
            customer_id=self.who(rng, sales["person"], sales["delivered"]),
            ordered_on=dates(sales["ordered"]),
            delivered_on=dates(sales["delivered"]),
            lead_id=sales["lead"],
        )
        return made[(sales["delivered"] <= self.as_of).to_numpy()]

    def _orders(self, rng) -> pd.DataFrame:
        orders = self.w["orders"]
        contact = self.w["contacts"].drop_duplicates("spell").set_index("spell").reindex(orders["spell"])
        owner = self.w["persons"].reindex(orders["person"])
        n = len(orders)
        other = contact["name"].notna().to_numpy() & (rng.random(n) < 0.5)
        named, called = rng.random(n) < 0.9, rng.random(n) < 0.2
        number = np.where(owner["phone_on"] <= orders["day"].to_numpy(), owner["phone_new"], owner["phone"])
        made = orders.assign(
            order_id=orders["id"],
            customer_id=self.who(rng, orders["person"], orders["day"]),
            opened_at=times(orders["opened"]),
            settled_at=times(orders["settled"]),
            brought_by=np.where(other, contact["name"], np.where(named, owner["name"], None)),
            phone=np.where(other, contact["phone"], np.where(named & called, number, None)),
            plate=np.where(rng.random(n) < 0.04, None, orders["plate"]),
        )
        return made[self._settled()]

    def _lines(self) -> pd.DataFrame:
        lines = self.w["lines"]
        order = lines["order"].to_numpy()
        return lines.assign(order_id=self.w["orders"]["id"].to_numpy()[order])[self._settled()[order]]

    def _interactions(self, rng) -> pd.DataFrame:
        both, leads = self.w["contacts_made"], self.w["leads"]
        known = (both["person"] >= 0).to_numpy()
        made = both.assign(
            interaction_id=both["id"],
            at=times(both["at"]),
            lead_id=np.where(both["lead"] >= 0, leads["id"].to_numpy()[both["lead"].clip(lower=0)], None),
            customer_id=np.where(known, self.who(rng, both["person"].clip(lower=0), both["at"] // DAY), None),
        )
        past = (both["at"] < (self.as_of + 1) * DAY - 300).to_numpy()
        calls = self.w["calls"]
        self.calls = calls[(calls["at"] < (self.as_of + 1) * DAY - 300).to_numpy()]
        return made[past]

    def _campaigns(self, rng) -> pd.DataFrame:
        c = self.w["campaigns"]
        c = c.assign(
            customer_id=self.who(rng, c["person"], np.zeros(len(c))),
            assigned_on=dates(c["assigned"]),
            cost_yuan=np.where(c["arm"] == "treated", 8.5, 0.0),
            responded_on=dates(c["responded"]),
        )
        self.campaigns = c[(c["assigned"] <= self.as_of) & c["customer_id"].notna()]
        return self.campaigns
