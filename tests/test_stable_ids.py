"""Persons keep their ids from report to report: merges, splits, renumbered and vanished records, decisions, lost state."""

from __future__ import annotations

import os
import re
import stat
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import ids as bench
from dealerkit import memory as memory_
from dealerkit.engine import write_frame
from dealerkit.errors import UserError, UserErrors
from dealerkit.identity import decisions, diary, identify, stable
from dealerkit.memory import Memory, recall, remember
from dealerkit.params import Params
from hypothesis import given, settings
from hypothesis import strategies as st

JUNE, JULY, AUGUST = date(2026, 6, 30), date(2026, 7, 31), date(2026, 8, 31)
KEY = "test"


def nodes_of(*groups: str, **said: dict) -> pd.DataFrame:
    """Records by person (``"AB", "C"``); further columns by record."""
    rows = [{"customer_id": c, "source": "dms", "group": g} for g, members in enumerate(groups) for c in members]
    frame = pd.DataFrame(rows, columns=["source", "customer_id", "group"]).astype({"group": int})
    frame = frame.sort_values(["source", "customer_id"], ignore_index=True)
    for name in ("id_number", "name", "phone"):
        frame[name] = pd.Series([said.get(c, {}).get(name) for c in frame["customer_id"]], dtype=object)
    return frame


class Months:
    """Reports one after the other, each with what the one before left."""

    def __init__(self):
        self.memory, self.day = Memory(), 0

    def __call__(self, nodes: pd.DataFrame, **more) -> dict[str, str]:
        self.day += 1
        as_of = date(2026, self.day, 28)
        self.former = stable.follow(nodes, self.memory, KEY)
        nodes = nodes.assign(person_id=stable.assign(nodes, self.memory, KEY, self.former))
        self.entries = diary.entries(nodes, self.memory, as_of, self.former, **more)
        kept = stable.mapped(nodes, self.former, self.memory, as_of, KEY)
        self.memory = Memory(ids=kept, as_of=as_of, diary=diary.written(self.entries, self.memory))
        return dict(zip(nodes["customer_id"], nodes["person_id"], strict=True))

    def told(self) -> list[tuple]:
        return [
            tuple(row) for row in self.entries[["kind", "person_id", "other_person_id", "records_count", "why"]].values
        ]


@pytest.fixture
def months():
    return Months()


# ---- who keeps the id -------------------------------------------------------------------------------------------


def test_an_id_is_the_keyed_hash_of_the_first_record_and_each_is_used_once(months):
    first = months(nodes_of("AC", "B", "D"))
    assert len(set(first.values())) == 3 and first["A"] == first["C"]
    assert all(re.fullmatch("P[0-9a-f]{14}", i) for i in first.values())
    assert Months()(nodes_of("A"))["A"] == first["A"] and Months()(nodes_of("C"))["C"] != first["C"]
    assert months.told() == []


def test_unchanged_persons_keep_their_ids_and_the_diary_is_silent(months):
    first = months(nodes_of("AC", "B", "D"))
    assert months(nodes_of("D", "B", "AC")) == first
    assert months.told() == []


def test_a_merge_keeps_the_id_of_the_larger_part(months):
    first = months(nodes_of("A", "BCD", "E"))
    links = pd.DataFrame({"a": [1, 0], "b": [2, 3], "rule": ["id_number", "phone"]})
    later = months(nodes_of("ABCD", "E"), links=links)
    assert {later[c] for c in "ABCD"} == {first["B"]} and later["E"] == first["E"]
    assert months.told() == [("merged", first["B"], first["A"], 1, "phone")]


def test_of_two_equal_parts_the_smaller_id_is_kept(months):
    first = months(nodes_of("A", "B", "C", "D"))
    later = months(nodes_of("AB", "CD"))
    assert later["A"] == min(first["A"], first["B"]) and later["C"] == min(first["C"], first["D"])
    assert [row[0] for row in months.told()] == ["merged", "merged"]


