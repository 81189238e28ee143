"""Expressions of the params: what they compute, that unknown stays unknown, and that nothing but columns can be named."""

from __future__ import annotations

import doctest
import math
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import dealerkit.expressions
import ibis
import pyarrow as pa
import pytest
from dealerkit import tables
from dealerkit.errors import UserError
from dealerkit.expressions import FUNCTIONS, columns, condition, value
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = "own_checks.2.fails_when"
BIG = 9_223_372_036_854_775_807
ROWS = pa.table(
    {
        "row": pa.array([0, 1, 2]),
        "total": pa.array([Decimal("300.30"), None, Decimal("9999999999999999.99")], pa.decimal128(18, 2)),
        "labour": pa.array([Decimal("100.10"), Decimal("0.00"), Decimal("1.00")], pa.decimal128(18, 2)),
        "km": pa.array([7, 2, BIG]),
        "hours": pa.array([1.5, None, -2.5]),
        "kind": pa.array(["repair", "it's", None]),
        "booked": pa.array([True, False, None]),
        "since": pa.array([date(2026, 1, 3), None, date(2024, 2, 29)]),
        "at": pa.array([datetime(2026, 1, 4, 23), None, datetime(2024, 2, 29, 1)], pa.timestamp("us")),
        "tags": pa.array([["a"], [], None]),
    }
)


@pytest.fixture(scope="module")
def table():
    connection = ibis.duckdb.connect()
    yield connection.create_table("t", ibis.memtable(ROWS))
    connection.disconnect()


def computed(table, text: str) -> list:
    return table.select("row", x=value(table, text, KEY)).order_by("row").to_pyarrow()["x"].to_pylist()


N = None


@pytest.mark.parametrize(
    "text, expected",
    [
        # money and whole numbers are exact: 3 · 100.10 is 300.30 and not 300.29999999999995
        ("total = 3 * labour", [True, N, False]),
        ("total > 3 * labour", [False, N, True]),
        ("total - 0.1 = 300.2", [True, N, False]),
        ("(total - labour) * 0.13 = 26.026", [True, N, False]),
        ("0.1 + 0.2 = 0.3", [True, True, True]),
        ("total < hours", [False, N, False]),
        ("total * 1.5", [450.45, N, 15e15]),
        ("km + 1", [8, 3, 2.0**63]),
        ("km * km", [49, 4, float(BIG**2)]),
        ("-km", [-7, -2, -(2.0**63)]),
        ("abs(0 - km) = km", [True, True, True]),
        ("total * total * total > 0", [True, N, True]),
        ("km / 2", [3.5, 1, 2.0**62]),
        ("10 / 4", [2.5] * 3),
        ("km % 4", [3, 2, 3]),
        ("km / (labour - labour)", [N, N, N]),
        ("km % 0", [N, N, N]),
        ("total / nullif(labour, 0) > 2.9", [True, N, True]),
        ("round(labour / 3, 1)", [33.4, 0, 0.3]),
        ("round(hours)", [2, N, -3]),
        ("floor(hours)", [1, N, -3]),
        ("ceil(hours)", [2, N, -2]),
        ("greatest(km, total, 5)", [300.3, 5, float(BIG)]),
        ("least(km, hours)", [1.5, 2, -2.5]),
        ("coalesce(total, 0)", [300.3, 0, 1e16]),
        ("coalesce(total, hours, km)", [300.3, 2, 1e16]),
        # null as in SQL
        ("total > 1 and km = 2", [False, N, False]),
        ("total > 1 and km = 7", [True, False, False]),
        ("total > 1 or km = 2", [True, True, True]),
        ("not total > 1", [False, N, False]),
        ("total not between 1 and 400", [False, N, True]),
        ("total is null", [False, True, False]),
        ("total is distinct from labour", [True, True, True]),
        ("booked", [True, False, N]),
        ("not booked", [False, True, N]),
        ("booked = true", [True, False, N]),
        ("booked is true", [True, False, False]),
        ("booked is not true", [False, True, True]),
        ("booked is false", [False, True, False]),
        # chosen
        ("case when km > 5 then 'far' when km > 1 then 'near' end", ["far", "near", "far"]),
        ("case when km = 7 then 1.5 else total end", [1.5, N, 1e16]),
        ("case kind when 'repair' then 1 else 0 end", [1, 0, 0]),
        ("if(km > 5, 1, null)", [1, N, 1]),
        # texts
        ("kind in ('repair', 'it''s')", [True, True, N]),
        ("kind not in ('repair')", [False, True, N]),
        ("km in (7, 2.0)", [True, True, False]),
        ("kind like 'it%'", [False, True, N]),
        ("kind not like 'it%'", [True, False, N]),
        ("kind ilike 'RE%'", [True, False, N]),
        ("regexp_matches(kind, '^r.p')", [True, False, N]),
        ("contains(kind, '''')", [False, True, N]),
        ("starts_with(kind, 're')", [True, False, N]),
        ("length(kind)", [6, 4, N]),
        ("upper(substr(kind, 1, 2)) || '-'", ["RE-", "IT-", N]),
        ("substr(kind, 3)", ["pair", "'s", N]),
        ("left(kind, 1) || right(lower(kind), 1)", ["rr", "is", N]),
        ("trim('  x ')", ["x"] * 3),
        ("replace(kind, 'e', '')", ["rpair", "it's", N]),
        # days
        ("days_between(since, at)", [1, N, 0]),
        ("days_between(at, since)", [-1, N, 0]),
        ("days_between('2026-01-01', since)", [2, N, -672]),
        ("weekday(since)", [6, N, 4]),
        ("weekday(at)", [7, N, 4]),
        ("extract(year from since) * 100 + month(at)", [202601, N, 202402]),
        ("quarter(since) + day(since) + hour(at)", [27, N, 31]),
        ("since >= date '2025-01-01'", [True, N, False]),
        ("since >= '2025-01-01'", [True, N, False]),
        ("at > date '2026-01-04'", [True, N, False]),
        ("at = timestamp '2026-01-04 23:00'", [True, N, False]),
        ("since = at", [False, N, False]),
        ("since + interval '1 month'", [date(2026, 2, 3), N, date(2024, 3, 29)]),
        ("at - interval 2 hours", [datetime(2026, 1, 4, 21), N, datetime(2024, 2, 28, 23)]),
        ("since between '2024-01-01' and '2025-01-01'", [False, N, True]),
        # a column alone keeps its type
        ("total", [Decimal("300.30"), N, Decimal("9999999999999999.99")]),
        ('"km"', [7, 2, BIG]),
    ],
)
def test_what_is_computed(table, text, expected):
    got = computed(table, text)
    assert [None if v is None else pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in expected] == got


