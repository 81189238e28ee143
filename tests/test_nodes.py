"""Nodes made in the short way are those that Ibis makes, and what Ibis refuses is refused in its words."""

from __future__ import annotations

import ibis
import ibis.expr.operations as ops
import pytest
from dealerkit import nodes
from ibis.common.annotations import Signature, SignatureValidationError

VISITS = ibis.table({"vin": "string", "opened_at": "timestamp", "total_yuan": "decimal(18,2)"}, name="visits")

MADE = {
    "by place": (ops.Substring, (VISITS.vin, 0, 3), {}),
    "by name": (ops.Substring, (), {"arg": VISITS.vin, "start": 0, "length": 3}),
    "both, with a default": (ops.StringContains, (VISITS.vin,), {"needle": "A"}),
    "default alone": (ops.Substring, (VISITS.vin, 1), {}),
    "a value made to fit": (ops.Cast, (VISITS.vin, "int64"), {}),
    "several": (ops.Coalesce, ((VISITS.vin, "x"),), {}),
}
REFUSED = {
    "too many": (ops.Substring, (VISITS.vin, 0, 3, 4), {}),
    "too few": (ops.StringContains, (VISITS.vin,), {}),
    "unknown name": (ops.StringContains, (VISITS.vin, "A"), {"other": 1}),
    "given twice": (ops.StringContains, (VISITS.vin, "A"), {"arg": VISITS.vin}),
    "wrong type": (ops.StringContains, (VISITS.opened_at, "A"), {}),
}


def _in_general(kind, args, kwargs):
    return nodes._in_general(kind.__signature__, kind, args, kwargs)


def test_the_short_way_is_in_use():
    assert Signature.validate is nodes._validate


@pytest.mark.parametrize("kind, args, kwargs", MADE.values(), ids=MADE)
def test_nodes_are_the_same(kind, args, kwargs):
    bound = kind.__signature__.validate(kind, args, kwargs)
    assert list(bound.items()) == list(_in_general(kind, args, kwargs).items())
    assert tuple(bound.values()) == kind(*args, **kwargs).args


@pytest.mark.parametrize("kind, args, kwargs", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_in_the_words_of_ibis(kind, args, kwargs):
    with pytest.raises(SignatureValidationError) as general:
        _in_general(kind, args, kwargs)
    with pytest.raises(SignatureValidationError) as short:
        kind(*args, **kwargs)
    assert str(short.value) == str(general.value)


def test_an_expression_compiles_to_the_same(monkeypatch):
    def query() -> str:
        visits = ibis.table({"vin": "string", "opened_at": "timestamp", "total_yuan": "decimal(18,2)"}, name="visits")
        window = ibis.window(group_by="vin", order_by="opened_at")
        ranked = visits.mutate(n=ibis.row_number().over(window), before=visits.total_yuan.lag().over(window))
        cars = (
            ranked.filter(ranked.vin.re_search("^L"))
            .group_by("vin")
            .agg(yuan=ranked.total_yuan.sum(), n=ranked.n.max())
        )
        return ibis.to_sql(ranked.left_join(cars, "vin").order_by("vin"), dialect="duckdb")

    short = query()
    monkeypatch.setattr(Signature, "validate", nodes._in_general)
    assert short == query()