def test_a_split_leaves_the_id_with_the_larger_part(months):
    first = months(nodes_of("ABC", "D"))
    later = months(nodes_of("A", "BC", "D"))
    assert later["B"] == later["C"] == first["A"] and later["D"] == first["D"]
    assert later["A"] not in set(first.values())  # its hash is taken by the others: the next one
    assert months.told() == [("split", first["A"], later["A"], 1, "no_longer_linked")]
    again = months(nodes_of("A", "BC", "D"))
    assert again == later and months.told() == []


def test_of_two_halves_the_one_with_the_first_record_keeps_the_id(months):
    first = months(nodes_of("ABCD"))
    later = months(nodes_of("BD", "AC"))
    assert later["A"] == later["C"] == first["A"] != later["B"] == later["D"]


def test_two_persons_who_exchange_parts(months):
    """AAAB | BB: the first keeps its own; the second as well, though a part of it went over."""
    first = months(nodes_of("ABC", "DEF"))
    later = months(nodes_of("ABCD", "EF"))
    assert later["A"] == later["D"] == first["A"] and later["E"] == first["D"]
    assert months.told() == [("split", first["D"], first["A"], 1, "no_longer_linked")]


def test_an_id_taken_by_a_larger_part_leaves_the_second_choice(months):
    first = months(nodes_of("ABCDEFG", "HI"))
    later = months(nodes_of("ABCD", "EFGHI"))
    assert later["A"] == first["A"] and later["H"] == later["E"] == first["H"]


def test_a_merge_undone_gives_back_the_id_of_before(months):
    first = months(nodes_of("A", "BC"))
    assert set(months(nodes_of("ABC")).values()) == {first["B"]}
    assert months(nodes_of("A", "BC")) == first
    assert months.told() == [("split", first["B"], first["A"], 1, "no_longer_linked")]


def test_the_hash_of_somebody_no_longer_delivered_is_not_given_away(months):
    taken = months(nodes_of("A", "B"))["A"]
    months.memory.ids.loc[months.memory.ids["customer_id"] == "A", "customer_id"] = "gone"
    later = months(nodes_of("A", "B"))
    assert later["A"] != taken and re.fullmatch("P[0-9a-f]{14}", later["A"])
    assert later == Months.__call__(_again(months, taken), nodes_of("A", "B"))


def _again(months: Months, taken: str) -> Months:
    """The same reports once more."""
    other = Months()
    assert other(nodes_of("A", "B"))["A"] == taken
    other.memory.ids.loc[other.memory.ids["customer_id"] == "A", "customer_id"] = "gone"
    return other


def test_three_months_in_a_row(months):
    first = months(nodes_of("AB", "C", "DE"))
    second = months(nodes_of("ABC", "D", "E", "F"))
    third = months(nodes_of("ABC", "DE", "F", "G"))
    assert second["A"] == third["C"] == first["A"] and third["D"] == third["E"] == second["D"] == first["D"]
    assert third["F"] == second["F"]
    told = months.memory.diary
    assert list(zip(told["as_of"], told["kind"], strict=True)) == [
        ("2026-02-28", "merged"), ("2026-02-28", "new"), ("2026-02-28", "split"),
        ("2026-03-28", "merged"), ("2026-03-28", "new"),
    ]  # fmt: skip


def test_records_left_out_once_are_met_again(months):
    first = months(nodes_of("A", "BC", "D"))
    second = months(nodes_of("A", "B"))
    assert second == {"A": first["A"], "B": first["B"]}
    assert months.told() == [("gone", first["D"], None, 1, "not_delivered")]
    assert months(nodes_of("A", "BC", "D")) == first
    assert months.told() == [("returned", first["D"], None, 1, "delivered_again")]


def test_all_records_gone_and_new_ones(months):
    first = months(nodes_of("A", "B"))
    later = months(nodes_of("X", "Y"))
    assert not set(first.values()) & set(later.values())
    assert sorted(row[0] for row in months.told()) == ["gone", "gone", "new", "new"]


def test_nobody(months):
    assert months(nodes_of()) == {} and months(nodes_of("A")) and months(nodes_of()) == {}


# ---- renumbered -------------------------------------------------------------------------------------------------

