"""The records that may be one person: customer cards of all sources, leads without a card, contacts, who brought a car.

Each is a node with what can be compared; beside the nodes stand the keys (phone, car, plate, …) by which two nodes can
meet at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from dealerkit.engine import counts, frame_of, keep
from dealerkit.formats import RESIDENT_ID, USCC, resident_id_digit_wrong, uscc_digit_wrong
from dealerkit.identity import names
from dealerkit.params import Params

#: Attributes of a record that its person keeps.
CARRIED = (
    "customer_type", "name", "gender", "birth_date", "id_number", "phone", "residential_area", "occupation", "income_band",
    "member_level", "points", "marketing_consent", "created_on", "source_channel", "region",
)  # fmt: skip
#: What else is compared.
_COMPARED = ("phone_alt", "address", "employer")
#: Sources that are no system of the dealer's, least trusted last; their records begin with the word.
DERIVED = {"leads": "lead:", "contacts": "contact:", "service_orders": "brought:"}
#: Kinds of key by which records meet, the most telling first.
KINDS = ("id_number", "phone", "car", "plate", "name_birth", "name_area")
_KEY = ("kind", "key", "node", "same")
#: So many phones, cars or plates of a record are compared, the first by their text.
_MOST_LISTED = 40
#: A name that nobody has had so far counts as borne by so many of so many people.
_NAME_PRIOR, _SURNAME_PRIOR = (0.2, 2_000), (4, 200)


@dataclass(frozen=True)
class Records:
    """What linking reads, held by the engine.

    Attributes:
        light: a row per record: ``node`` (0 is of the most trusted source), source, customer_id, `CARRIED`, and what its
            name, ID number, address and birth date say.
        nodes: what is compared of each record, with lists of its phones, cars and plates.
        keys: ``kind``, ``key``, ``node``, ``same`` (what makes two nodes with the key equal without further comparison).
        crowded: phones on which more different names were found than one phone can have.
    """

    light: ir.Table
    nodes: ir.Table
    keys: ir.Table
    crowded: int


def read(connection, clean: dict[str, ir.Table], params: Params) -> Records:
    """The records of ``clean``, which needs customers and vehicles; leads, contacts, orders as far as they are there."""
    people = keep(connection, "identity_people", _people(clean, params))
    named = _named(people)
    light = keep(connection, "identity_light", _light(people, named))
    phones = keep(connection, "identity_phones", _phones(light, params))
    held = _held(clean, light)
    keys = keep(connection, "identity_keys", _keys(light, phones, held))
    nodes = keep(connection, "identity_nodes", _nodes(light, keys))
    return Records(light, nodes, keys, counts(phones, {}, {"first": "first"})["true first"])


def _people(clean: dict[str, ir.Table], params: Params) -> ir.Table:
    """A row per record with its number and what its ID number is; ``points`` and such are known of customer cards only."""
    customers = clean["customers"]
    columns = {c: customers[c] for c in (*CARRIED, *_COMPARED) if c in customers.columns}
    columns |= {c: ibis.null("string") for c in ("region",) if c not in customers.columns}
    cards = customers.select("customer_id", source=customers["_source"], vin=ibis.null("string"), **columns)
    parts = [cards, *(_like(part, cards) for part in _further(clean))]
    both = ibis.union(*parts) if len(parts) > 1 else cards
    known = [*params.sources, *(s for s in DERIVED if s not in params.sources)]
    trust = ibis.cases(*((both.source == s, i) for i, s in enumerate(params.sources)), else_=len(known))
    trust = ibis.cases(*((both.source == s, len(known) + 1 + i) for i, s in enumerate(DERIVED)), else_=trust)
    return both.mutate(
        node=ibis.row_number().over(order_by=[trust, both.source, both.customer_id]),
        **_by_id_number(both.id_number, both.customer_type),
    )


def _by_id_number(ids: ir.StringValue, customer_type: ir.StringValue) -> dict[str, ir.BooleanValue]:
    """``told``: it is said to be a company's card; ``resident``, ``firm``: the number is a valid one of a person, a company."""
    is_resident = ids.re_search(RESIDENT_ID)
    # a resident ID of digits alone would pass for a company's code
    is_firm = ids.re_search(USCC) & ~is_resident
    return {
        "told": ((customer_type == "company") | is_firm).fill_null(False),
        "resident": (is_resident & ~resident_id_digit_wrong(ids)).fill_null(False),
        "firm": (is_firm & ~uscc_digit_wrong(ids)).fill_null(False),
    }


