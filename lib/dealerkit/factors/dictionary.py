"""The factor dictionary: every factor of a dealer in one table, the kit's and those that the params declare."""

from __future__ import annotations

import re

import pandas as pd

from dealerkit.expressions import columns
from dealerkit.factors.catalogue import CAR_FACTORS, PERSON_FACTORS
from dealerkit.factors.declared import CLASSES, UNITS, WINDOWS, Factor, unit_of, window_of
from dealerkit.params import ExtraFactorParams, ExtraTableParams, OwnFactorParams, Params


def dictionary(params: Params | None = None, t=None) -> pd.DataFrame:
    """The factor dictionary: table, factor, class, label, unit, window, formula, readable, at_delivery_only, own, extra.

    ``extra`` is the name of the further table that a factor comes from (`extra_factors`), else empty.

    Args:
        params: with them, the dealer's own and extra factors follow those of the kit (``own`` is true).
        t: translator; with it, label, class, unit, window and formula are in its words, else messages or keys.

    Example: the factors of a class, in words::

        factors.dictionary(run.params, run.t).query("`class` == 'Vehicle and repair'")
    """
    rows = [_row("person_factors", f, t) for f in PERSON_FACTORS]
    rows += _declared(params, t) if params else []
    rows += [_row("car_factors", f, t) for f in CAR_FACTORS]
    return pd.DataFrame(rows)


def _row(table: str, f: Factor, t) -> dict:
    said = t.text if t else str
    return {
        "table": table,
        "factor": f.name,
        "class": said(CLASSES[f.klass]) if t else f.klass,
        "label": said(f.label),
        "unit": said(UNITS[f.unit]) if t else f.unit,
        "window": window_text(f.window, t) if t else f.window,
        "formula": said(f.formula),
        "readable": f.readable,
        "at_delivery_only": f.at_delivery_only,
        "own": False,
        "extra": "",
    }


def window_text(window: str, t) -> str:
    """A window in the words of ``t``: 24 months, ever, latest, at the origin."""
    months = re.fullmatch(r"(\d+)m", window)
    return t.say(WINDOWS["12m"], months=int(months[1])) if months else t.text(WINDOWS[window])


def _declared(params: Params, t) -> list[dict]:
    """Rows of the factors that the params declare, in their words: those of further tables first."""
    given = [(table.name, f, table.known_from == "export") for table in params.extra_factors for f in table.factors] + [
        ("", f, False) for f in params.own_factors
    ]
    rows = []
    for extra, own, late in given:
        label, formula = getattr(own.label, t.language if t else "en"), written(own, extra)
        # A window stands in the params, whatever the name says.
        window = f"{own.window_months}m" if own.window_months else window_of(own.name)
        unit = unit_of(own.name)
        rows.append(
            {
                "table": "person_factors",
                "factor": own.name,
                "class": t.text(CLASSES[own.factor_class]) if t else own.factor_class,
                "label": label,
                "unit": ("" if unit == "text" else t.text(UNITS[unit])) if t else unit,
                "window": window_text(window, t) if t else window,
                "formula": formula,
                "readable": own.readable,
                "at_delivery_only": late,
                "own": True,
                "extra": extra,
            }
        )
    return rows


def _late(table: ExtraTableParams, factor: ExtraFactorParams) -> bool:
    """Whether the factor is made of what only the delivery tells."""
    named = set().union(*(columns(text, factor.name) for text in (factor.of, factor.where) if text))
    return table.known_from == "export" or any(
        table.columns[name].known_from == "export" for name in named & set(table.columns)
    )


def written(own: OwnFactorParams | ExtraFactorParams, table: str = "") -> str:
    """A declared factor in one line: ``share(weekday(opened_at) >= 6) from service_orders, window_months 24``."""
    if getattr(own, "formula", None):
        return " ".join(own.formula.split())
    parts = [f"{own.aggregate}({' '.join((own.of or '*').split())}) from {table or own.table}"]
    parts += [f"where {' '.join(own.where.split())}"] if own.where else []
    return " ".join(parts) + (f", window_months {own.window_months}" if own.window_months else "")