ZHANG = {"id_number": "110105198001010012", "name": "张三", "phone": "13800000001"}
LI = {"name": "李四", "phone": "13800000002"}
LEAD = {"phone": "13800000003"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (ZHANG, ZHANG | {"phone": "13800000009", "name": "章三"}, "id_number"),
        (LI, LI | {"name": "李 四"}, "name_and_phone"),
        (LEAD, LEAD | {"name": "王五"}, "phone"),
        (LI, LI | {"name": "李五"}, None),
        (LI, {"name": "李四"}, None),
    ],
)
def test_a_card_under_another_number_is_known_by_what_it_says(months, before, after, why):
    first = months(nodes_of("A", "B", A=before))
    later = months(nodes_of("N", "B", N=after))
    assert (later["N"] == first["A"]) == (why is not None) and later["B"] == first["B"]
    kinds = {row[0]: row[-1] for row in months.told()}
    assert kinds == ({"renumbered": why} if why else {"gone": "not_delivered", "new": "first_seen"})
    assert set(months.memory.ids["customer_id"]) == ({"N", "B"} if why else {"A", "B", "N"})


def test_what_two_persons_say_proves_nothing(months):
    first = months(nodes_of("A", "B", "C", A=LI, B=LI))
    assert months(nodes_of("N", "C", N=LI))["N"] not in first.values()
    one = Months()
    first = one(nodes_of("A", "C", A=LI))
    later = one(nodes_of("M", "N", "C", M=LI, N=LI))
    assert first["A"] not in (later["M"], later["N"])


def test_numbers_that_all_moved_by_one(months):
    """A new system counts anew: every number stands on another card now."""
    cards = [{"name": f"人{i}", "phone": f"1380000{i:04d}"} for i in range(9)]
    first = months(nodes_of(*"ABCDEFGH", **dict(zip("ABCDEFGH", cards, strict=False))))
    later = months(nodes_of(*"BCDEFGHI", **dict(zip("BCDEFGHI", cards, strict=False))))
    assert [later[c] for c in "BCDEFGHI"] == [first[c] for c in "ABCDEFGH"]
    assert {row[0] for row in months.told()} == {"renumbered"}


def test_a_card_that_says_something_else_under_its_number_keeps_its_person(months):
    first = months(nodes_of("A", "B", A=LI))
    assert months(nodes_of("A", "B", A=ZHANG | {"id_number": None})) == first


def test_texts_written_in_another_way_everywhere_change_no_id(months):
    said = {c: {"name": f"人{c}", "phone": f"1380000000{i}"} for i, c in enumerate("ABCD")}
    first = months(nodes_of(*"ABCD", **said))
    other = {c: {"name": f"REN {c}", "phone": f"138****000{i}"} for i, c in enumerate("ABCD")}
    assert months(nodes_of(*"ABCD", **other)) == first and months.told() == []


# ---- laws -------------------------------------------------------------------------------------------------------

CLUSTERS = st.lists(st.integers(0, 5), min_size=1, max_size=12)


def _nodes(labels: list[int], skip: set[int] = frozenset()) -> pd.DataFrame:
    rows = [(f"{i:02d}", g) for i, g in enumerate(labels) if i not in skip]
    frame = pd.DataFrame(rows, columns=["customer_id", "group"]).astype({"group": int})
    return frame.assign(source="dms")


