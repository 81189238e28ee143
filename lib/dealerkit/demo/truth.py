"""What a run must never see: the truth behind an export, keyed by the raw tables' own keys.

Person ids are made of the person's number, those of contacts who are nobody's customer of the contact's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dealerkit.demo.frames import Export, dates
from dealerkit.demo.people import NEVER
from dealerkit.demo.types import Types

#: What speaks for an owner having left a car, the strongest first.
LEFT = ("traded_in", "resold", "plate_moved", "recorded", "silence")


def truth_of(e: Export, types: Types) -> dict[str, pd.DataFrame]:
    """The tables of the truth of one export; ``people`` is only for the writer of the files."""
    w, persons = e.w, e.w["persons"]
    numbers = np.array([f"P{i:08d}" for i in persons["index"]], dtype=object)

    def pid(local) -> np.ndarray:
        return numbers[np.asarray(local, dtype=np.int64)]

    known = persons.index.isin(e.cards["person"])
    c = e.campaigns
    cars = _cars(e, pid(e.spells["person"]))
    calls = e.calls[e.calls["kind"] == "survey"]
    return {
        "people": persons[["name", "surname", "female", "company"]].assign(
            person_id=numbers, phone=np.where(persons["phone_on"] <= e.as_of, persons["phone_new"], persons["phone"])
        ),
        "persons": pd.DataFrame(
            {
                "person_id": numbers,
                "customer_type": np.where(persons["company"], "company", "person"),
                "is_prospect": persons["prospect"].to_numpy(dtype=bool),
                "segment": types.table["name"].to_numpy()[persons["segment"]],
                "frailty": persons["frailty"].to_numpy(),
                "risk": persons["risk"].to_numpy(),
                "call_effect": persons["effect"].to_numpy(),
                "fleet_size": persons["fleet"].to_numpy(),
            }
        )[known],
        "cars": cars,
        "owner_left": _left(e, cars),
        "relations": _relations(e, pid),
        "records": pd.DataFrame(
            {
                "source": "dms",
                "customer_id": e.cards["customer_id"],
                "person_id": pid(e.cards["person"]),
                "is_duplicate": e.cards["duplicate"].to_numpy(dtype=bool),
                "shares": e.cards["way"],
            }
        ),
        "contacts": pd.DataFrame({"contact_id": e.contacts["id"], "person_id": _contact_ids(e, pid)}),
        "surveys": pd.DataFrame(
            {
                "interaction_id": calls["id"],
                "adviser_id": calls["staff_id"],
                "way": calls["way"],
                "true_score": calls["true_score"],
                "true_phone": calls["true_phone"],
            }
        ),
        "uplift": pd.DataFrame(
            {
                "campaign_id": c["campaign_id"],
                "customer_id": c["customer_id"],
                "person_id": pid(c["person"]),
                "arm": c["arm"],
                "effect": c["effect"],
                "comes_untreated": c["y0"].to_numpy(dtype=bool),
                "comes_treated": c["y1"].to_numpy(dtype=bool),
                "risk": c["risk"],
            }
        ),
        "leads": pd.DataFrame(
            {
                "lead_id": e.leads["id"],
                "person_id": np.where(e.leads["known"], pid(e.leads["person"]), None),
                "won": (e.leads["status"] == "won").to_numpy(),
            }
        ),
        "staff": w["staff"][["staff_id", "kind", "quality", "way", "excellent", "repeats"]],
    }


def _cars(e: Export, person_id: np.ndarray) -> pd.DataFrame:
    """One row per owner and car: when it was owned, when and why the dealer lost it."""
    spells, as_of = e.spells, e.as_of
    churned, end = spells["churned"].to_numpy(), spells["end"].to_numpy()
    left = churned < np.minimum(end, as_of + 1)
    over = end <= as_of
    little = spells["regime"].to_numpy() <= as_of
    cause = np.where(
        left,
        "went_elsewhere",
        np.where(
            over,
            np.where(spells["ending"] == "trade_in", "traded_in", "sold"),
            np.where(little, "drives_little", "active"),
        ),
    )
    return pd.DataFrame(
        {
            "vin": spells["vin"],
            "person_id": person_id,
            "owned_from": dates(spells["start"]),
            "owned_to": dates(end),
            "disposal_recorded": e.disposed(spells),
            "cause": cause,
            "churned_on": dates(np.where(left, churned, np.where(over, end, NEVER))),
            "ending": np.where(over, spells["ending"], "open"),
            "replaced_here": over & spells["ending"].isin(["trade_in", "rebought"]).to_numpy(),
            "km_per_year": (spells["km_day"] * 365.25).round(0),
            "drives_little_from": dates(np.where(little, spells["regime"], NEVER)),
            "second_hand": (spells["generation"] == 9).to_numpy(),
        }
    )


def _left(e: Export, cars: pd.DataFrame) -> pd.DataFrame:
    """Cars that left their owner by the day of the export: when, and what shows it, strongest first; each sign apart."""
    spells = e.spells
    over = (spells["end"] <= e.as_of).to_numpy()
    visited = e.w["orders"].loc[e.w["orders"]["day"] <= e.as_of, "spell"]
    seen = spells.loc[(spells["generation"] == 9) & spells.index.isin(visited), "car"]
    bought = spells.loc[spells["sold_here"].astype(bool) & spells["trade"].eq(True), "replaces"]
    signs = pd.DataFrame(
        {
            "traded_in": spells["car"].isin(bought),
            "resold": spells["car"].isin(seen) & (spells["generation"] != 9),
            "plate_moved": (spells["plate_gone"] <= e.as_of) & spells["car"].isin(spells["replaces"]),
            "recorded": e.disposed(spells),
        }
    )
    how = np.select([signs[name] for name in LEFT[:-1]], LEFT[:-1], LEFT[-1])
    left = pd.DataFrame(
        {
            "person_id": cars["person_id"].to_numpy(),
            "vin": spells["vin"].to_numpy(),
            "left_on": dates(spells["end"]),
            "how": how,
            **{name: signs[name].to_numpy(dtype=bool) for name in LEFT[:-1]},
        }
    )
    return left[over].reset_index(drop=True)


def _contact_ids(e: Export, pid) -> np.ndarray:
    own = e.contacts["who"].to_numpy()
    return np.where(own >= 0, pid(own.clip(min=0)), "K" + e.contacts["id"].str[2:])


def _relations(e: Export, pid) -> pd.DataFrame:
    """Who is what to whom: owners and contacts of cars, families, namesakes, and the cars of companies with several."""
    persons, c = e.w["persons"], e.contacts
    known = set(e.cards["person"])
    owned = e.spells[e.spells["end"] > e.as_of]
    pairs = e.w["kin"]
    pairs = pairs[pairs["a"].isin(known) & pairs["b"].isin(known)]
    fleets = owned[owned.groupby("person")["vin"].transform("size").gt(1)]
    fleets = fleets[persons["company"].reindex(fleets["person"]).to_numpy(dtype=bool)]
    return pd.concat(
        [
            _rows(pid(owned["person"]), None, owned["vin"], "owner"),
            _rows(_contact_ids(e, pid), pid(c["person"]), c["vin"], c["role"])[(c["role"] != "owner").to_numpy()],
            _rows(pid(pairs["a"]), pid(pairs["b"]), None, pairs["kind"]),
            _rows(pid(fleets["person"]), None, fleets["vin"], "fleet"),
        ],
        ignore_index=True,
    )


def _rows(person, other, vin, kind) -> pd.DataFrame:
    made = {"person_id": person, "other_person_id": other, "vin": vin, "kind": kind}
    made = {name: v.to_numpy() if isinstance(v, pd.Series) else v for name, v in made.items()}
    return pd.DataFrame(made).astype(object)
