"""A person keeps the id of the last report.

The map of a report says which person each record (source, customer_id) belonged to. At the next report:

1. A record is followed by its number. Where the number is gone (or now stands on a card that shares neither ID number nor
   name and phone with the old one, while the old ones stand on another card), it was renumbered, and is followed by what
   it says: the same ID number; the same name and phone; the same phone, where one of the two has no name (a lead that
   became a customer). That counts only where it leads from one person to one person.
2. A person keeps the id of the largest part of its former records; of equal parts the smallest id. Every id is used
   once: of two persons with parts of one former person the larger part has it.
3. Anybody else gets the keyed hash of the first record, by trust, source and number. So a lost map gives the ids of a
   first report, and a person joined by mistake and taken apart again gets back the id of before.

A record that is no longer delivered stays in the map, so that a file left out once changes nobody's id. The map holds
numbers and keyed hashes, no names, phones or ID numbers.
"""

from __future__ import annotations

import hashlib
from datetime import date

import numpy as np
import pandas as pd

from dealerkit.errors import UserError
from dealerkit.memory import Memory

KEY = ["source", "customer_id"]
#: What a record says, hashed, by how much it proves; each with the name of the proof.
PRINTS = {"id_print": "id_number", "who_print": "name_and_phone", "phone_print": "phone"}
_OLD = ["source_old", "customer_id_old"]
#: Columns of the map.
MAP = (*KEY, "person_id", "seen_on", *PRINTS, "key_print")


def _secret(id_key: str, size: int = 32) -> bytes:
    return hashlib.blake2b(id_key.encode(), digest_size=size).digest()


def _key_print(id_key: str) -> str:
    """What tells one key from another and not what it is."""
    return hashlib.blake2b(b"person ids", key=_secret(id_key), digest_size=8).hexdigest()


def with_prints(nodes: pd.DataFrame, id_key: str) -> pd.DataFrame:
    """The records with the keyed hashes of what they say: ``id_print``, ``who_print`` (name and phone), ``phone_print``."""
    if set(PRINTS) <= set(nodes.columns):
        return nodes
    texts = nodes.reindex(columns=["id_number", "phone", "name"]).astype(object)
    folded = texts["name"].str.lower().str.replace(r"[\s·.]+", "", regex=True)
    made = {
        "id_print": texts["id_number"],
        "who_print": folded + "\x1f" + texts["phone"],
        "phone_print": texts["phone"],
    }
    return nodes.assign(**{name: _hashed(values, id_key) for name, values in made.items()})


def _hashed(texts: pd.Series, id_key: str) -> pd.Series:
    """SipHash of each text, as an integer; nothing of nothing."""
    known = texts.notna().to_numpy()
    out = np.zeros(len(texts), dtype=np.uint64)
    out[known] = pd.util.hash_array(texts.to_numpy(object)[known], hash_key=_secret(id_key, 8).hex())
    return pd.Series(pd.array(out, dtype="UInt64"), index=texts.index).mask(~known)


def _key(rows: pd.DataFrame, names: list[str] = KEY) -> pd.Series:
    """Source and number as one text."""
    return rows[names[0]] + "\x1f" + rows[names[1]]


def follow(nodes: pd.DataFrame, memory: Memory | None, id_key: str) -> pd.DataFrame:
    """Of each record ``former``, its person at the last report (None: not met then), and ``how`` it was known again:
    ``number``, or the proof by which a renumbered record was; then ``source_old`` and ``customer_id_old`` are what it was.

    Args:
        nodes: records with source, customer_id, what they say, and ``group``, the person they are now part of.
        memory: the last report's, None for a first report.
        id_key: key of the hashes.

    Raises `UserError` when the map was made with another key.
    """
    out = pd.DataFrame(None, index=nodes.index, columns=["former", "how", *_OLD], dtype=object)
    if memory is None or memory.ids.empty:
        return out
    old = _checked(memory, id_key)
    now = with_prints(nodes, id_key)[[*KEY, "group", *PRINTS]]
    both = now.merge(old, on=KEY, how="left", suffixes=("", "_old"), validate="one_to_one").set_axis(now.index)
    out["former"] = both["person_id"].astype(object).where(both["person_id"].notna(), None)
    out.loc[both["person_id"].notna(), "how"] = "number"
    changed = _says_another(both)
    free_old = old[~_key(old).isin(_key(both[both["person_id"].notna() & ~changed]))]
    free_new = now[both["person_id"].isna() | changed]
    found = _renumbered(free_old, free_new, memory.as_of)
    # A number given to another card: it says nothing when its old card was met elsewhere.
    given_on = changed & _key(both).isin(_key(found, _OLD))
    out.loc[given_on, ["former", "how"]] = None
    out.loc[found.index] = found[out.columns]
    return out