@settings(max_examples=30)
@given(st.lists(st.tuples(CLUSTERS, st.sets(st.integers(0, 11), max_size=4)), min_size=2, max_size=4), st.randoms())
def test_laws_of_ids(reports, shuffled):
    months, before, met = Months(), None, {}
    for labels, skip in reports:
        nodes = _nodes(labels, skip)
        memory = months.memory
        ids = months(nodes)
        # every record has one id, every person one, nobody the id of another
        assert set(ids) == set(nodes["customer_id"]) and all(ids.values())
        assert nodes.assign(i=nodes["customer_id"].map(ids)).groupby("group")["i"].nunique().le(1).all()
        assert len(set(ids.values())) == nodes["group"].nunique()
        # numbers of groups do not matter
        names = list(range(6))
        shuffled.shuffle(names)
        renamed = nodes.assign(group=nodes["group"].map(dict(enumerate(names))))
        assert dict(zip(nodes["customer_id"], stable.assign(renamed, memory, KEY), strict=True)) == ids
        # who consists of the same records as last time has the same id
        parts = {frozenset(part) for _, part in nodes.groupby("group")["customer_id"]}
        if before is not None:
            assert all(len({before[c] for c in part} | {ids[c] for c in part}) == 1 for part in parts & met)
            told = months.entries
            moved = {(before[c], ids[c]) for c in before.keys() & ids.keys() if before[c] != ids[c]}
            said = told[told["kind"].isin(["merged", "split"])]
            pairs = set(zip(said["person_id"], said["other_person_id"], strict=True))
            assert moved <= pairs | {(b, a) for a, b in pairs}
        before, met = ids, parts


# ---- what is kept, and what is wrong with it ---------------------------------------------------------------------


@pytest.fixture
def state(tmp_path, months):
    """State after the report of June: the folder, and how to write another month's."""
    folder, build = tmp_path / "state/x", tmp_path / "build"
    (build / "20-customers").mkdir(parents=True)

    def report(as_of: date, nodes: pd.DataFrame) -> dict[str, str]:
        old = recall(folder, as_of)
        former = stable.follow(nodes, old, KEY)
        nodes = nodes.assign(person_id=stable.assign(nodes, old, KEY, former))
        write_frame(stable.mapped(nodes, former, old, as_of, KEY), build / "20-customers/identity_map.parquet")
        told = diary.written(diary.entries(nodes, old, as_of, former), old)
        write_frame(told, build / "20-customers/identity_diary.parquet")
        remember(folder, build, as_of.isoformat(), {"as_of": as_of.isoformat()})
        return dict(zip(nodes["customer_id"], nodes["person_id"], strict=True))

    report(JUNE, nodes_of("AB", "C"))
    return folder, report


def test_a_report_reads_what_is_strictly_older_and_replaces_its_own(state):
    folder, report = state
    assert recall(folder, JUNE).as_of is None and recall(folder, JULY).as_of == JUNE
    july = report(JULY, nodes_of("A", "B", "C"))
    kept = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*")}
    assert report(JULY, nodes_of("A", "B", "C")) == july
    assert {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*")} == kept
    assert sorted(str(name) for name in kept) == [
        f"{part}/{day}.{ending}"
        for part, ending in (("diary", "parquet"), ("identity", "parquet"), ("snapshots", "json"))
        for day in (JUNE, JULY)
    ]
    assert len(recall(folder, AUGUST).diary) == 1 == len(pq.read_table(folder / f"diary/{JULY}.parquet"))


def test_a_card_is_known_again_from_what_was_kept(state):
    folder, report = state
    july = report(JULY, nodes_of("A", "B", "C", "D", A=ZHANG, B=LI, C=LEAD))
    august = report(AUGUST, nodes_of("K", "L", "M", "D", K=ZHANG, L=LI, M=LEAD | {"name": "王五"}))
    assert [august[c] for c in "KLMD"] == [july[c] for c in "ABCD"]


def test_what_is_kept_is_for_nobody_else_and_names_nobody(state):
    folder, report = state
    report(JULY, nodes_of("A", A=ZHANG))
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(os.stat(path).st_mode) == (0o700 if path.is_dir() else 0o600), path
    kept = pq.read_table(folder / f"identity/{JULY}.parquet").to_pandas()
    assert not set(ZHANG.values()) & {str(value) for value in kept.to_numpy().ravel()}


def test_a_lost_state_gives_the_ids_of_a_first_report(state, months):
    folder, report = state
    for path in folder.rglob("*.parquet"):
        path.unlink()
    assert report(AUGUST, nodes_of("AB", "C")) == months(nodes_of("AB", "C"))


def _kept(path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas(types_mapper={pa.uint64(): pd.UInt64Dtype()}.get)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _other_table(path):
    write_frame(pd.DataFrame({"x": [1]}), path)


def _other_hashes(path):
    write_frame(_kept(path).assign(id_print="x"), path)


def _twice(path):
    frame = _kept(path)
    write_frame(pd.concat([frame, frame]), path)


def _gap(path):
    frame = _kept(path)
    write_frame(frame.assign(person_id=[None, *frame["person_id"][1:]]), path)


def _folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_cut, "it cannot be read"),
        (lambda path: path.write_bytes(b""), "it cannot be read"),
        (_folder, "it cannot be read"),
        (_other_table, "it has no source, customer_id, person_id, seen_on, id_print, who_print, phone_print"),
        (_other_hashes, "it has no id_print"),
        (_twice, "a record stands in it twice"),
        (_gap, "a value is missing in person_id"),
    ],
)
def test_a_damaged_or_foreign_map_is_named_with_what_to_do(state, damage, why):
    folder, _ = state
    damage(folder / f"identity/{JUNE}.parquet")
    with pytest.raises(UserError, match="backup") as refused:
        recall(folder, JULY)
    assert refused.value.what == f"data/state/x/identity/{JUNE}.parquet is damaged or not the kit's: {why}"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"as_of": "2026-06-30"}', '{"as_of": "2026-01-01", "facts": {}}'])
