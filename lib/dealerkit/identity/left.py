"""Who no longer owns a car: evidence with its day and a probability.

Whoever is on the register with a car, bought it here, or brought it is taken for an owner of it until something says
otherwise:

- ``traded_in``: the car was given in payment for another one after the person had it;
- ``sold_again``: the car was sold here to somebody else afterwards;
- ``disposed``: the register says that it was disposed of (no day: known at delivery);
- ``registered_to_other``: the register names somebody else, who came after the last visit or sale of the person (no day);
- ``other_owner``: somebody else came with it on a settled order after the last visit of the person; ``other_owner_again``
  from the second such order on;
- ``plate_moved``: its plate was seen later on another car of the same person;
- ``silence``: nobody came with it for much longer than usual. A weak sign: most who stay away still have the car.

Somebody else is nobody whose phone is also that of the person, of the person's contacts (driver, payer, household) or of the
car's, and nobody whom `relations` ties to the person: family and staff. Who came only between two visits of another person drove that person's car and never owned it. Who
comes with the car again later had it all along.

The probabilities are stated in the params (``identity.owner_left``); only evidence at least as probable as their
``strong`` ends an ownership in ``cars``, and silence never does: cars kept and lost to the workshop would vanish from churn.
The day is the one on which the evidence could be known, so that an earlier day sees nothing that came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from dealerkit.engine import frame_of, keep
from dealerkit.messages import N_
from dealerkit.params import Params

#: Evidence → what the page calls it, in the order in which equally probable evidence is told.
EVIDENCE = {
    "traded_in": N_("Traded in"),
    "sold_again": N_("Sold here to somebody else"),
    "disposed": N_("Disposed of, by the register"),
    "registered_to_other": N_("Registered to somebody else"),
    "plate_moved": N_("Its plate is on another car of the owner"),
    "other_owner_again": N_("Somebody else brought it twice or more"),
    "other_owner": N_("Somebody else brought it once"),
    "silence": N_("Long silence only"),
}
#: A car on more persons is a number typed for many cars, and nobody's.
_MOST_PERSONS = 12
#: A sale to somebody else so soon after the person is first known with the car is the same purchase.
_SALE_APART_DAYS = 60
#: Days after a sale within which somebody else's first visit does not speak against a buyer who never came.
_NEVER_CAME_DAYS = 365
_DAYS_PER_MONTH = 365.25 / 12
#: What is asked of two persons on one car (see `_met`).
_OF_OWN = ("person_id", "registered", "bought_on", "sale_on", "visits", "first_day", "last_day", "began", "own")
_OF_OTHER = (
    "person_id",
    "registered",
    "sale_on",
    "visits",
    "visits_from",
    "first_day",
    "last_day",
    "known_1",
    "known_2",
)


@dataclass(frozen=True)
class Left:
    """Cars and who left them, both held by the engine.

    Attributes:
        cars: person × car: the columns of vehicles, person_id, held_from, left_reason, left_on, in_hand.
        owner_left: person_id, vin, evidence, seen_on, probability.
    """

    cars: ir.Table
    owner_left: ir.Table


def held_and_left(
    connection,
    clean: dict[str, ir.Table],
    records: pd.DataFrame,
    as_of: date,
    params: Params,
    relations: pd.DataFrame | None = None,
) -> Left:
    """Who has or had which car by ``as_of``.

    Args:
        connection: engine connection; the results are kept on it.
        clean: clean tables; vehicles and service_orders are needed, sales_orders, customers and contacts are used.
        records: source, customer_id, person_id.
        relations: person_id, other_person_id, kind, source: further people who are not somebody else.
    """
    ids = records[["customer_id", "person_id"]].drop_duplicates("customer_id")
    who = ibis.memtable(ids, schema={"customer_id": "string", "person_id": "string"})
    met = keep(connection, "left_met", _met(clean, who, as_of))
    pairs = keep(connection, "left_pairs", _pairs(clean, met, who, relations))
    owners = keep(connection, "left_owners", _owners(met, pairs))
    found = [
        _traded_in(clean, owners, who, as_of, params),
        _succeeded(owners, pairs, params),
        _disposed(owners, params),
    ]
    found += [_plate_moved(clean, owners, params, as_of)]
    found = [f for f in found if f is not None]
    strong = keep(connection, "left_events", ibis.union(*found))
    both = strong.union(_silent(owners, strong, params, as_of))
    each = both.group_by(["person_id", "vin", "evidence"]).agg(seen_on=_.seen_on.min(), probability=_.probability.max())
    owner_left = keep(connection, "owner_left", each)
    return Left(keep(connection, "cars", _cars(clean, owners, pairs, owner_left, params)), owner_left)


# ---- who had to do with which car ---------------------------------------------------------------------------------


def _met(clean: dict[str, ir.Table], who: ir.Table, as_of: date) -> ir.Table:
    """vin × person: on the register or not, bought when, came when; all by ``as_of``.

    ``first_day`` and ``last_day`` are of visits and of the sale here, ``visits_from`` of visits only; ``known_1`` and
    ``known_2`` are the days on which the first and the second visit were settled.
    """
    day = ibis.literal(as_of)
    vehicles = clean["vehicles"].select("vin", "customer_id", "purchased_on", "disposed_on")
    vehicles = vehicles.filter(_.customer_id.notnull() & (_.purchased_on.isnull() | (_.purchased_on <= day)))
    gone_on = (vehicles.disposed_on <= day).ifelse(vehicles.disposed_on, ibis.null("date"))
    parts = [_seen(vehicles, "register", bought_on=vehicles.purchased_on, gone_on=gone_on)]
    if "sales_orders" in clean:
        sales = clean["sales_orders"].select("vin", "customer_id", "delivered_on")
        sales = sales.filter(_.vin.notnull() & (_.delivered_on <= day))
        parts.append(_seen(sales, "sale", day=sales.delivered_on))
    orders = clean["service_orders"]
    opened, known = orders.opened_at.date(), orders.settled_at.coalesce(orders.opened_at).date()
    orders = orders.select("vin", "customer_id", opened=opened, known=known)
    orders = orders.filter(_.vin.notnull() & _.customer_id.notnull() & (_.known <= day) & (_.opened <= day))
    parts.append(_seen(orders, "visit", day=orders.opened, known=orders.known))
    e = ibis.union(*parts).inner_join(who, "customer_id")
    visit = e.what == "visit"
    found = e.group_by(["vin", "person_id"]).agg(
        registered=(e.what == "register").any(),
        bought_on=e.bought_on.min(),
        gone_on=e.gone_on.max(),
        sale_on=e.day.max(where=e.what == "sale"),
        visits=e.count(where=visit),
        visits_from=e.day.min(where=visit),
        first_day=e.day.min(),
        last_day=e.day.max(),
        known=e.known.collect(where=visit, order_by=e.known),
    )
    return found.select(
        *(c for c in found.columns if c != "known"),
        known_1=found.known[0],
        known_2=found.known[1],
        began=ibis.least(found.first_day, found.bought_on),
        own=found.registered | found.sale_on.notnull(),
    )


def _seen(rows: ir.Table, what: str, **days: ir.Value) -> ir.Table:
    """Rows of one table as events of a car and customer, with the days that it tells."""
    days = {name: days.get(name, ibis.null("date")) for name in ("bought_on", "gone_on", "day", "known")}
    return rows.select("vin", "customer_id", what=ibis.literal(what), **days)


def _pairs(clean: dict[str, ir.Table], met: ir.Table, who: ir.Table, relations: pd.DataFrame | None) -> ir.Table:
    """Two persons on one car who have nothing to do with one another, with `_OF_OWN` of the first and `_OF_OTHER` of the
    second, whose columns begin with y_."""
    crowd = met.group_by("vin").agg(persons=_.count()).filter(_.persons.between(2, _MOST_PERSONS))
    few = met.semi_join(crowd, "vin")
    other = few.select(y_vin="vin", **{f"y_{c}": c for c in _OF_OTHER})
    both = few.inner_join(other, (few.vin == other.y_vin) & (few.person_id != other.y_person_id))
    both = both.select("vin", *_OF_OWN, *(f"y_{c}" for c in _OF_OTHER))
    pairs = both.select("vin", "person_id", "y_person_id")
    near = _near(clean, who, pairs)
    kin = _kin(relations)
    near = near if kin is None else near.union(pairs.semi_join(kin, ["person_id", "y_person_id"]))
    return both.anti_join(near, ["vin", "person_id", "y_person_id"])


def _near(clean: dict[str, ir.Table], who: ir.Table, pairs: ir.Table) -> ir.Table:
    """Pairs on one car of whom one has the phone of the other or of the other's contact, or of a contact of the car."""
    customers, contacts = clean["customers"], clean.get("contacts")
    own = ibis.union(*(customers.select("customer_id", phone=customers[c]) for c in ("phone", "phone_alt")))
    own = own.filter(_.phone.notnull()).inner_join(who, "customer_id").select("person_id", "phone").distinct()
    mine = pairs.inner_join(own, "person_id").select("vin", "person_id", "y_person_id", "phone")
    if contacts is not None:
        named = (
            contacts.filter(_.phone.notnull()).inner_join(who, "customer_id").select("person_id", "phone").distinct()
        )
        of_car = contacts.filter(_.phone.notnull() & _.customer_id.isnull()).select("vin", "phone").distinct()
        mine = mine.union(pairs.inner_join(named, "person_id").select("vin", "person_id", "y_person_id", "phone"))
        mine = mine.union(pairs.inner_join(of_car, "vin").select("vin", "person_id", "y_person_id", "phone"))
    theirs = own.rename(y_person_id="person_id")
    found = mine.inner_join(theirs, ["y_person_id", "phone"]).select("vin", "person_id", "y_person_id")
    return found.union(found.select("vin", person_id="y_person_id", y_person_id="person_id")).distinct()