@pytest.mark.parametrize(
    "text, told",
    [
        # mistyped
        ("", "the expression is empty"),
        ("  \n", "the expression is empty"),
        (None, "the expression is empty"),
        ("totl > 1", "no column 'totl'; nearest: 'total'\n  → the columns are row, total, labour"),
        ("TOTAL > 1", "no column 'TOTAL'; nearest: 'total'"),
        ('kind = "repair"', "no column 'repair'; texts stand in single quotes: 'repair'"),
        ("lenght(kind) > 1", "no function 'lenght'; nearest: 'length'\n  → the functions are abs, ceil"),
        ("date_diff('day', since, at) > 1", "no function 'datediff'\n  → write days_between(from, to)"),
        ("since < current_date", "no function 'current_date'\n  → write a column, or a day as date '2026-01-31'"),
        ("total > 1 and", "character 11: total > 1 ▸and◂: something is missing here"),
        ("total >", "character 7: total ▸>◂: something is missing here"),
        ("(total > 1", "a closing bracket is missing"),
        ("total > 1)", "character 10: total > 1 ▸)◂: ')' was not expected here"),
        ("total > 1 km", "character 11: total > 1 ▸km◂: 'km' was not expected here"),
        ("total > 1\n  or or km > 1", "line 2, character 6"),
        ("case when km > 1 then 2", "case without end"),
        ("year(since, at) > 1", "too many arguments"),
        ("days_between(since) > 1", "has not 2 arguments\n  → write days_between(from, to)"),
        ("kind = 'repair", "character 8: a quote is not closed: kind = ▸'◂ repair"),
        ("km in ()", "an empty list"),
        ("km is 3", "is takes null, true or false"),
        ("total = null", "nothing is equal to null\n  → write is null or is not null"),
        ("km in (1, null)", "nothing is equal to null"),
        ("null", "is null, not a condition"),
        ("substr(kind, 0) = 'r'", "write a whole number from 1 to 10000"),
        ("round(total, km) > 1", "the digits of round: 'km'"),
        ("regexp_matches(kind, '(')", "'(' is not a regular expression"),
        ("kind like kind", "write the pattern in single quotes"),
        ("since > '2026-13-01'", "'2026-13-01' is not a day\n  → write it as '2026-01-31'"),
        ("since + interval '1 year 2 months' > at", "is not an interval"),
        ("12345678901234567890 > km", "is too long a number"),
        ("1e400 > km", "is too long a number"),
        # typed on another keyboard
        (
            "“kind” = 'x'",
            "character 1: '“' is not allowed here: ▸“◂ kind” = 'x'\n  → write single quotes ' around texts",
        ),
        ("kind = ‘repair’", "write a straight single quote '"),
        ("total ＞ 1", "character 7: '＞' is not allowed here: total ▸＞◂ 1\n  → write >"),
        ("total > １００", "write 1"),
        ("kind in ('a'，'b')", "write ,"),
        ("total ≥ 1", "write >="),
        ("total\u3000> 1", "write a plain blank"),
        ("total > 1 && km > 1", "write and"),
        ("!booked", "write not"),
        ("`total` > 1", "write the name of the column without quotes"),
        ("kind ~ 'x'", "write regexp_matches"),
        ("km ^ 2 > 1", "write a product"),
        # of the wrong type
        ("kind > 3", "'kind > 3' mixes types: 'kind' is a text, '3' is a number"),
        ("total = '3'", "'total' is a number, \"'3'\" is a text"),
        ("kind + 'x' = 'y'", "'+' needs a number, 'kind' is a text\n  → write || to join texts"),
        ("kind || km = 'y'", "'||' needs a text, 'km' is a number"),
        ("at - since > 3", "how far two days lie apart\n  → write days_between(since, at)"),
        ("since + 30 > at", "write since + interval '30 days'"),
        ("days_between(kind, since) > 1", "needs two days, 'kind' is a text"),
        ("hour(since) > 1", "hour needs a point in time, 'since' is a day"),
        ("year(kind) = 2026", "'kind' is a text"),
        ("total and km > 1", "'and' needs true or false, 'total' is a number"),
        ("not km", "'not' needs true or false"),
        ("case when km then 1 end = 1", "'when' needs true or false"),
        ("case when km > 1 then 'a' else 1 end = 'a'", "mixes types"),
        ("booked > true", "true and false have no order"),
        ("upper(km) = 'X'", "upper needs a text"),
        ("tags is null", "'tags' is of a type that expressions cannot use"),
        # beyond one row, or beyond columns
        ("sum(total) > 1", "SUM(total) works over many rows"),
        ("count(*) > 1", "works over many rows"),
        ("max(total) > 1", "for the greatest of several columns write greatest(…)"),
        ("row_number() over () > 1", "works over many rows"),
        ("total > (select 1)", "a query inside an expression"),
        ("km in (select km from t)", "a query inside an expression"),
        ("exists (select 1)", "a query inside an expression"),
        ("select 1", "queries are not allowed"),
        ("from t", "queries are not allowed"),
        ("drop table t", "queries are not allowed"),
        ("total > 1; drop table t", "write one expression without ;"),
        ("total > 1 union select 2", "'union' was not expected here"),
        ("total > 1 -- rest", "a remark inside the expression"),
        ("total > 1 /* rest */", "a remark inside the expression"),
        ("read_csv('/etc/passwd') = 1", "no function 'read_csv'"),
        ("read_text('x') = 'y'", "no function 'read_text'"),
        ("getenv('HOME') = 'x'", "no function 'getenv'"),
        ("query('select 1') = 1", "no function 'query'"),
        ("random() > 0.5", "no function 'rand"),
        ("now() > at", "no function 'now'"),
        ("t.total > 1", "'t.total' is not the name of a column"),
        ("main.t.total > 1", "is not the name of a column"),
        ("total::int > 1", "write no : (a type cannot be set)"),
        ("cast(total as int) > 1", "a type cannot be set"),
        ("try_cast(kind as int) > 1", "try_cast"),
        ("tags[1] = 'a'", "'[' is not allowed here"),
        ("list_transform(tags, x -> x) = 1", "no function 'transform'"),
        ("$1 > 1", "'$' is not allowed here"),
        ("? > 1", "'?' is not allowed here"),
        ("kind collate nocase = 'x'", "collate"),
        ("kind like 'a' escape 'b'", "is not allowed in an expression"),
        ("kind like any ('a')", "is not allowed in an expression"),
        ("ltrim(kind) = 'x'", "has more to it than is allowed"),
        ("trim(both 'x' from kind) = 'x'", "has more to it than is allowed"),
        ("regexp_matches(kind, 'a', 'i')", "has more to it than is allowed"),
        ("interval '3 days'", "is not allowed"),
        ("*", "is not allowed"),
        # too much
        ("km + " * 900 + "1 > 0", "characters, allowed: 4000"),
        ("km + " * 70 + "1 > 0", "nested too deeply"),
        ("(" * 900 + "km > 1" + ")" * 900, "nested too deeply"),
        ("not " * 900 + "booked", "nested too deeply"),
        ("coalesce(" * 300 + "km" + ")" * 300 + " > 1", "nested too deeply"),
    ],
)
def test_what_is_refused_and_how(table, text, told):
    with pytest.raises(UserError) as caught:
        condition(table, text, KEY)
    assert str(caught.value).startswith(f"{KEY}") and told in str(caught.value)
    assert caught.value.remedy