def test_a_damaged_snapshot_is_named(state, text):
    folder, _ = state
    assert memory_.last_snapshot(folder, JULY) == {"as_of": str(JUNE), "facts": {"as_of": str(JUNE)}}
    (folder / f"snapshots/{JUNE}.json").write_text(text)
    with pytest.raises(UserError, match=f"snapshots/{JUNE}.json is damaged"):
        memory_.last_snapshot(folder, JULY)


def test_a_report_of_nobody_is_kept_as_well(state):
    folder, report = state
    report(JULY, nodes_of())
    assert set(recall(folder, AUGUST).ids["customer_id"]) == set("ABC")
    assert report(AUGUST, nodes_of("AB", "C")) == report(JUNE, nodes_of("AB", "C"))


def test_files_that_are_no_reports_are_left_alone(state):
    folder, _ = state
    (folder / "identity/copy of June.parquet").write_bytes(b"x")
    (folder / "identity/2026-07-15.parquet.part").write_bytes(b"x")
    assert recall(folder, JULY).as_of == JUNE


def test_another_id_key_is_refused_in_words(months):
    months(nodes_of("A"))
    with pytest.raises(UserError, match="put the former id_key back"):
        stable.follow(nodes_of("A"), months.memory, "another")


def test_nothing_half_written_stays_when_writing_fails(state, monkeypatch):
    folder, report = state
    before = {p: p.read_bytes() for p in folder.rglob("*.*")}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory_.Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        report(JULY, nodes_of("A"))
    assert {p: c for p, c in ((p, p.read_bytes()) for p in folder.rglob("*.*")) if p.suffix != ".part"} == before
    monkeypatch.undo()
    report(JULY, nodes_of("A"))
    assert not list(folder.rglob("*.part"))


# ---- decisions --------------------------------------------------------------------------------------------------

HEAD = "verdict,source_a,customer_a,source_b,customer_b,note,decided_on"


def decided(folder, *lines: str, head: str = HEAD, encoding: str = "utf-8") -> pd.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decisions.csv").write_bytes("\r\n".join([head, *lines, ""]).encode(encoding))
    return recall(folder, JUNE).decisions


def places(pairs: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(pairs["a"], pairs["b"], strict=True))