def _kin(relations: pd.DataFrame | None) -> ir.Table | None:
    """Pairs of persons of one household, family or company, and of contacts with their customers, in both directions. Not
    of who drives a car by its orders: so does its next owner."""
    if relations is None:
        return None
    ends = ["person_id", "other_person_id"]
    told = relations["kind"].isin(["household", "family", "employee"]) | relations["source"].eq("contacts")
    known = relations.loc[told, ends].dropna().drop_duplicates().set_axis(["person_id", "y_person_id"], axis=1)
    both = pd.concat([known, known.rename(columns={"person_id": "y_person_id", "y_person_id": "person_id"})])
    return ibis.memtable(both.drop_duplicates(), schema={"person_id": "string", "y_person_id": "string"})


def _owners(met: ir.Table, pairs: ir.Table) -> ir.Table:
    """Those who may have owned the car: not who came only between two visits of another, nor who only came and is near to
    another. ``preceded``: somebody else was there before."""
    p = pairs
    inside = ~p.own & (p.y_first_day < p.first_day) & (p.y_last_day > p.last_day)
    told = p.group_by(["vin", "person_id"]).agg(
        inside=inside.fill_null(False).any(), preceded=(p.y_last_day < p.first_day).fill_null(False).any()
    )
    told = met.left_join(told, ["vin", "person_id"]).select(*(met[c] for c in met.columns), "inside", "preceded")
    told = told.filter(~(told.inside.fill_null(False)))
    return told.select(*met.columns, preceded=told.preceded.fill_null(False))


