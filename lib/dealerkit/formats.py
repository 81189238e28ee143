"""Formats of Chinese identifiers: how each looks, and whether its check digit fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ibis
import ibis.expr.types as ir

# Patterns read as tables.
# fmt: off
MOBILE = r"^1[3-9]\d{9}$"
VIN = r"^[A-HJ-NPR-Z0-9]{17}$"
PLATE = (r"^[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新][A-HJ-NP-Z]"
         r"(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9学警港澳挂使领]|[A-K][A-HJ-NP-Z0-9]\d{4}|\d{5}[DF])$")
RESIDENT_ID = r"^[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]$"
USCC = r"^[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"

# fmt: on


def _weighed(weights: Sequence[int], number: Callable[[ir.IntegerValue], ir.IntegerValue]) -> ir.IntegerValue:
    """The sum of the numbers at places 0, 1, …, each times its weight."""
    # Not `map` with the place as its second argument: Ibis mixes up the places of two such lists in one query.
    weight = ibis.literal(list(weights), "array<int64>")
    return ibis.range(len(weights)).map(lambda place: number(place) * weight[place]).sums().cast("int32")


def resident_id_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a resident ID does not follow from the 17 before (GB 11643)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = _weighed(weights, lambda i: ibis.literal("0123456789").find(number.substr(i, 1)))
    return number.re_search(RESIDENT_ID).ifelse(
        ibis.literal("10X98765432").find(number.substr(17, 1)) != total % 11, ibis.null("boolean")
    )


def uscc_digit_wrong(number: ir.StringValue) -> ir.BooleanValue:
    """True where the 18th character of a social credit code does not follow from the 17 before (GB 32100)."""
    letters = ibis.literal("0123456789ABCDEFGHJKLMNPQRTUWXY")
    total = _weighed([3**i % 31 for i in range(17)], lambda i: letters.find(number.substr(i, 1)))
    return letters.find(number.substr(17, 1)) != (31 - total % 31) % 31


def vin_digit_wrong(vin: ir.StringValue) -> ir.BooleanValue:
    """True where character 9 of a VIN does not follow from the others (mod 11); null for malformed VINs."""
    return vin.re_search(VIN).ifelse(vin_check_digit(vin) != vin.substr(8, 1), ibis.null("boolean"))


def vin_check_digit(vin: ir.StringValue) -> ir.StringValue:
    """The character that belongs to place 9 of a VIN (ISO 3779 with the weights of 49 CFR 565)."""
    # A letter's number is the last digit of its place here.
    places = ibis.literal("0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ")
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = _weighed(weights, lambda i: places.find(vin.substr(i, 1)) % 10)
    return ibis.literal("0123456789X").substr(total % 11, 1)
