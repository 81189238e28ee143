"""Arithmetic of expressions: exact in decimals as long as 38 digits suffice, in floats beyond, never an overflow."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


def wide(number: ir.NumericValue) -> ir.NumericValue:
    """Whole numbers as decimals, which never overflow in sums and differences; the rest as it is."""
    if isinstance(number.type(), dt.Integer):
        return number.cast(dt.Decimal(_digits(number), 0))
    return number if number.type().is_decimal() else number.cast("float64")


def _digits(number: ir.NumericValue) -> int:
    """Digits that a number can have."""
    type_ = number.type()
    return (
        type_.precision
        if type_.is_decimal()
        else {1: 3, 2: 5, 4: 10}.get(type_.nbytes, 20 if type_.is_unsigned_integer() else 19)
    )


def common(numbers: list[ir.NumericValue]) -> list[ir.NumericValue]:
    """The numbers in one type: whole, decimal as long as 38 digits suffice, else float."""
    types = [n.type() for n in numbers]
    if all(t.is_integer() for t in types):
        return [n.cast("int64") for n in numbers] if len(set(types)) > 1 else numbers
    numbers = [wide(n) for n in numbers]
    if any(n.type().is_floating() for n in numbers):
        return [n.cast("float64") for n in numbers]
    scale = max(n.type().scale for n in numbers)
    precision = max(n.type().precision - n.type().scale for n in numbers) + scale
    return [n.cast(dt.Decimal(precision, scale) if precision <= 38 else "float64") for n in numbers]


def plus(left: ir.NumericValue, right: ir.NumericValue, sign: int) -> ir.NumericValue:
    """The sum, or with a sign of −1 the difference, in decimals of one digit more where 38 suffice."""
    left, right = common([wide(left), wide(right)])
    if left.type().is_decimal():
        precision, scale = left.type().precision + 1, left.type().scale
        type_ = dt.Decimal(precision, scale) if precision <= 38 else dt.float64
        left, right = left.cast(type_), right.cast(type_)
        return (left + right if sign > 0 else left - right).cast(type_)
    return left + right if sign > 0 else left - right


def product(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    """The product, in decimals of both sides' digits where 38 suffice."""
    left, right = wide(left), wide(right)
    if left.type().is_decimal() and right.type().is_decimal():
        precision, scale = left.type().precision + right.type().precision, left.type().scale + right.type().scale
        if precision <= 38:
            # Wide sides make the engine compute the product in full width; Ibis wants both of one width.
            left, right = (n.cast(dt.Decimal(max(precision, 19), n.type().scale)) for n in (left, right))
            return (left * right).cast(dt.Decimal(precision, scale))
    return left.cast("float64") * right.cast("float64")


def quotient(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    """The quotient in floats; unknown over zero."""
    return left.cast("float64") / right.cast("float64").nullif(0.0)


def rest(left: ir.NumericValue, right: ir.NumericValue) -> ir.NumericValue:
    """What is left of the division in whole numbers, with the sign of the left side; unknown over zero."""
    left, right = common([wide(left), wide(right)])
    return left % right.nullif(ibis.literal(0).cast(right.type()))