def test_deep_arithmetic_is_translated_once_per_part(table):
    assert computed(table, "km" + " + km" * 30 + " > 0") == [True] * 3


@pytest.mark.parametrize("text", ["total", "kind", "1", "since", "case when km > 1 then 1 end"])
def test_a_condition_is_true_or_false(table, text):
    with pytest.raises(UserError, match="not a condition\n"):
        condition(table, text, KEY)


def test_columns_are_those_named():
    assert columns("case when a > 1 then b else c.d end is null" .replace("c.d", "d") + " and lower(e) in ('f', g)", KEY) == {"a", "b", "d", "e", "g"}  # fmt: skip
    assert columns("1 = 1", KEY) == set()
    with pytest.raises(UserError):
        columns("a > ", KEY)


def test_names_are_all_that_can_be_named(table):
    names = {"km": table.km, "day": ibis.date(2026, 1, 1)}
    assert (
        table.select(x=value(table, "days_between('2025-12-31', day) + km", KEY, names=names))
        .to_pyarrow()["x"][0]
        .as_py()
        == 8
    )
    with pytest.raises(UserError, match="no column 'total'"):
        value(table, "total", KEY, names=names)


def test_codes_that_never_occur_are_refused(table):
    codes = {"kind": ["repair", "accident"]}
    assert condition(table, "kind in ('repair', 'accident') and km > 1", KEY, codes=codes) is not None
    for text in (
        "kind = 'repairs'",
        "'repairs' <> kind",
        "kind in ('accident', 'repairs')",
        "case kind when 'repairs' then true else false end",
    ):
        with pytest.raises(UserError, match=r"kind is never 'repairs'; nearest: 'repair'\n.*one of repair, accident"):
            condition(table, text, KEY, codes=codes)