# ---- evidence -----------------------------------------------------------------------------------------------------


def _evidence(rows: ir.Table, name: str, seen_on, probability: float) -> ir.Table:
    return rows.select(
        "person_id",
        "vin",
        evidence=ibis.literal(name),
        seen_on=seen_on,
        probability=ibis.literal(float(probability)).cast("float64"),
    )


def _traded_in(
    clean: dict[str, ir.Table], owners: ir.Table, who: ir.Table, as_of: date, params: Params
) -> ir.Table | None:
    if "sales_orders" not in clean:
        return None
    sales = clean["sales_orders"].select("customer_id", vin="trade_in_vin", traded_on="delivered_on")
    sales = sales.filter(_.vin.notnull() & (_.traded_on <= ibis.literal(as_of)))
    sales = sales.left_join(who, "customer_id").select("vin", "traded_on", trader="person_id")
    known = owners.select("vin", "person_id", "began", "own", "registered", "bought_on", "sale_on", "first_day")
    given = known.inner_join(sales, "vin")
    himself = (given.trader == given.person_id).fill_null(False)
    before = given.began.isnull() | (given.began <= given.traded_on)
    # the dealer may have sold it on: to who bought it later, or is first seen with it after somebody else traded it in
    later = (given.sale_on > given.traded_on).fill_null(False)
    later |= (given.registered & (given.bought_on > given.traded_on)).fill_null(False)
    later |= ((given.first_day > given.traded_on) & ~himself).fill_null(False)
    given = given.filter(before & ~later & (given.own | himself))
    return _evidence(given, "traded_in", given.traded_on, params.identity.owner_left.traded_in)