def _like(part: ir.Table, cards: ir.Table) -> ir.Table:
    """The part with the columns of cards, empty where it has none."""
    schema = cards.schema()
    return part.select(**{c: part[c] if c in part.columns else ibis.null(schema[c]) for c in cards.columns})


def _further(clean: dict[str, ir.Table]) -> list[ir.Table]:
    """Leads that name no customer, contacts with a name or phone, and who brought a car and left a phone."""
    found = []
    if "leads" in clean:
        leads = clean["leads"].filter(_.customer_id.isnull() & _.phone.notnull())
        found.append(
            leads.select(
                customer_id=ibis.literal(DERIVED["leads"]) + leads.lead_id,
                source=ibis.literal("leads"),
                phone=leads.phone,
                created_on=leads.created_at.date(),
            )
        )
    if "contacts" in clean:
        contacts = clean["contacts"].filter(_.name.notnull() | _.phone.notnull())
        found.append(
            contacts.select(
                "name",
                "phone",
                "vin",
                customer_id=ibis.literal(DERIVED["contacts"]) + contacts.contact_id,
                source=ibis.literal("contacts"),
            )
        )
    orders = clean.get("service_orders")
    if orders is not None and "phone" in orders.columns:
        found.append(_bringers(orders, clean["customers"]))
    return found


def _bringers(orders: ir.Table, customers: ir.Table) -> ir.Table:
    """Who brought cars and left a phone that is not that of the car's customer under the same name."""
    said = orders.filter(_.phone.notnull())
    own = customers.select(o_id="customer_id", o_name="name", o_phone="phone")
    said = said.left_join(own, said.customer_id == own.o_id)
    card = (said.phone == said.o_phone) & (said.brought_by.isnull() | said.brought_by.identical_to(said.o_name))
    said = said.filter(~card.fill_null(False))
    each = said.group_by("phone", name="brought_by").agg(
        first=_.order_id.min(), vin=_.vin.argmin(_.order_id), created_on=_.opened_at.min().date()
    )
    return each.mutate(
        customer_id=ibis.literal(DERIVED["service_orders"]) + each["first"], source=ibis.literal("service_orders")
    )


def _named(people: ir.Table) -> ir.Table:
    """What each distinct name says (see `names.Name`), with its frequency and that of its surname."""
    distinct = frame_of(
        people.filter(_.name.notnull())
        .group_by("name", company="told")
        .agg(cards=_.count())
        .order_by("name", "company")
    )
    read_ = names.read_all(distinct)
    found = pd.concat([distinct, read_], axis=1)
    total = int(distinct["cards"].sum())
    found["tf_name_key"] = _frequency(found, "name_key", total, _NAME_PRIOR)
    found["tf_name_sound"] = _frequency(found, "name_sound", total, _NAME_PRIOR)
    found["tf_name_surname"] = _frequency(found, "name_surname", total, _SURNAME_PRIOR)
    types = {"name": "string", "company": "boolean", **names.COLUMNS}
    types |= dict.fromkeys(("tf_name_key", "tf_name_sound", "tf_name_surname"), "float64")
    return ibis.memtable(found.drop(columns="cards"), schema=types)


def _frequency(found: pd.DataFrame, column: str, total: int, prior: tuple[float, int]) -> np.ndarray:
    """Share of the cards with the same value, as if ``prior`` had been seen before."""
    cards = found.groupby(column)["cards"].transform("sum")
    return ((cards.astype(float) + prior[0]) / (total + prior[1])).round(9).to_numpy()


def _light(people: ir.Table, named: ir.Table) -> ir.Table:
    """The records with what their name, ID number, address and birth date say."""
    n = named.rename(n_name="name", n_company="company")
    p = people.left_join(n, (people.name == n.n_name) & (people.told == n.n_company))
    kind = ibis.cases(
        (p.told | p.name_company.fill_null(False), "company"),
        ((p.customer_type == "person") | p.resident, "person"),
        else_=ibis.null("string"),
    )
    by_id = (p.id_number.substr(16, 1).try_cast("int32") % 2 == 1).ifelse("m", "f")
    own = p.gender.coalesce(p.name_sex)
    born = p.birth_date.strftime("%Y%m%d")
    tidy = p.address.lower().re_replace(r"[\s,.，。、#-]+", "")
    sex = ibis.cases((kind == "company", ibis.null("string")), (p.resident, by_id), else_=own)
    valid_id = (p.resident | p.firm).ifelse(p.id_number, ibis.null("string"))
    only_here = ("told", "resident", "firm", "n_name", "n_company", "name_company", "name_sex", "name_hint")
    return p.select(
        *(c for c in p.columns if c not in only_here),
        kind=kind,
        valid_id=valid_id,
        sex=sex,
        hint=sex.coalesce(p.name_hint),
        birth=p.resident.ifelse(p.id_number.substr(6, 8), born),
        place=(tidy.length() >= 8).ifelse(tidy, ibis.null("string")),
        same=p.name_key.coalesce("") + "|" + valid_id.coalesce(""),
    )