def test_quotes_and_backslashes_in_texts_stay_texts(table):
    for hostile in ("'; drop table t; --", "\\", "%_", "x' or '1'='1", '"', "“", "\x00"[:0] + "；"):
        text = "'" + hostile.replace("'", "''") + "'"
        assert computed(table, text)[0] == hostile
    assert table.count().to_pandas() == 3


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_every_canonical_column_can_be_named_as_it_is(name):
    blank = ibis.table(dict.fromkeys(tables.table(name).names, "string"), name="t")
    for column in blank.columns:
        assert condition(blank, f"{column} is not null and {column} = 'x'", KEY) is not None


def test_the_docstrings_hold():
    assert doctest.testmod(dealerkit.expressions, extraglobs={"ibis": ibis}).failed == 0


def test_functions_of_the_list_can_be_called(table):
    known = {"case", "extract"}
    for name in FUNCTIONS:
        if name not in known:
            with pytest.raises(UserError) as caught:
                value(table, f"{name}(tags)", KEY)
            assert f"no function {name!r}" not in str(caught.value)


def test_the_readme_lists_the_functions_that_there_are():
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"^To write: .*? Functions: (.*?)\n\n", text, re.MULTILINE | re.DOTALL)[1]
    assert sorted(re.findall(r"`(\w+)[^`]*`", listed)) == sorted(FUNCTIONS)


NUMBERS = st.one_of(
    st.integers(-999, 999).map(str),
    st.decimals(-999, 999, places=2).map(str),
    st.just("km"),
    st.just("labour"),
    st.just("hours"),
)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        NUMBERS,
        lambda inner: st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        max_leaves=8,
    )
)
def test_any_arithmetic_gives_a_number_or_nothing(table, text):
    for found in computed(table, text + " * 1"):
        assert found is None or not math.isnan(found)


@settings(max_examples=200, deadline=None)
@given(st.text("abkm01 ()'<>=,.+-*/|;[]“＞{}:%andornotselectcase\n\t", max_size=40))
def test_any_text_is_computed_or_refused_in_words(text):
    blank = ibis.table({"a": "int64", "b": "string", "km": "decimal(18,2)"}, name="t")
    try:
        value(blank, text, KEY)
    except UserError as error:
        assert str(error).startswith(KEY)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("(a is not null) is null", [False, False]),
        ("(a is null) = (b is null)", [True, False]),
        ("(not (a > 0)) is null", [False, True]),
        ("(not (a > 0)) is not null", [True, False]),
        ("(not (a > 0)) is distinct from (b > 2)", [False, True]),
        ("(a is distinct from b) is null", [False, False]),
        ("(a is not distinct from b) = (b > 2)", [True, False]),
        ("(a between 1 and 2) is not null", [True, False]),
        ("(not (a in (1, 2))) is null", [False, True]),
    ],
)
def test_a_condition_within_a_condition_keeps_its_brackets(text, expected):
    table = ibis.memtable({"a": [1.0, None], "b": [2.0, 3.0]})
    assert table.mutate(x=condition(table, text, KEY)).to_pandas()["x"].tolist() == expected