def test_no_file_decides_nothing(tmp_path):
    given = recall(tmp_path, JUNE).decisions
    assert given.empty
    must, cannot = decisions.forced(given, nodes_of("A"))
    assert must.empty and cannot.empty


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_decisions_as_excel_saves_them(tmp_path, encoding, delimiter):
    lines = [
        "same,dms,A,dms,B,是同一人,2026/9/1",
        ",,,,,,",
        " Different ,dms,A,dms, C ,,",
        "不同人,dms,A,dms,Z,,2026-09-01",
    ]
    given = decided(
        tmp_path, *(x.replace(",", delimiter) for x in lines), head=HEAD.replace(",", delimiter), encoding=encoding
    )
    nodes = nodes_of("A", "B", "C")
    must, cannot = decisions.forced(given, nodes)
    assert places(must) == [(0, 1)] and places(cannot) == [(0, 2)]
    assert decisions.counts(given, nodes) == {"same": 1, "different": 1, "waiting": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("maybe,dms,A,dms,B,,", r"line 2: verdict = m\*\*\*.*; allowed: same, different"),
        ("same,dms,,dms,B,,", "line 2: customer_a is empty"),
        ("same,dms,A,dms,A,,", "line 2: a record is compared with itself"),
        ("same,dms,A,dms,B,,soon", r"line 2: decided_on = s\*\*\*; allowed: year, month and day"),
        ("same,dms", "line 2: customer_a is empty"),
    ],
)
def test_a_bad_decision_is_named_with_its_line(tmp_path, line, said):
    with pytest.raises(UserErrors, match=said):
        decisions.checked(decided(tmp_path, line))


def test_all_bad_decisions_are_named_at_once_up_to_a_number(tmp_path):
    with pytest.raises(UserErrors) as refused:
        decisions.checked(decided(tmp_path, *["maybe,dms,A,dms,B,,"] * 30))
    assert len(refused.value.problems) == 21 and refused.value.problems[-1] == "and 10 more"
    assert refused.value.exit_code == 2


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserErrors, match="the first line names 姓名, 电话"):
        decisions.checked(decided(tmp_path, "张三,1", head="姓名,电话"))
    with pytest.raises(UserErrors, match="the first line names 3 cells that look like data"):
        decisions.checked(decided(tmp_path, head="张三,C00001,13800138000"))
    (tmp_path / "decisions.csv").write_bytes(b"\xff\xff\x00\x81")
    with pytest.raises(UserError, match="neither UTF-8 nor GB18030"):
        recall(tmp_path, JUNE)
    with pytest.raises(UserError, match="line 2: not CSV"):
        decided(tmp_path, 'same,"dms"x,A,dms,B,,')


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_file_without_its_first_line_is_refused_whatever_it_holds(tmp_path, rows):
    row = "same,dms,C00001,dms,C00011,张伟 13800138000"
    given = decided(tmp_path, *[row] * rows, head=row)
    with pytest.raises(UserErrors, match="the first line names no columns but is a decision") as refused:
        decisions.checked(given)
    assert not [cell for cell in row.split(",")[2:] if cell.lower() in str(refused.value)]


@pytest.mark.parametrize("head", [HEAD, ""])
def test_a_file_without_decisions_decides_nothing(tmp_path, head):
    assert list(decisions.checked(decided(tmp_path, head=head))["verdict"]) == []


def test_contradictions_are_named_with_their_lines(tmp_path):
    given = decided(
        tmp_path, "same,dms,A,dms,B,,", "same,dms,B,dms,C,,", "different,dms,C,dms,A,,", "different,dms,A,dms,D,,"
    )
    with pytest.raises(UserErrors, match="line 4 says different, lines 2, 3 together say same"):
        decisions.checked(given)
    with pytest.raises(UserErrors, match="line 3 says different, line 2 says same"):
        decisions.checked(decided(tmp_path, "same,dms,A,dms,B,,", "different,dms,B,dms,A,,"))


def people(*records: dict) -> list[dict]:
    return [{"customer_id": chr(65 + i), "name": f"无名{i}"} | r for i, r in enumerate(records)]


@pytest.fixture(scope="module")
def identified(clean_of):
    """Persons of records given by hand, after decisions: their customer numbers, as text."""
    made = clean_of(
        {
            "vehicles": [],
            "service_orders": [],
            "customers": people(
                {"name": "张三", "phone": "13800000001"},
                {"name": "张三", "phone": "13800000001"},
                {"name": "张三", "phone": "13800000001"},
                {"name": "李四", "phone": "13800000002"},
                {"name": "王五", "phone": "13800000003", "id_number": "11010519800101001X"},
            ),
        }
    )

    def run(*rows: tuple[str, str, str], memory: Memory | None = None):
        given = pd.DataFrame(rows, columns=["verdict", "customer_a", "customer_b"]).assign(
            source_a="dms", source_b="dms"
        )
        old = memory or Memory()
        memory = Memory(ids=old.ids, as_of=old.as_of, diary=old.diary, decisions=given)
        return identify(*made, Params.model_validate({"dealer": "x", "display_name": "X"}), JUNE, memory)

    return run