def _phones(light: ir.Table, params: Params) -> ir.Table:
    """A row per record and phone, with whether the phone is crowded: on more different full names than allowed; ``first``
    in one row of each such phone."""
    numbers = ibis.union(
        light.select("node", "same", "name_key", "name_full", key="phone"),
        light.select("node", "same", "name_key", "name_full", key="phone_alt"),
        distinct=True,
    ).filter(_.key.notnull())
    by_phone = numbers.group_by(k="key").agg(names=_.name_key.nunique(where=_.name_full), least=_.node.min())
    crowded = by_phone.filter(_.names > params.checks.max_customers_per_phone)
    joined = numbers.left_join(crowded, numbers.key == crowded.k)
    return joined.select("node", "same", "key", crowded=joined.k.notnull(), first=joined.node == joined.least)


def _held(clean: dict[str, ir.Table], light: ir.Table) -> ir.Table:
    """(kind, key, node) of cars and plates: who is on record with them."""
    parts = []
    for table, columns in (
        ("vehicles", {"car": "vin", "plate": "plate"}),
        ("sales_orders", {"car": "vin"}),
        ("service_orders", {"car": "vin", "plate": "plate"}),
    ):
        for kind, column in columns.items():
            if table in clean and column in clean[table].columns:
                rows = clean[table].select("customer_id", kind=ibis.literal(kind), key=column)
                parts.append(rows.filter(_.key.notnull() & _.customer_id.notnull()))
    held = ibis.union(*parts, distinct=True)
    light = light.select("node", "same", "source", "customer_id", "vin")
    cards = light.filter(~(_.source.isin(list(DERIVED))))
    by_card = held.inner_join(cards, "customer_id").select(*_KEY)
    own = light.filter(_.vin.notnull()).select(kind=ibis.literal("car"), key="vin", node="node", same="same")
    return ibis.union(by_card, own, distinct=True)


def _keys(light: ir.Table, phones: ir.Table, held: ir.Table) -> ir.Table:
    """The keys of all kinds. By a name's key everybody is the same, so that each node stands for itself there."""
    asked = ("node", "same", "kind", "valid_id", "name_full", "name_sound", "name_turned", "birth", "residential_area")
    light, by_phone = light.select(*asked), phones.filter(~(_.crowded))
    by_id = light.filter(_.valid_id.notnull())
    parts = [
        by_id.select(kind=ibis.literal("id_number"), key="valid_id", node="node", same=ibis.literal("")),
        by_phone.select(kind=ibis.literal("phone"), key="key", node="node", same="same"),
        held,
    ]
    full = light.filter(_.name_full & (_.kind != "company").fill_null(True))
    # the sound of a Latin name may be turned; the smaller of the two is the same for both orders
    sound = ibis.least(full.name_sound, full.name_turned.coalesce(full.name_sound)) + "|"
    for kind, beside in (("name_birth", full.birth), ("name_area", full.residential_area)):
        key = sound + beside
        known = full.select(kind=ibis.literal(kind), key=key, node="node", same=full.node.cast("string"))
        parts.append(known.filter(_.key.notnull()))
    return ibis.union(*parts)


def _nodes(light: ir.Table, keys: ir.Table) -> ir.Table:
    """The records with lists of their phones, and of those cars and plates that another record has as well."""
    shared = keys.filter(_.kind.isin(["phone", "car", "plate"]))
    twice = shared.group_by(k_kind="kind", k_key="key").agg(n=_.count()).filter(_.n > 1)
    both = shared.left_join(twice, (shared.kind == twice.k_kind) & (shared.key == twice.k_key))
    both = both.filter((both.kind == "phone") | both.n.notnull())
    lists = both.group_by(l_node="node").agg(
        **{f"{kind}s": _.key.collect(where=_.kind == kind, order_by=_.key) for kind in ("phone", "car", "plate")}
    )
    compared = [c for c in light.columns if c.startswith(("name_", "tf_"))]
    compared += [
        "node",
        "source",
        "customer_id",
        "id_number",
        "valid_id",
        "birth",
        "sex",
        "hint",
        "place",
        "residential_area",
    ]
    both = light.left_join(lists, light.node == lists.l_node)
    return both.select(*compared, **{name: lists[name][:_MOST_LISTED] for name in ("phones", "cars", "plates")})