def _checked(memory: Memory, id_key: str) -> pd.DataFrame:
    """The map with all its columns."""
    old = memory.ids.reindex(columns=list(MAP))
    if (old["key_print"].notna() & (old["key_print"] != _key_print(id_key))).any():
        raise UserError(
            f"the person ids of the report as of {memory.as_of} were made with another id_key than the params have now",
            "put the former id_key back, so that everybody keeps the id; or move data/state/<dealer>/identity away, and "
            "everybody gets a new one",
        )
    for name in PRINTS:
        old[name] = pd.array(old[name], dtype="UInt64")
    return old


def _says_another(both: pd.DataFrame) -> pd.Series:
    """Records whose number stood on a card that said something else in every point that proves anything."""

    def compared(name: str) -> tuple[pd.Series, pd.Series]:
        known = both[name].notna() & both[f"{name}_old"].notna()
        same = (both[name] == both[f"{name}_old"]).fillna(False).astype(bool)
        return known & same, known & ~same

    (same_id, other_id), (same_who, other_who), (same_phone, other_phone) = (compared(name) for name in PRINTS)
    return (other_id | (other_who & other_phone)) & ~(same_id | same_who | same_phone)


def _renumbered(old: pd.DataFrame, new: pd.DataFrame, last: date | None) -> pd.DataFrame:
    """New records met again by what they say: former, how, source_old, customer_id_old; by the index of ``new``."""
    old, new, parts = old.add_suffix("_old"), new.assign(at=new.index), []
    late = old["seen_on_old"].isna() | (old["seen_on_old"] == (last.isoformat() if last else None))
    for name, how in PRINTS.items():
        print_old = f"{name}_old"
        a, b = old[old[print_old].notna()], new[new[name].notna()]
        if name == "phone_print":  # phones go to other people after a while
            a = a[late.loc[a.index]]
        a = a[a.groupby(print_old)["person_id_old"].transform("nunique") == 1].drop_duplicates(print_old)
        b = b[b.groupby(name)["group"].transform("nunique") == 1]
        pairs = b.merge(a, left_on=name, right_on=print_old, validate="many_to_one")
        if name == "phone_print":
            pairs = pairs[pairs["who_print"].isna() | pairs["who_print_old"].isna()]
        parts.append(pairs.assign(how=how))
        new = new[~new["at"].isin(pairs["at"])]
        old = old[~_key(old, _OLD).isin(_key(pairs, _OLD))]
    return pd.concat(parts).set_index("at").rename(columns={"person_id_old": "former"})


def assign(nodes: pd.DataFrame, memory: Memory | None, id_key: str, former: pd.DataFrame | None = None) -> pd.Series:
    """The person_id of each record (see the module).

    Args:
        nodes: records with source, customer_id, ``group``, and what they say, in order of trust, source and number.
        memory: the last report's, None for a first report.
        id_key: key of the hashes.
        former: what `follow` gives for them, when that is known already.
    """
    former = follow(nodes, memory, id_key) if former is None else former
    first = nodes.drop_duplicates("group").set_index("group")[KEY]
    votes = pd.DataFrame({"group": nodes["group"], "person_id": former["former"]}).dropna()
    kept = _kept(votes, pd.Series(np.arange(len(first)), index=first.index))
    given = _new_ids(first[~first.index.isin(kept.index)], kept, memory, id_key)
    return nodes["group"].map(kept.to_dict() | given.to_dict()).astype(object)