def _disposed(owners: ir.Table, params: Params) -> ir.Table:
    gone = owners.filter(_.registered & _.gone_on.notnull())
    return _evidence(gone, "disposed", ibis.null("date"), params.identity.owner_left.disposed)


def _succeeded(owners: ir.Table, pairs: ir.Table, params: Params) -> ir.Table:
    """What somebody else's sale, entry in the register or visits say."""
    given, p = params.identity.owner_left, pairs.semi_join(owners, ["vin", "person_id"])
    apart = ibis.literal(_SALE_APART_DAYS)
    sold = (p.y_sale_on.delta(p.began, unit="day") >= apart) & (p.sale_on.isnull() | (p.sale_on < p.y_sale_on))
    sold &= ~(p.registered & (p.bought_on > p.y_sale_on)).fill_null(False)
    sold &= p.own | (p.last_day < p.y_sale_on)
    after = p.y_visits_from > p.last_day
    # a buyer who never came may have bought for the one who comes
    came = (p.visits > 0) | (p.y_visits_from.delta(p.last_day, unit="day") >= ibis.literal(_NEVER_CAME_DAYS))
    other = after & came
    registered, again = other & p.y_registered & ~p.registered, other & p.y_known_2.notnull()
    said = [
        ("sold_again", sold, p.y_sale_on, given.sold_again),
        ("registered_to_other", registered, ibis.null("date"), given.registered_to_other),
        ("other_owner", other, p.y_known_1, given.other_owner),
        ("other_owner_again", again, p.y_known_2, given.other_owner_again),
    ]
    told = ibis.array([_told(*one) for one in said])
    each = p.select("person_id", "vin", told=told.unnest()).filter(_.told.notnull())
    return each.select("person_id", "vin", **{name: each.told[name] for name in ("evidence", "seen_on", "probability")})


def _told(name: str, holds: ir.Value, seen_on: ir.Value, probability: float) -> ir.Value:
    """A piece of evidence where it holds, else nothing."""
    found = {"evidence": ibis.literal(name), "seen_on": seen_on, "probability": ibis.literal(float(probability))}
    made = ibis.struct(found)
    return holds.ifelse(made, ibis.null(made.type()))


def _plate_moved(clean: dict[str, ir.Table], owners: ir.Table, params: Params, as_of: date) -> ir.Table | None:
    """A plate seen on one car and later on another one of the same owner."""
    parts = []
    orders = clean["service_orders"]
    if "plate" in orders.columns:
        seen = orders.select("vin", "plate", first=orders.opened_at.date(), last=orders.opened_at.date())
        parts.append(seen.filter(_.vin.notnull() & (_["first"] <= ibis.literal(as_of))))
    register = clean["vehicles"].select("vin", "plate", first=ibis.null("date"), last=ibis.null("date"))
    parts.append(register)
    told = ibis.union(*parts) if len(parts) > 1 else register
    plates = told.filter(_.plate.notnull()).group_by(["vin", "plate"]).agg(first=_.first.min(), last=_.last.max())
    shared = plates.mutate(cars=_.count().over(group_by="plate")).filter(_.cars.between(2, _MOST_PERSONS)).drop("cars")
    mine = owners.filter(_.own).select("person_id", "vin", "began").inner_join(shared, "vin")
    other = mine.rename({f"y_{c}": c for c in mine.columns})
    both = mine.inner_join(other, (mine.person_id == other.y_person_id) & (mine.plate == other.y_plate))
    both = both.filter(both.vin != both.y_vin)
    seen_later = both.y_first > both.last
    # the register tells the plate of the day of delivery only: then the car that came to the owner later has it
    bought_later = (both.y_first.isnull() | both.last.isnull()) & (both.y_began > both.last.coalesce(both.began))
    moved = both.filter(seen_later.fill_null(False) | bought_later.fill_null(False))
    return _evidence(moved, "plate_moved", moved.y_first, params.identity.owner_left.plate_moved)


