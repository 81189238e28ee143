"""Many small dealers at once, in memory: what tests of faking advisers need, from the same world as the full dealers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dealerkit import tables
from dealerkit.demo import ids, people, types, world
from dealerkit.demo.deliver import export_of
from dealerkit.demo.dirt import as_text

#: Tables that a small dealer has.
TABLES = ("staff", "customers", "service_orders", "interactions")


@dataclass(frozen=True)
class Small:
    """A small dealer.

    Attributes:
        frames: table (one of `TABLES`) → its rows as text under canonical names, without planted faults other than those
            of the advisers.
        advisers: the truth about its advisers: staff_id, way (how they fake surveys; empty for the honest), excellent,
            repeats.
        surveys: the truth about its surveys: interaction_id, adviser_id, way, true_score, true_phone.
    """

    frames: dict[str, pd.DataFrame]
    advisers: pd.DataFrame
    surveys: pd.DataFrame


def surveys(
    dealers: int, customers: int = 400, seed: int = 1, fakers: float = 0.125, advisers: int = 8
) -> Iterator[Small]:
    """Small dealers with their surveys, calls, visits and customer cards.

    Two hundred dealers of 400 customers take about 20 s of one core, a tenth of a second each; a dealer of 400 with
    eight advisers has about 40 surveys of each. Call-centre agents work for all of the dealers made together.

    Args:
        dealers: how many.
        customers: persons and companies of each.
        seed: any whole number from 0; the same seed gives the same dealers.
        fakers: share of advisers who fake, one at least in each dealer unless 0.
        advisers: advisers of each.
    """
    at_once = max(1, world.BLOCK // customers)
    for block, start in enumerate(range(0, dealers, at_once)):
        houses = min(at_once, dealers - start)
        shift = world.seed_shift(seed)
        staff = pd.concat([_staff(seed, block, house, advisers, fakers, shift) for house in range(houses)])
        staff = staff.reset_index(drop=True)
        staff["phone"] = ids.mobiles(4 * (10_000_000 - 1 - np.arange(len(staff))), shift)
        yield from _split(seed, block, houses, customers, staff)


def _staff(seed: int, block: int, house: int, advisers: int, fakers: float, shift: int) -> pd.DataFrame:
    """Staff of one of the dealers; its people's numbers end in that of the dealer."""
    rng = np.random.default_rng([seed, 2, block, house])
    staff = people.make_staff(rng, advisers * people.PER_ADVISER, shift, "en", fakers, house % len(people.WAYS))
    return staff.assign(staff_id=staff["staff_id"] + f"-{block}-{house}", house=house)


def _split(seed: int, block: int, houses: int, customers: int, staff: pd.DataFrame) -> Iterator[Small]:
    w = world.make_block(seed, block, houses * customers, staff, "en", types.USUAL, False, houses)
    export = export_of(w, seed, block, people.AS_OF, "en")
    texts = {name: as_text(export.frames[name], tables.TABLES[name], "en") for name in TABLES if name != "staff"}
    texts["staff"] = as_text(staff.reindex(columns=tables.TABLES["staff"].names), tables.TABLES["staff"], "en")
    cards = export.cards.set_index("customer_id")["person"]
    house = w["persons"]["house"]
    parts = {
        name: texts[name].groupby(texts[name]["customer_id"].map(cards).map(house).to_numpy())
        for name in ("customers", "service_orders", "interactions")
    }
    own = staff["kind"].eq("agent").to_numpy()
    calls = export.calls[export.calls["kind"] == "survey"].rename(
        columns={"id": "interaction_id", "staff_id": "adviser_id"}
    )
    calls = calls[["interaction_id", "adviser_id", "way", "true_score", "true_phone", "person"]]
    for number in range(houses):
        frames = {name: part.get_group(number).reset_index(drop=True) for name, part in parts.items()}
        here = (staff["house"] == number).to_numpy()
        truth = staff.loc[here & staff["kind"].eq("adviser"), ["staff_id", "way", "excellent", "repeats"]]
        frames["staff"] = texts["staff"][here | own].reset_index(drop=True)
        survey = calls[calls["person"].map(house).to_numpy() == number].drop(columns="person")
        yield Small(frames, truth.reset_index(drop=True), survey.reset_index(drop=True))
