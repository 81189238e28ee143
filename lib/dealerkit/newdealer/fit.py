"""Whether the values of a column can be those of a canonical column, and how much they speak for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dealerkit import tables
from dealerkit.newdealer.sheets import Values
from dealerkit.newdealer.words import guess_code
from dealerkit.tables import Column, Table, fold

#: Kind of personal data or format of a column → format of its values, and what they are called.
_FORMATS = {
    "vin": ("vin", "VINs"),
    "plate": ("plate", "plates"),
    "mobile": ("mobile", "mobile numbers"),
    "id": ("id", "ID numbers"),
    "resident_id_or_uscc": ("id", "ID numbers"),
    "email": ("email", "e-mail addresses"),
}
#: Middle values that a column of amounts may have, where a wrong one would be told by its size.
_MIDDLE = {
    "odometer_km": (500, 600_000),
    "warranty_km": (10_000, 400_000),
    "list_price_yuan": (20_000, 5_000_000),
    "purchase_price_yuan": (20_000, 5_000_000),
    "price_yuan": (20_000, 5_000_000),
    "labour_yuan": (0, 20_000),
    "parts_yuan": (0, 50_000),
    "total_yuan": (10, 50_000),
    "amount_yuan": (0, 20_000),
    "quantity": (0, 200),
    "hours": (0, 60),
    "line_no": (1, 100),
}
#: More values than this are no codes.
_MOST_CODES = 40


@dataclass(frozen=True)
class Fit:
    """How much values speak for a column (−0.3 to 0.5), and what they say; `against` when they cannot be it."""

    score: float
    why: str = ""
    against: bool = False


_NEUTRAL = Fit(0.0)


def against(why: str) -> Fit:
    """The values cannot be those of the column."""
    return Fit(-1.0, why, True)


def fit(table: Table, column: Column, values: Values, keys: dict[str, frozenset[str]]) -> Fit:
    """How the values fit the column.

    Args:
        table, column: what they might be.
        values: the column of the file.
        keys: table → values of its key in the other files, as far as known.
    """
    if not values.texts:
        return Fit(-0.2, "no values")
    wanted = _FORMATS.get(column.format or column.personal or "")
    if wanted:
        return _formatted(values, *wanted)
    if values.format and column.personal != "phone":
        return against(f"the values are {dict(_FORMATS.values())[values.format]}")
    if column.type in ("date", "time"):
        return _dated(column, values)
    if column.type in ("money", "int", "number"):
        return _counted(column, values)
    if column.type == "bool":
        return Fit(0.3, "yes or no") if values.yes_no >= 0.9 else against("the values are not yes or no")
    if column.type == "code":
        return _coded(column, values)
    if column.ref or column.name in table.key:
        return _linked(table, column, values, keys)
    return _worded(column, values)


def _share(values: float) -> str:
    return f"{100 * values:.0f} %"


def _formatted(values: Values, name: str, called: str) -> Fit:
    share = values.shares[name]
    if share >= 0.6:
        return Fit(0.5, f"{_share(share)} of values are {called}")
    return Fit(0.0, f"{_share(share)} of values are {called}") if share >= 0.3 else against(f"hardly any {called}")


def _dated(column: Column, values: Values) -> Fit:
    if not values.is_date:
        return against("the values are not dates")
    middle = float(np.median(values.years)) if len(values.years) else 0
    if (column.personal == "birth") != (middle < 2006):
        return against("the years do not fit")
    fits = 0.3 + (0.05 if values.has_time == (column.type == "time") else 0.0)
    return Fit(fits, f"{_share(values.shares['date'])} of values are dates")


def _counted(column: Column, values: Values) -> Fit:
    if values.numeric < 0.8 or not len(values.numbers):
        return against("the values are not numbers")
    if values.is_date and values.numbers.min() > 1e7:
        return against("the values are dates")
    numbers = values.numbers
    lo, hi = column.lo if column.lo is not None else -np.inf, column.hi if column.hi is not None else np.inf
    outside = float(np.mean((numbers < lo) | (numbers > hi)))
    if outside > 0.1:
        return against(f"{_share(outside)} of values are out of range")
    least, most = _MIDDLE.get(column.name, (-np.inf, np.inf))
    middle = float(np.median(numbers[numbers != 0])) if (numbers != 0).any() else 0.0
    if (numbers != 0).any() and not least <= middle <= most:
        return against("the size of the values does not fit")
    if column.type == "int" and float(np.mean(numbers % 1 != 0)) > 0.05:
        return against("the values have decimals")
    narrow = column.name in ("model_year",) or least > -np.inf
    return Fit(0.25 if narrow else 0.15, f"{_share(values.numeric)} of values are numbers of a fitting size")


def _coded(column: Column, values: Values) -> Fit:
    if len(values.distinct) > _MOST_CODES or values.is_date:
        return against("too many different values for codes")
    known, guessed, _ = codes(column, values)
    share = sum(values.counts[v] for v in (*known, *guessed)) / len(values.all_texts)
    why = f"{_share(share)} of values read as its codes"
    return Fit(0.45, why) if share >= 0.6 else Fit(0.1, why) if share >= 0.3 else Fit(-0.15, why)


def codes(column: Column, values: Values) -> tuple[list[str], dict[str, str], list[str]]:
    """The column's values that are known codes, those guessed (value → code), and the others; most frequent first."""
    index = tables.code_index(column)
    known, guessed, open_ = [], {}, []
    for value, _ in sorted(values.counts.items(), key=lambda pair: (-pair[1], pair[0])):
        if fold(value) in index:
            known.append(value)
        elif code := guess_code(column, value):
            guessed[value] = code
        else:
            open_.append(value)
    return known, guessed, open_