def _silent(owners: ir.Table, strong: ir.Table, params: Params, as_of: date) -> ir.Table:
    """Cars on the register with no other evidence, away for much longer than their visits usually lie apart.

    With F the share of cars given up by an age (log-logistic, median ``keep_months``), L = 1 − (1 − F(now)) ÷ (1 − F(last seen))
    is the chance that the car went since it was seen; silence is certain if it went, and has the stated chance if it did
    not: L ÷ (L + (1 − L) × ``silent_though_kept_share``).
    """
    given = params.identity.owner_left
    seen = owners.group_by("vin").agg(last=_.last_day.max(), first=_.visits_from.min(), n=_.visits.sum())
    days = (seen.n > 1).ifelse(seen.last.delta(seen.first, unit="day") / (seen.n - 1), ibis.null("float64"))
    seen = seen.mutate(own_days=days)
    usual = seen.agg(usual_days=_.own_days.median())
    told = owners.filter(_.registered).select("person_id", "vin", "bought_on", "first_day")
    s = told.anti_join(strong, ["person_id", "vin"]).inner_join(seen, "vin").cross_join(usual)
    away = ibis.literal(as_of).delta(s["last"], unit="day")
    rhythm = ibis.greatest(s.own_days.coalesce(s.usual_days), 30.0)
    s = s.mutate(away=away, seen_age=ibis.greatest(s["last"].delta(s.bought_on.coalesce(s.first_day), unit="day"), 0))
    s = s.filter(away > given.silence_ratio * rhythm)

    def still_held(age):
        return 1 / (1 + (age / (given.keep_months * _DAYS_PER_MONTH)) ** given.keep_shape)

    gone = 1 - still_held(s.seen_age + s.away) / still_held(s.seen_age)
    chance = gone / (gone + (1 - gone) * given.silent_though_kept_share)
    return s.select(
        "person_id",
        "vin",
        evidence=ibis.literal("silence"),
        seen_on=ibis.literal(as_of).cast("date"),
        probability=chance.round(4).cast("float64"),
    ).filter(_.probability.notnull())


# ---- cars ---------------------------------------------------------------------------------------------------------


def _cars(
    clean: dict[str, ir.Table], owners: ir.Table, pairs: ir.Table, owner_left: ir.Table, params: Params
) -> ir.Table:
    """Cars with their owners, in hand unless strong evidence says otherwise. ``left_on`` is the first day on which any of it
    could be known, None where only what was delivered says it; ``held_from`` the day since which the owner is told or
    known to have it: the purchase; the first visit of who came after another owner; of who is not on the register, the day on
    which that could be known. None for who is on the register without a purchase date and never came."""
    rank = {name: place for place, name in enumerate(EVIDENCE)}
    firm = owner_left.filter((_.evidence != "silence") & (_.probability >= params.identity.owner_left.strong))
    turn = ibis.cases(*((firm.evidence == name, place) for name, place in rank.items()), else_=len(rank))
    first = firm.evidence.first(order_by=[firm.probability.desc(), turn])
    ended = firm.group_by(["person_id", "vin"]).agg(left_reason=first, left_on=firm.seen_on.min())
    asked = ("registered", "sale_on", "known_2", "first_day", "last_day", "bought_on", "preceded")
    o = owners.left_join(ended, ["person_id", "vin"])
    o = o.select(*(owners[c] for c in ("vin", "person_id", *asked)), "left_reason", "left_on")
    next_ = _next_owners(pairs, o, ended)
    o = o.left_join(next_, ["person_id", "vin"]).select(*(o[c] for c in o.columns), "next_owner")
    o = o.filter(o.registered | o.left_reason.notnull() | o.next_owner.fill_null(False))
    held_from = ibis.cases(
        (o.next_owner.fill_null(False), o.sale_on.coalesce(o.known_2)),
        (o.preceded, o.first_day.coalesce(o.bought_on)),
        else_=o.bought_on.coalesce(o.first_day),
    )
    o = o.select("vin", "person_id", "left_reason", "left_on", held_from=held_from)
    vehicles = clean["vehicles"]
    told = [vehicles[c] for c in vehicles.columns if c != "customer_id"]
    further = ("person_id", "left_reason", "left_on", "held_from")
    return vehicles.inner_join(o, "vin").select(*told, *(o[c] for c in further), in_hand=o.left_reason.isnull())


