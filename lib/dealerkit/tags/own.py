"""Tags of the dealer's own: conditions over the factors of a person, written in the params (`own_tags`)."""

from __future__ import annotations

from collections.abc import Mapping

import ibis

from dealerkit import expressions
from dealerkit.errors import UserError, UserErrors
from dealerkit.params import OwnTagParams, Params, called
from dealerkit.tags.declared import TAGS


def check_own(params: Params, kinds: Mapping[str, str]) -> None:
    """Checks the own tags of the params without any data.

    Args:
        params: with `own_tags`.
        kinds: factor of a person → its type in an expression (float64, string).

    Raises `UserErrors` with every mistake: a name that a tag of the kit has, an empty label, a condition that cannot be
    read, is none, or names what is no factor.

    >>> check_own(Params(dealer="x", display_name="X", own_tags=[
    ...     {"name": "big", "label": "Big", "holds_when": "spend_yuan > 9000"}]), {"spend_yuan_24m": "float64"})
    Traceback (most recent call last):
    dealerkit.errors.UserErrors: params/x.yaml: 1 problem in own_tags ...
    """
    problems, factors = [], ibis.table(dict(kinds), name="factors")
    for place, own in enumerate(params.own_tags):
        if own.name in {tag.name for tag in TAGS}:
            problems.append(f"own_tags.{place}.name = {own.name!r}: a tag of the kit has this name; choose another")
        if not (own.label.en.strip() and own.label.zh.strip()):
            problems.append(f"{called(f'own_tags.{place}.label', own.name)}: empty; say what people call it")
        try:
            expressions.condition(factors, own.holds_when, where(place, own))
            if not expressions.columns(own.holds_when, where(place, own)):
                problems.append(f"{where(place, own)}: names no factor; the data dictionary lists them")
        except UserError as error:
            problems.append(f"{error.what}; {error.remedy}" if error.remedy else error.what)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserErrors(
            f"params/{params.dealer}.yaml: {count} in own_tags", problems, "params/demo.yaml shows one that works"
        )


def where(place: int, own: OwnTagParams) -> str:
    """The key of the condition in the params, for messages."""
    return called(f"own_tags.{place}.holds_when", own.name)


def used(params: Params) -> list[str]:
    """Factors that the own tags name."""
    names = {
        n for place, own in enumerate(params.own_tags) for n in expressions.columns(own.holds_when, where(place, own))
    }
    return sorted(names)