def groups(result) -> list[str]:
    return sorted("".join(sorted(part)) for _, part in result.records.groupby("person_id")["customer_id"])


def test_decisions_beat_every_rule(identified):
    assert groups(identified()) == ["ABC", "D", "E"]
    assert groups(identified(("same", "D", "E"))) == ["ABC", "DE"]
    assert groups(identified(("different", "A", "B"))) in (["AC", "B", "D", "E"], ["A", "BC", "D", "E"])
    assert groups(identified(("different", "A", "B"), ("same", "B", "C"))) == ["A", "BC", "D", "E"]
    assert groups(identified(("different", "A", "B"), ("different", "B", "C"), ("different", "A", "C")))[:3] == [
        "A",
        "B",
        "C",
    ]
    assert groups(identified(("same", "A", "E"), ("different", "A", "B"), ("different", "C", "E"))) == ["AE", "BC", "D"]
    result = identified(("same", "A", "Z"))
    assert groups(result) == ["ABC", "D", "E"] and result.decisions == {"same": 0, "different": 0, "waiting": 1}


def test_a_decision_is_the_reason_in_the_diary(identified):
    before = identified()
    old = Memory(ids=before.map.assign(seen_on="2026-05-31"), as_of=date(2026, 5, 31))
    assert identified(memory=old).diary.empty
    told = identified(("same", "D", "E"), ("different", "A", "B"), ("different", "A", "C"), memory=old).diary
    assert [tuple(row) for row in told[["kind", "records_count", "why"]].values] == [
        ("merged", 1, "decision"),
        ("split", 1, "decision"),
    ]


# ---- a second month of a generated dealer --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_months(tmp_path_factory):
    """Two exports of a dealer with 3,000 customers, a month apart."""
    folder = tmp_path_factory.mktemp("months")
    before = bench.month(folder, 3000, 11, 0)
    return before, bench.month(folder, 3000, 11, 1, before.memory())


def test_a_second_month_keeps_the_ids_of_whom_the_truth_did_not_change(two_months):
    before, after = two_months
    assert (before.as_of, after.as_of) == (date(2026, 9, 30), date(2026, 10, 31))
    figures = bench.ids_kept(before, after)
    assert figures["unchanged"] > 2900 and figures["kept_share"] >= 0.995


def test_the_diary_lists_the_rest(two_months):
    before, after = two_months
    assert bench.ids_kept(before, after)["explained_share"] == 1
    told, changes = after.found.diary, after.truth("changes")
    assert set(told["as_of"]) == {"2026-10-31"} and before.found.diary.empty
    # every card under another number is known again, and nobody who was there is new or gone for it
    moved = changes[(changes["table"] == "customers") & (changes["kind"] == "card_renumbered")]
    old, new = (m.found.records.set_index("customer_id")["person_id"] for m in two_months)
    assert len(moved) and (old[moved["old"]].to_numpy() == new[moved["new"]].to_numpy()).all()
    assert set(old[moved["old"]]) <= set(told.loc[told["kind"] == "renumbered", "person_id"])
    gone = told.loc[told["kind"] == "gone", "person_id"]
    assert not set(gone) & set(new) and set(gone) <= set(old)
    fresh = told.loc[told["kind"] == "new", "person_id"]
    assert not set(fresh) & set(old) and set(fresh) <= set(new)


def test_cars_that_left_are_found_a_month_later_as_well(two_months):
    figures = bench.owners_left(two_months[1])
    assert figures["precision"] >= 0.98
    assert all(figures[f"recall {how}"] >= 0.95 for how in ("traded_in", "resold", "recorded"))
    assert figures["recall plate_moved"] >= 0.6 and figures["recall silence"] == 0
    assert abs(figures["chance"] - figures["gone_share"]) < 0.08