def _next_owners(pairs: ir.Table, owners: ir.Table, ended: ir.Table) -> ir.Table:
    """person_id, vin, next_owner: who has the cars whose owner on the register has left, where that can be told: who bought it
    here or brought it twice, has not left it either, and came last."""
    register = owners.filter(_.registered)
    stale = register.group_by("vin").agg(held=_.left_reason.isnull().any()).filter(~_.held)
    p = pairs
    later = (p.y_sale_on.notnull() | (p.y_visits > 1)) & (p.y_first_day > p.last_day)
    p = p.filter(p.registered & ~(p.y_registered) & later).select("vin", "y_last_day", person_id="y_person_id")
    them = (
        p.semi_join(stale, "vin")
        .distinct()
        .semi_join(owners, ["vin", "person_id"])
        .anti_join(ended, ["vin", "person_id"])
    )
    order = ibis.window(group_by="vin", order_by=[ibis.desc("y_last_day"), "person_id"])
    them = them.mutate(turn=ibis.row_number().over(order)).filter(_.turn == 0)
    return them.select("person_id", "vin", next_owner=ibis.literal(True))


# ---- the page -----------------------------------------------------------------------------------------------------


def facts(cars: ir.Table, owner_left: ir.Table, params: Params) -> dict[str, tuple]:
    """Facts of the sentence: cars whose owner has left, with a day or not, and those expected among the silent ones."""
    strong = params.identity.owner_left.strong
    gone = cars.filter(_.left_reason.notnull()).agg(n=_.count(), dated=_.left_on.count())
    silent = owner_left.filter(_.evidence == "silence").agg(
        n=_.count(), expected=_.probability.cast("decimal(18,4)").sum()
    )
    [left], [quiet] = (frame_of(asked).to_dict("records") for asked in (gone, silent))
    n = int(quiet["n"])
    return {
        "owner_left_cars": (int(left["n"]), int(left["n"]), "cars"),
        "owner_left_dated_cars": (int(left["dated"]), int(left["n"]), "cars"),
        "owner_left_strong": (strong, None, None),
        "owner_silent_cars": (n, n, "owner_left"),
        "owner_silent_gone_share": (float(quiet["expected"]) / n if n else None, n, "owner_left"),
    }


def summary(owner_left: ir.Table, t) -> pd.DataFrame:
    """evidence (in words), cars, probability (mean) and latest day of it, in the order of `EVIDENCE`."""
    told = owner_left.group_by("evidence").agg(
        cars=_.count(),
        total=_.probability.cast("decimal(18,4)").sum(),
        dated=_.seen_on.count(),
    )
    found = frame_of(told).set_index("evidence")
    found = found.reindex([name for name in EVIDENCE if name in found.index]).reset_index()
    found["probability"] = (found["total"].astype(float) / found["cars"]).round(4)
    found["evidence"] = [t.text(EVIDENCE[name]) for name in found["evidence"]]
    return found[["evidence", "cars", "dated", "probability"]]