def overlap(values: Values, keys: frozenset[str]) -> float:
    """Share of the different values that are among the keys."""
    return len(values.distinct & keys) / len(values.distinct) if values.distinct else 0.0


def _linked(table: Table, column: Column, values: Values, keys: dict[str, frozenset[str]]) -> Fit:
    """A key is different on every row; a reference holds keys of its table."""
    if values.is_date or (len(values.numbers) and float(np.mean(values.numbers % 1 != 0)) > 0.02):
        return against("the values are not numbers of records")
    if values.yes_no >= 0.9:
        return against("the values are yes or no")
    if column.ref != "staff" and values.shares["person"] >= 0.4:
        return against("the values are names")
    if column.ref and column.ref in keys:
        shared = overlap(values, keys[column.ref])
        if shared >= 0.3:
            return Fit(0.45, f"{_share(shared)} of them are found in {column.ref}")
    if column.name in table.key and table.key[0] == column.name:
        if table.key[1:]:
            return Fit(0.15, "it repeats, as it does on lines") if values.unique < 0.95 else _NEUTRAL
        # an order stands on each of its lines where both come in one file
        least = 0.03 if table.name == "service_orders" else 0.4
        if values.unique < least or values.filled < 0.6:
            return against("it repeats too often for a key")
        return Fit(0.2, f"{_share(values.unique)} are different") if values.unique >= 0.9 else _NEUTRAL
    if column.ref == "staff":
        return Fit(0.1, "few different values") if values.unique < 0.2 else against("too many different values")
    return Fit(-0.05)


def _worded(column: Column, values: Values) -> Fit:
    if values.is_date:
        return against("the values are dates")
    if column.personal == "phone":
        share = max(values.shares["phone"], values.shares["mobile"])
        return Fit(0.3, f"{_share(share)} of values are phone numbers") if share >= 0.6 else against("no phone numbers")
    if column.personal and values.numeric > 0.5:
        return against("the values are numbers")
    if column.personal == "name":
        share = values.shares["person"]
        if column.name == "employer":
            return Fit(0.05) if share < 0.5 else against("the values are names of persons")
        return Fit(0.25, f"{_share(share)} look like names") if share >= 0.4 else Fit(-0.1)
    if column.personal == "address":
        share = values.shares["address"]
        return Fit(0.25, f"{_share(share)} look like addresses") if share >= 0.4 else Fit(-0.1)
    if column.personal == "free_text":
        return Fit(0.1, "free text") if values.length >= 4 else _NEUTRAL
    if values.numeric > 0.9:
        return Fit(-0.1)
    return Fit(0.1, "few different values") if values.unique < 0.2 else _NEUTRAL