def _kept(votes: pd.DataFrame, rank: pd.Series) -> pd.Series:
    """Group → former person whose id it keeps. The larger the part, the earlier it is served; of equal parts the smaller
    id, then the group whose first record comes first."""
    codes, people = pd.factorize(votes["person_id"])
    pairs = votes.assign(person_id=codes).groupby(["group", "person_id"], as_index=False).size()
    pairs["person_id"] = people.to_numpy(object)[pairs["person_id"]]
    alone = ~(pairs["group"].duplicated(keep=False) | pairs["person_id"].duplicated(keep=False))
    found = dict(zip(pairs.loc[alone, "group"], pairs.loc[alone, "person_id"], strict=True))
    rest = pairs[~alone].assign(rank=lambda p: p["group"].map(rank))
    rest = rest.sort_values(["size", "person_id", "rank"], ascending=[False, True, True])
    used: set[str] = set()  # ids of the rest: those that stand alone are not among them
    for group, person in zip(rest["group"], rest["person_id"], strict=True):
        if group not in found and person not in used:
            found[group] = person
            used.add(person)
    return pd.Series(found, dtype=object)


def _new_ids(first: pd.DataFrame, kept: pd.Series, memory: Memory | None, id_key: str) -> pd.Series:
    """Ids of the groups (by their first record, in order) that keep none; an id that is taken gives way to the next."""
    secret, ids = _secret(id_key), []
    taken = set(kept) if memory is None else set(kept) | set(memory.ids["person_id"])
    for source, customer in zip(first["source"], first["customer_id"], strict=True):
        text, turn = f"{source}\x1f{customer}", 0
        while (made := _hash_of(text, turn, secret)) in taken:
            turn += 1
        taken.add(made)
        ids.append(made)
    return pd.Series(ids, index=first.index, dtype=object)


def _hash_of(text: str, turn: int, secret: bytes) -> str:
    said = f"{text}\x1f{turn}" if turn else text
    return "P" + hashlib.blake2b(said.encode(), key=secret, digest_size=7).hexdigest()


def mapped(nodes: pd.DataFrame, former: pd.DataFrame, memory: Memory | None, as_of: date, id_key: str) -> pd.DataFrame:
    """The map to remember: the records with their person, and those of the last map that were not delivered.

    Args:
        nodes: records with person_id.
        former: what `follow` gives for them.
    """
    now = with_prints(nodes, id_key).assign(seen_on=as_of.isoformat(), key_print=_key_print(id_key))
    now = now.reindex(columns=list(MAP)).reset_index(drop=True)
    if memory is not None and len(memory.ids):
        left_out = _checked(memory, id_key)
        renumbered = former[_OLD].dropna().set_axis(KEY, axis=1)
        there = pd.concat([_key(now), _key(renumbered)])
        left_out = left_out[~_key(left_out).isin(there)]
        last = memory.as_of.isoformat() if memory.as_of else None
        left_out = left_out.assign(
            person_id=left_out["person_id"].replace(_gone_into(nodes, former)),
            seen_on=left_out["seen_on"].fillna(last),
            key_print=_key_print(id_key),
        )
        now = pd.concat([now, left_out], ignore_index=True)
    texts = [name for name in MAP if name not in PRINTS]
    return now.astype(dict.fromkeys(texts, object)).sort_values(KEY, ignore_index=True)


def _gone_into(nodes: pd.DataFrame, former: pd.DataFrame) -> dict[str, str]:
    """Former person who is no more → the person with most of its records."""
    flows = pd.DataFrame({"former": former["former"], "now": nodes["person_id"]}).dropna()
    flows = flows[~flows["former"].isin(set(nodes["person_id"]))]
    sizes = flows.groupby(["former", "now"], as_index=False).size()
    sizes = sizes.sort_values(["size", "now"], ascending=[False, True]).drop_duplicates("former")
    return dict(zip(sizes["former"], sizes["now"], strict=True))
