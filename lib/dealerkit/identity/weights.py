"""The weights of the evidence: how often each level of agreement is seen between two records of one person (m) and of two
persons (u).

They are shipped, not learned at each run: the same data give the same persons everywhere, and a small dealer need not
learn from a handful of pairs. What grows rarer with the number of records (a phone shared by chance) is given per other
record and divided by their number; what depends on the name is given by how many bear it.

They were set by hand, by judgement, and fitted to nothing; no dealer's records stood behind them. Where only agreement is
to count, ``other`` has 1 and 1; ``surname`` is weighed among pairs of which one name is no more than that. So the levels of
a comparison need not add up to 1. What was measured beside them (2026-11, two generated dealers of 20,000 customers,
``tests/bench/linking.py --train 2``, which counts the pairs of known truth among those that were compared; m of pairs of one
person, then other persons met per record):

    name        same .59, sound .003, surname .41, near and others 0
    phone       same .99 (.067), here .7 (.02)
    id_number   same 1 (0), here .96 (.001)
    birth       same 1, here .95
    sex         same 1, here .98
    car, plate  same 1 (.013), here .5 (.3)
    address     same 1 (.016), here .7 (.4)
    area        same 1, here .85

Generated dealers know few slips of the pen, and who changed all of phone, car and home is never compared: real records will
disagree more often, which is why the values here are the more doubtful ones. With the counted m (at least .001) and the
counted meetings per record (at least .0005) in their place, the pairs of two generated dealers of known truth come out with
the same precision and recall to five digits (cards: F1 .995 and .994, precision 1): these data cannot tell the two apart, so
the values stay. FEBRL3 says nothing of them, since its records have other columns; its bench learns weights of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Changes whenever a number below does; stated on the page.
VERSION = "2026-11"
#: Other records of the same person that a record has, on average.
PARTNERS = 0.06


@dataclass(frozen=True)
class Level:
    """One level of agreement.

    Attributes:
        name: what it is called in `identity_pairs` and in the reasons.
        when: condition in SQL on the columns of two records; empty for all that is left.
        m: share of pairs of one person.
        u: share of pairs of two persons; of ``per_record`` levels times the number of records.
        per_record: u is how many other persons' records a record meets like this.
        tf: column whose frequency takes the place of u.
    """

    name: str
    when: str
    m: float
    u: float
    per_record: bool = False
    tf: str = ""


@dataclass(frozen=True)
class Comparison:
    """What is compared: its levels from the strongest down; nothing is said where ``unknown`` holds."""

    name: str
    unknown: str
    levels: tuple[Level, ...]


_FULL = "name_full_l AND name_full_r"
_SURNAMES = (
    "(name_surname_l = name_surname_r OR name_surname_l = name_surname_b_r OR name_surname_b_l = name_surname_r)"
)
COMPARISONS = (
    Comparison(
        "name",
        "name_key_l IS NULL OR name_key_r IS NULL",
        (
            Level("same", f"{_FULL} AND name_key_l = name_key_r", 0.62, 0.0005, tf="name_key"),
            Level(
                "sound",
                f"{_FULL} AND (name_sound_l = name_sound_r OR name_sound_l = name_turned_r OR name_turned_l = name_sound_r)",
                0.2,
                0.0005,
                tf="name_sound",
            ),
            # one of two names is no more than a surname, with or without title, in a tenth of all pairs
            Level("surname", f"NOT ({_FULL}) AND {_SURNAMES}", 0.98, 0.02, tf="name_surname"),
            # one letter more, less or changed, where that does not make another name of pinyin
            Level(
                "near",
                f"{_FULL} AND length(name_sound_l) > 5 AND NOT (name_spelled_l AND name_spelled_r)"
                " AND damerau_levenshtein(name_sound_l, name_sound_r) = 1",
                0.03,
                0.00002,
            ),
            Level("other_given", f"{_FULL} AND {_SURNAMES}", 0.004, 0.04),
            Level("other", "", 0.004, 0.95),
        ),
    ),
    Comparison(
        "phone",
        "phones_l IS NULL OR phones_r IS NULL",
        (
            Level("same", "list_has_any(phones_l, phones_r)", 0.7, 0.02, per_record=True),
            Level("other", "", 0.3, 1),
        ),
    ),
    Comparison(
        "id_number",
        "id_number_l IS NULL OR id_number_r IS NULL",
        (
            Level("same", "id_number_l = id_number_r", 0.96, 0.001, per_record=True),
            Level(
                "near",
                "(valid_id_l IS NULL OR valid_id_r IS NULL) AND damerau_levenshtein(id_number_l, id_number_r) <= 2",
                0.035,
                0.01,
                per_record=True,
            ),
            Level("other", "", 0.005, 1),
        ),
    ),
    Comparison(
        "birth",
        "birth_l IS NULL OR birth_r IS NULL",
        (
            Level("same", "birth_l = birth_r", 0.95, 0.00006),
            Level(
                "near",
                "hamming(birth_l, birth_r) <= 1 OR substr(birth_l, 5) = substr(birth_r, 7) || substr(birth_r, 5, 2)",
                0.02,
                0.003,
            ),
            Level("other", "", 0.03, 0.997),
        ),
    ),
    Comparison(
        "sex",
        f"CASE WHEN {_FULL} THEN sex_l IS NULL OR sex_r IS NULL ELSE hint_l IS NULL OR hint_r IS NULL END",
        (
            # what a given name suggests counts against a title only: of two full names one may be a slip of the pen
            Level("same", f"CASE WHEN {_FULL} THEN sex_l = sex_r ELSE hint_l = hint_r END", 0.98, 0.53),
            Level("other", "", 0.02, 0.47),
        ),
    ),
    Comparison(
        "car",
        "cars_l IS NULL OR cars_r IS NULL",
        (
            Level("same", "list_has_any(cars_l, cars_r)", 0.5, 0.3, per_record=True),
            Level("other", "", 1, 1),
        ),
    ),
    Comparison(
        "plate",
        "plates_l IS NULL OR plates_r IS NULL",
        (
            Level("same", "list_has_any(plates_l, plates_r)", 0.5, 0.3, per_record=True),
            Level("other", "", 1, 1),
        ),
    ),
    Comparison(
        "address",
        "place_l IS NULL OR place_r IS NULL",
        (
            Level("same", "place_l = place_r", 0.7, 0.4, per_record=True),
            Level("other", "", 0.3, 1),
        ),
    ),
    Comparison(
        "area",
        "residential_area_l IS NULL OR residential_area_r IS NULL",
        (
            Level("same", "residential_area_l = residential_area_r", 0.85, 0.07),
            Level("other", "", 0.15, 0.93),
        ),
    ),
)
