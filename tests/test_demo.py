"""The invented dealers: same bytes, valid identifiers, believable behaviour, faults that are really there."""

from __future__ import annotations

import json
import re
import unicodedata
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dealerkit import params, tables
from dealerkit.demo import dirt, export, generate, ids
from dealerkit.errors import UserError
from stdnum.cn import ric, uscc

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "data" / "raw"
AS_OF = pd.Timestamp("2026-09-30")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both dealers as they ship: dealer → (raw folder, truth folder)."""
    base = tmp_path_factory.mktemp("made")
    for dealer in ("demo", "demo_cn"):
        generate(dealer, base / dealer / "raw", base / dealer / "truth")
    return {dealer: (base / dealer / "raw", base / dealer / "truth") for dealer in ("demo", "demo_cn")}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A dealer of 12,000 with another seed, for rates."""
    base = tmp_path_factory.mktemp("large")
    generate("demo", base / "raw", base / "truth", customers=12_000, seed=11)
    return base / "raw", base / "truth"


def read(folder: Path, table: str) -> pd.DataFrame:
    """A table of `demo` as text under canonical names, without title lines, blank lines and the total row."""
    titles = len(export.TITLES.get(table, []))
    frame = pd.read_csv(folder / export.ENGLISH_FILES[table], dtype=str, keep_default_na=False, skiprows=titles)
    index = tables.header_index(tables.TABLES[table])
    frame = frame.rename(columns={header: index[tables.fold(header)] for header in frame.columns})
    return frame[frame.iloc[:, 0] != "Total"].reset_index(drop=True)


def truth(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def plain(text: str) -> str:
    """Half width, no spaces, upper case."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).upper()


def sound(folder: Path, faults: pd.DataFrame, table: str, column: str) -> pd.Series:
    """Filled cells of a column in rows that have no fault recorded."""
    frame = read(folder, table)
    key = frame[list(tables.TABLES[table].key)].agg("/".join, axis=1)
    touched = faults[(faults["table"] == table) & (faults["column"] == column)]
    return frame.loc[
        ~key.isin(touched["key"]) & ~frame[column].isin(touched["raw_value"]) & (frame[column] != ""), column
    ]


# -- bytes, sizes, places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dealer", ["demo", "demo_cn"])
def test_the_shipped_files_are_what_the_generator_writes(made, dealer):
    fresh, shipped = made[dealer][0], RAW / dealer
    assert sorted(p.name for p in fresh.iterdir()) == sorted(p.name for p in shipped.iterdir())
    for path in fresh.iterdir():
        if path.suffix == ".xlsx" and path.read_bytes() != (shipped / path.name).read_bytes():
            # another zlib packs the same sheets into other bytes
            with zipfile.ZipFile(path) as a, zipfile.ZipFile(shipped / path.name) as b:
                assert a.namelist() == b.namelist()
                assert all(a.read(n) == b.read(n) for n in a.namelist()), path.name
        else:
            assert path.read_bytes() == (shipped / path.name).read_bytes(), path.name


def test_the_shipped_files_stay_small_and_say_that_they_are_invented():
    assert sum(p.stat().st_size for p in RAW.glob("demo*/*")) < 12_000_000
    assert "invented" in (RAW / "README.md").read_text(encoding="utf-8")
    assert params.load(ROOT / "params" / "demo.yaml").invented
    assert params.load(ROOT / "params" / "demo_cn.yaml").invented


def test_same_seed_same_bytes_and_another_seed_other_data(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate("demo", tmp_path / name / "raw", tmp_path / name / "truth", customers=200, seed=seed)
    for path in (tmp_path / "a").rglob("*.*"):
        same = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == same.read_bytes(), path.name
    people = {name: set(read(tmp_path / name / "raw", "customers")["id_number"]) - {""} for name in "ac"}
    assert len(people["a"]) > 100 and not people["a"] & people["c"]


def test_size_counts_persons(tmp_path):
    rows = generate("demo", tmp_path / "raw", tmp_path / "truth", customers=200, seed=1)
    assert 200 <= rows["customers"] <= 240
    assert len(read(tmp_path / "raw", "customers")) == rows["customers"]
    persons = truth(tmp_path / "truth", "persons")
    assert len(persons) >= 200 and persons["person_id"].is_unique


def test_blocks_do_not_share_keys(tmp_path, monkeypatch):
    monkeypatch.setattr("dealerkit.demo.world.BLOCK", 150)
    generate("demo", tmp_path / "raw", tmp_path / "truth", customers=450, seed=2)
    kinds = truth(tmp_path / "truth", "faults")["kind"].value_counts()
    for table in ("customers", "vehicles", "service_orders", "interactions", "leads"):
        frame = read(tmp_path / "raw", table).drop_duplicates()
        repeated = frame[tables.TABLES[table].key[0]].duplicated().sum()
        assert repeated == (kinds["order_id_repeated"] if table == "service_orders" else 0), table
    persons = truth(tmp_path / "truth", "persons")
    assert persons["person_id"].is_unique and len(read(tmp_path / "raw", "staff")) == 24


@pytest.mark.parametrize(
    "given, said",
    [
        ({"dealer": "nobody"}, "no invented dealer 'nobody'"),
        ({"customers": 3}, "--customers 3 is out of range"),
        ({"dealer": "demo_cn", "customers": 900_000}, "out of range"),
        ({"seed": -1}, "--seed -1 is out of range"),
    ],
)
def test_mistakes_are_refused_in_words(tmp_path, given, said):
    with pytest.raises(UserError, match=re.escape(said)):
        generate(**{"dealer": "demo", "raw_dir": tmp_path / "r", "truth_dir": tmp_path / "t"} | given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("raw, hidden", [("d", "d/truth"), ("d/raw", "d"), ("d", "d")])
def test_the_truth_never_lies_with_the_raw_files(tmp_path, raw, hidden):
    with pytest.raises(UserError, match="truth"):
        generate("demo", tmp_path / raw, tmp_path / hidden)


def test_an_unwritable_folder_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        generate("demo", tmp_path / "file" / "raw", tmp_path / "truth")


def test_no_raw_file_tells_the_truth(made):
    for raw, hidden in made.values():
        secret = set(truth(hidden, "persons")["person_id"].head(50)) | {"drives_little", "went_elsewhere"}
        for path in raw.iterdir():
            if path.suffix != ".xlsx":
                text = path.read_bytes().decode(
                    "gb18030" if path.suffix == ".csv" and raw.parent.name == "demo_cn" else "utf-8", "replace"
                )
                assert not [s for s in secret if s in text], path.name


# -- tables and headers -----------------------------------------------------------------------------------------


def test_every_column_of_every_table_is_filled(made):
    for name, table in tables.TABLES.items():
        frame = read(made["demo"][0], name)
        assert list(frame.columns) == table.names
        assert len(frame) >= 20
        empty = [c for c in frame if (frame[c] == "").all()]
        assert not empty, (name, empty)


def test_headers_of_demo_cn_are_found_by_name_or_by_the_params():
    entries = params.load(ROOT / "params" / "demo_cn.yaml").files
    assert {t for e in entries for t in e.tables} == set(tables.TABLES)
    extras = set(export.CN_EXTRAS.values())
    for path in sorted(p for p in (RAW / "demo_cn").glob("*.csv") if p.name not in extras):
        entry = next(e for e in entries if path.match(e.file))
        encoding = "utf-8-sig" if entry.source == "callcentre" else "gb18030"
        lines = path.read_text(encoding=encoding).splitlines()
        header = next(line for line in lines if line.count(",") > 1).split(",")
        for name in entry.tables:
            index = tables.header_index(tables.TABLES[name])
            found = {index.get(tables.fold(h)) for h in header} | set(entry.columns)
            assert set(entry.columns.values()) <= set(header)
            assert not any(tables.fold(h) in index for h in entry.columns.values()), "a mapping that is not needed"
            assert {c.name for c in tables.TABLES[name].columns if c.required} <= found


def test_demo_yaml_documents_every_key():
    text = (ROOT / "params" / "demo.yaml").read_text(encoding="utf-8")
    schema = params.schema()
    keys = set(schema["properties"]) | {k for d in schema["$defs"].values() for k in d.get("properties", {})}
    missing = [k for k in sorted(keys) if not re.search(rf"(^|[\s{{,#-]){k}:", text, re.M)]
    assert not missing
    part, told = "", set()  # a further entry of a list need not say again what the first one says
    for line_before, line in zip(text.splitlines(), text.splitlines()[1:]):
        part = line.partition(":")[0] if re.match(r"[a-z]", line) else part
        if found := re.match(r" *[a-z_0-9]+:", line):
            commented = line_before.strip().startswith("#")
            assert commented or (part, found[0]) in told, f"no comment above {line.strip()}"
            told |= {(part, found[0])} if commented else set()


def test_the_call_centre_has_numbers_of_its_own(made):
    raw, hidden = made["demo_cn"]
    calls = pd.read_csv(raw / export.CN_CALLS, sep="\t", dtype=str, encoding="utf-8-sig", keep_default_na=False)
    records = truth(hidden, "records")
    own = records[records["source"] == "callcentre"].set_index("customer_id")["person_id"]
    assert set(calls["客户编号"]) == set(own.index) and own.is_unique
    assert calls.groupby("客户编号")[["来电人", "来电号码"]].nunique().to_numpy().max() == 1
    assert own.isin(records.loc[records["source"] == "dms", "person_id"]).all()
    assert calls["来电人"].str.contains("先生|女士").mean() == pytest.approx(0.42, abs=0.08)
    agents = pd.read_csv(raw / export.CN_AGENTS, dtype=str, encoding="utf-8-sig")
    assert set(calls["坐席工号"]) == set(agents["坐席工号"])


# -- identifiers ------------------------------------------------------------------------------------------------


def test_id_numbers_are_valid_unless_planted_otherwise(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    numbers = sound(raw, faults, "customers", "id_number")
    assert len(numbers) > 1000
    assert all(ric.is_valid(v) or uscc.is_valid(v) for v in numbers)
    bad = faults[faults["kind"] == "id_check_digit"]
    assert len(bad) > 5
    assert not any(ric.is_valid(v) for v in bad["raw_value"])
    assert all(ric.is_valid(v) for v in bad["true_value"])


def test_birth_and_sex_agree_with_the_id_number_unless_planted_otherwise(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    c = read(raw, "customers")
    c = c[~c["customer_id"].isin(faults.loc[faults["table"] == "customers", "key"])]
    c = c[(c["customer_type"] == "person") & (c["id_number"] != "")]
    odd = c["id_number"].str[16].astype(int) % 2 == 1
    assert (odd == (c["gender"] == "male")).all()
    born = c[c["birth_date"] != ""]
    assert (born["birth_date"].str.replace("-", "") == born["id_number"].str[6:14]).all()
    assert len(born) > 500


def vin_is_valid(vin: str) -> bool:
    """Check digit by the published table, written out apart from the generator."""
    letters = dict(
        zip("ABCDEFGHJKLMNPRSTUVWXYZ", [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9])
    )
    weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]
    total = sum(w * (int(c) if c.isdigit() else letters[c]) for c, w in zip(vin, weights))
    return vin[8] == "0123456789X"[total % 11]


def test_the_vin_check_of_this_test_knows_a_published_vin():
    assert vin_is_valid("1M8GDM9AXKP042788") and not vin_is_valid("1M8GDM9A1KP042788")


def test_vins_have_check_digit_and_year_unless_planted_otherwise(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    wrong = set(faults.loc[faults["kind"] == "vin_check_digit", "raw_value"])
    cars = read(raw, "vehicles")
    cars["vin"] = cars["vin"].map(plain)
    assert cars["vin"].is_unique and cars["vin"].str.fullmatch(r"[A-HJ-NPR-Z0-9]{17}").all()
    assert {v for v in cars["vin"] if not vin_is_valid(v)} == wrong and wrong
    years = dict(zip("FGHJKLMNPRSTV", range(2015, 2028)))
    assert (cars["vin"].str[9].map(years) == cars["model_year"].astype(int)).all()


def test_plates_fit_the_car_unless_planted_otherwise(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    cars = read(raw, "vehicles")
    cars = cars[~cars["vin"].isin(faults.loc[faults["column"] == "plate", "key"])]
    pattern = {"petrol": r"浙[A-HJ-NP-Z][A-HJ-NP-Z0-9]{5}", "hybrid": r"浙[A-HJ-NP-Z][A-HJ-NP-Z0-9]{5}",
               "plug-in hybrid": r"浙[A-HJ-NP-Z][FK][A-HJ-NP-Z0-9]\d{4}", "electric": r"浙[A-HJ-NP-Z][DE][A-HJ-NP-Z0-9]\d{4}"}  # fmt: skip
    assert set(cars["energy_type"]) == set(pattern)
    # a plate that moved to the owner's next car is struck from the old one, or was forgotten there
    owner = truth(hidden, "cars").query("not second_hand").set_index("vin")["person_id"]
    filled = cars[cars["plate"] != ""].assign(person=lambda f: f["vin"].map(plain).map(owner))
    assert len(cars) - len(filled) < 0.03 * len(cars)
    assert all(re.fullmatch(pattern[e], p) for e, p in zip(filled["energy_type"], filled["plate"]))
    assert (filled.groupby("plate")["person"].nunique() == 1).all()
    assert 3 <= filled["plate"].duplicated().sum() < 0.03 * len(cars)


def test_phones_are_mobile_numbers_that_nobody_has(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    for table in ("customers", "leads", "contacts", "staff"):
        phones = sound(raw, faults, table, "phone")
        assert phones.str.fullmatch(r"1(54|6[013489])\d{8}").all()
    assert read(raw, "customers")["email"].str.fullmatch(r"|[a-z]+\.\d+@(mail|office)\.example\.com").all()


def test_identifiers_never_repeat_over_a_million():
    index = np.arange(0, 1_200_000, 7)
    day, slot = ids.birth_day(index, np.full(len(index), 8000), 12345)
    assert len(set(zip(day.tolist(), slot.tolist()))) == len(index)
    assert len(set(ids.mobiles(index, 5).tolist())) == len(index)
    assert len(set(ids.plates(index, np.where(index % 2, "ice", "bev"), 5).tolist())) == len(index)


# -- behaviour --------------------------------------------------------------------------------------------------


def test_an_active_car_has_about_2_2_settled_orders_a_year(large):
    raw, hidden = large
    cars = truth(hidden, "cars")
    begin = cars["owned_from"].clip(lower=pd.Timestamp("2020-10-01"))
    end = cars["churned_on"].fillna(AS_OF)
    years = ((end - begin).dt.days.clip(lower=0) / 365.25).sum()
    orders = read(raw, "service_orders")["order_id"].nunique()
    assert orders / years == pytest.approx(2.2, abs=0.2)


def test_about_3_8_percent_of_owners_replace_within_180_days(large):
    cars = truth(large[1], "cars")
    owners = cars.loc[~cars["second_hand"], "person_id"].nunique()
    window = cars[(cars["owned_to"] > AS_OF - pd.Timedelta(days=180)) & (cars["owned_to"] <= AS_OF)]
    seen = window[window["replaced_here"] | window["disposal_recorded"]]
    assert seen["person_id"].nunique() / owners == pytest.approx(0.038, abs=0.006)


def test_a_car_is_kept_6_4_years_on_average(large):
    cars = truth(large[1], "cars")
    new = cars[~cars["second_hand"]]
    years = (new["owned_to"] - new["owned_from"]).dt.days / 365.25
    assert years.mean() == pytest.approx(6.4, abs=0.2)
    months = (years * 12).round()
    assert 66 <= months.groupby((months // 6) * 6).size().idxmax() <= 78


def test_customers_leave_steeply_when_the_warranty_ends(large):
    raw, hidden = large
    cars = truth(hidden, "cars").query("~second_hand").drop_duplicates("vin").set_index("vin")
    vehicles = read(raw, "vehicles")
    vehicles["vin"] = vehicles["vin"].map(plain)
    ends = pd.to_datetime(vehicles.set_index("vin")["warranty_ends_on"], errors="coerce").reindex(cars.index)
    left = cars["churned_on"].where(cars["cause"] == "went_elsewhere")
    held = cars["owned_to"].clip(upper=AS_OF)

    def hazard(begin, end):
        at_risk = ((left.isna() | (left > begin)) & (held > end)).sum()
        return ((left > begin) & (left <= end) & (held > end)).sum() / at_risk

    year = pd.Timedelta(days=365)
    assert hazard(ends, ends + year) > 2 * hazard(ends - year, ends)
    assert hazard(cars["owned_from"], cars["owned_from"] + year) < 0.5 * hazard(ends - year, ends)


def test_types_differ_in_frequency_and_money(large):
    raw, hidden = large
    person = truth(hidden, "records").set_index("customer_id")["person_id"]
    segment = truth(hidden, "persons").set_index("person_id")["segment"]
    orders = read(raw, "service_orders").drop_duplicates("order_id")
    orders["person"] = orders["customer_id"].map(person)
    orders["segment"] = orders["person"].map(segment)
    orders["total"] = pd.to_numeric(orders["total_yuan"], errors="coerce")
    frequency = orders.groupby("segment").size() / orders.groupby("segment")["person"].nunique()
    money = orders[orders["order_type"] == "maintenance"].groupby("segment")["total"].median()
    assert frequency["road"] > 1.8 * frequency["seldom"] and frequency["loyal"] > frequency["bargain"]
    assert money["comfort"] > 1.3 * money["bargain"]
    assert set(segment) == {"loyal", "comfort", "bargain", "road", "seldom"}


@pytest.fixture(scope="module", params=["apart", "none"])
def planted(request, tmp_path_factory):
    """(kind, owners of two years or more with what the files tell of them, about.json) of dealers with other types."""
    base = tmp_path_factory.mktemp(request.param)
    generate("demo", base / "raw", base / "truth", customers=1_500, seed=3, kind=request.param)
    person = truth(base / "truth", "records").set_index("customer_id")["person_id"]
    orders = read(base / "raw", "service_orders").drop_duplicates("order_id")
    orders["person_id"] = orders["customer_id"].map(person)
    orders["total"] = pd.to_numeric(orders["total_yuan"], errors="coerce")
    orders["maintained"] = orders["order_type"] == "maintenance"
    cars = (
        truth(base / "truth", "cars").groupby("person_id").agg(since=("owned_from", "min"), km=("km_per_year", "max"))
    )
    seen = orders.groupby("person_id").agg(
        visits=("order_id", "size"), yuan=("total", "median"), maintained=("maintained", "mean")
    )
    owners = truth(base / "truth", "persons").set_index("person_id").join(cars, how="inner").join(seen)
    owners["visits"] /= ((AS_OF - owners["since"].clip(lower=pd.Timestamp("2020-10-01"))).dt.days / 365.25).clip(
        lower=1
    )
    owners = owners[owners["since"] < AS_OF - pd.Timedelta(days=730)].assign(
        left=lambda o: o.index.isin(truth(base / "truth", "cars").query("cause != 'active'")["person_id"])
    )
    return request.param, owners, json.loads((base / "truth" / "about.json").read_text())


def test_about_names_the_types_and_the_truth_has_them(planted):
    kind, owners, about = planted
    names = {"apart": ["city", "road", "repair", "comfort"], "none": ["one"]}[kind]
    assert about["types"] == {"kind": kind, "segments": names}
    assert set(owners["segment"]) == set(names)
    assert (owners["customer_type"] == "person").all() and owners["left"].mean() < 0.05


def test_types_apart_hardly_overlap_and_a_single_type_has_one_hump(planted):
    kind, owners, _ = planted
    logs = np.log(owners[["visits", "yuan", "km"]]).assign(maintained=4 * owners["maintained"]).dropna()
    if kind == "apart":
        middles = logs.groupby(owners["segment"]).median()
        distance = ((logs.to_numpy()[:, None, :] - middles.to_numpy()[None]) ** 2).sum(axis=2)
        nearest = middles.index[distance.argmin(axis=1)]
        assert (nearest == owners["segment"].reindex(logs.index)).mean() > 0.97
    else:
        for name, values in logs.items():
            bars = np.histogram(values, bins=np.quantile(values, 0.5) + np.linspace(-2.5, 2.5, 9) * values.std())[0]
            top = bars.argmax()
            assert (np.diff(bars[: top + 1]) >= -12).all() and (np.diff(bars[top:]) <= 12).all(), (name, bars)


def test_unknown_types_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="(?s)--types appart is not known.*use one of usual, apart, none"):
        generate("demo", tmp_path / "raw", tmp_path / "truth", customers=100, kind="appart")
    assert not list(tmp_path.iterdir())


def test_amounts_are_believable(large):
    orders = read(large[0], "service_orders")
    total = pd.to_numeric(orders["total_yuan"], errors="coerce")
    lines = read(large[0], "service_lines")
    oil = total[orders["order_id"].isin(lines.loc[lines["item_code"] == "M01", "order_id"])]
    assert 300 <= oil.quantile(0.1) and oil.median() <= 600
    accident = total[orders["order_type"] == "accident"]
    assert 2000 <= accident.quantile(0.1) and accident.quantile(0.9) <= 6000
    pads = pd.to_numeric(lines.loc[lines["item_code"] == "P106", "amount_yuan"], errors="coerce")
    assert 600 <= pads.median() <= 1000
    km = truth(large[1], "cars")["km_per_year"]
    assert 10_000 <= km.mean() <= 15_000


def test_lines_add_up_to_their_order_unless_planted_otherwise(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    lines, orders = read(raw, "service_lines"), read(raw, "service_orders")
    touched = set(faults.loc[faults["table"] == "service_lines", "key"].str.split("/").str[0])
    touched |= set(faults.loc[faults["table"] == "service_orders", "key"])
    done = lines[(lines["status"] == "done") & ~lines["order_id"].isin(touched)]
    sums = done.assign(amount=done["amount_yuan"].astype(float)).pivot_table(
        index="order_id", columns="kind", values="amount", aggfunc="sum", fill_value=0
    )
    orders = orders[~orders["order_id"].isin(touched)].set_index("order_id")
    assert len(orders) > 10_000
    labour, parts = orders["labour_yuan"].astype(float), orders["parts_yuan"].astype(float)
    assert (labour == sums["labour"].reindex(orders.index)).all()
    assert (parts == sums["part"].reindex(orders.index)).all()
    discount = pd.to_numeric(orders["discount_yuan"]).fillna(0)
    assert (orders["total_yuan"].astype(float) == labour + parts - discount).all()


def test_effect_of_a_call_differs_and_is_not_risk(large):
    uplift = truth(large[1], "uplift")
    effect, risk = (truth(large[1], "persons")[c] for c in ("call_effect", "risk"))
    assert 0.7 < effect.std() / effect.mean() < 1.4
    assert np.corrcoef(effect, risk)[0, 1] == pytest.approx(-0.3, abs=0.05)
    assert 0.1 < (effect < 0).mean() < 0.25
    came = read(large[0], "campaigns")
    came["came"] = came["responded_on"] != ""
    rate = came.groupby("arm")["came"].mean()
    gain = uplift["comes_treated"].mean() - uplift["comes_untreated"].mean()
    assert 0.03 < gain < 0.12
    assert rate["treated"] - rate["control"] == pytest.approx(gain, abs=0.03)


def test_silent_owners_cars_come_back_with_somebody_else(large):
    cars = truth(large[1], "cars")
    shares = cars["cause"].value_counts(normalize=True)
    assert set(shares.index) == {"active", "went_elsewhere", "sold", "traded_in", "drives_little"}
    assert shares.min() > 0.01
    twice = cars[cars["vin"].isin(cars.loc[cars["second_hand"], "vin"])].sort_values(["vin", "owned_from"])
    first, second = twice[~twice["second_hand"]], twice[twice["second_hand"]]
    assert len(second) > 100
    assert (second["owned_from"].to_numpy() > first["owned_to"].to_numpy()).all()
    assert (second["person_id"].to_numpy() != first["person_id"].to_numpy()).all()


def test_visits_run_from_six_years_back_to_the_day_of_the_export(made):
    faults = truth(made["demo"][1], "faults")
    opened = sound(made["demo"][0], faults, "service_orders", "opened_at").str[:10]
    assert opened.min() >= "2020-10-01" and opened.max() == "2026-09-30"
    per_month = opened.str[:7].value_counts()
    assert per_month["2026-09"] > 0.6 * per_month["2026-06"]


# -- faults -----------------------------------------------------------------------------------------------------

KINDS = {
    "customers": "duplicate_customer exact_duplicate_row phone_missing phone_shared_by_many phone_is_staff phone_of_relative id_check_digit birth_contradicts_id "
    "gender_contradicts_id sale_before_birth phone_prefixed phone_spaced phone_full_width phone_malformed date_format",
    "vehicles": "vin_check_digit plate_malformed new_energy_plate_on_petrol_car vin_lower_case_spaced money_symbol money_in_wan date_format",
    "service_orders": "odometer_rollback total_mismatch negative_money warranty_after_end orphan_customer orphan_vin settled_before_opened visit_before_sale future_date "
    "date_before_1980 bulk_in_one_minute suspicious_repeat vin_lower_case_spaced text_in_money money_symbol date_format digits_full_width exact_duplicate_row order_id_repeated",
    "service_lines": "orphan_order negative_money text_in_money exact_duplicate_row",
    "interactions": "identical_complaint orphan_customer score_out_of_range survey_score_faked survey_own_phone exact_duplicate_row blank_line",
    "leads": "closed_before_created phone_prefixed phone_spaced phone_full_width phone_malformed date_format exact_duplicate_row",
    "sales_orders": "date_before_1980 text_in_money money_symbol money_in_wan date_format total_row",
    "contacts": "phone_prefixed phone_spaced phone_full_width phone_malformed",
    "campaigns": "orphan_customer title_lines",
    "staff": "adviser_with_faked_scores adviser_with_repeats",
    "insurance_policies": "money_symbol vin_lower_case_spaced orphan_vin exact_duplicate_row",
    "shop_orders": "money_symbol orphan_customer exact_duplicate_row",
}  # fmt: skip


def test_every_kind_of_fault_is_planted(made):
    faults = truth(made["demo"][1], "faults")
    planted = {table: set(f["kind"]) for table, f in faults.groupby("table")}
    assert planted == {table: set(kinds.split()) for table, kinds in KINDS.items()}
    # the advisers who fake have other ways in the other dealer
    other = set(faults["kind"]) - {"survey_own_phone"} | {"survey_phone_changed"}
    assert set(truth(made["demo_cn"][1], "faults")["kind"]) == other


def same(text: str, raw: str | None, column: tables.Column) -> bool:
    """Whether a delivered cell holds the value recorded as faulty."""
    if raw is None:
        return text == ""
    if text == raw or text.removesuffix(" 00:00") == raw:
        return True
    if column.type in ("code", "bool"):
        return tables.code_index(column).get(tables.fold(text)) == raw
    try:
        return float(text) == float(raw)
    except ValueError:
        return False


def test_each_recorded_fault_is_really_in_the_files(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    faults = faults[(faults["column"] != "") & ~faults["kind"].isin(["duplicate_customer", "order_id_repeated"])]
    assert len(faults) > 1500
    for name, part in faults[faults["table"].isin(list(tables.TABLES))].groupby("table"):
        table, frame = tables.TABLES[name], read(raw, name)
        by_key = frame.groupby(frame[list(table.key)].agg("/".join, axis=1))
        places = by_key.indices
        for fault in part.itertuples():
            cells = frame[fault.column].to_numpy()
            at = places[fault.key] if fault.column not in table.key else np.arange(len(frame))
            assert any(same(cells[i], fault.raw_value, table[fault.column]) for i in at), fault


def test_repeated_rows_are_really_repeated(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults")
    repeated = faults[(faults["kind"] == "exact_duplicate_row") & faults["table"].isin(list(tables.TABLES))]
    for name, part in repeated.groupby("table"):
        frame = read(raw, name)
        twice = frame[frame.duplicated(keep="first")]
        assert sorted(twice[list(tables.TABLES[name].key)].agg("/".join, axis=1)) == sorted(part["key"]), name
    orders = read(raw, "service_orders").drop_duplicates()
    again = faults[faults["kind"] == "order_id_repeated"]
    found = orders[orders["order_id"].duplicated(keep="first")]
    assert sorted(found["order_id"]) == sorted(again["key"])


def test_people_typed_in_twice_share_what_the_truth_says(made):
    for dealer in ("demo", "demo_cn"):
        assert set(truth(made[dealer][1], "records")["shares"]) == {"", "phone", "id", "car", "area"}
    raw, hidden = made["demo"]
    faults, records = truth(hidden, "faults"), truth(hidden, "records").set_index("customer_id")
    c = read(raw, "customers").drop_duplicates("customer_id").set_index("customer_id")
    cars = read(raw, "service_orders").groupby("customer_id")["vin"].agg(lambda v: set(map(plain, v)))
    owned = read(raw, "vehicles").groupby("customer_id")["vin"].agg(lambda v: set(map(plain, v)))
    twice = faults[faults["kind"] == "duplicate_customer"]
    assert 20 <= len(twice) <= 60
    touched = set(faults.loc[faults["column"].isin(["phone", "id_number", "customer_id", "vin"]), "key"])
    seen = {}
    for row in twice.itertuples():
        assert records.at[row.true_value, "person_id"] == records.at[row.raw_value, "person_id"]
        assert records.at[row.raw_value, "is_duplicate"] and not records.at[row.true_value, "is_duplicate"]
        if row.true_value in touched:
            continue
        a, b, way = c.loc[row.true_value], c.loc[row.raw_value], records.at[row.raw_value, "shares"]
        seen[way] = seen.get(way, 0) + 1
        if way == "phone":
            assert a["phone"] == b["phone"] != ""
        elif way == "id":
            assert a["id_number"] == b["id_number"] != "" and a["phone"] != b["phone"]
        else:
            one, other = (cars.get(k, set()) | owned.get(k, set()) for k in (row.true_value, row.raw_value))
            assert one & other and a["phone"] != b["phone"] and b["id_number"] == ""
            if way == "area":
                assert b["phone"] == "" and a["residential_area"] == b["residential_area"] != ""
    assert set(seen) == {"phone", "id", "car", "area"} and seen["phone"] >= 5
    assert set(records.index) == set(c.index)


def test_truth_covers_every_car_and_campaign_row(made):
    raw, hidden = made["demo"]
    assert {plain(v) for v in read(raw, "vehicles")["vin"]} == set(truth(hidden, "cars")["vin"])
    assert len(truth(hidden, "uplift")) == len(read(raw, "campaigns"))
    assert set(read(raw, "leads")["lead_id"]) == set(truth(hidden, "leads")["lead_id"])


def test_visits_typed_in_together_share_adviser_and_minute(made):
    raw, hidden = made["demo"]
    faults = truth(hidden, "faults").query("kind == 'bulk_in_one_minute'")
    orders = read(raw, "service_orders").set_index("order_id").loc[faults["key"]]
    sizes = orders.groupby(["adviser_id", "opened_at"]).size()
    assert sizes.min() >= 6 and orders["opened_at"].str.endswith(" 18:02").all()


@pytest.mark.parametrize(
    "which, date_only, with_time",
    [(0, "2026/1/5", "2026/1/5 09:30"), (1, "20260105", "20260105 09:30"), (2, "2026年1月5日", "2026年1月5日 09:30"), (3, "46027", "46027.395833")],
)  # fmt: skip
def test_dates_are_mixed_in_these_formats(which, date_only, with_time):
    assert dirt.other_format("2026-01-05", which) == date_only
    assert dirt.other_format("2026-01-05 09:30", which) == with_time
    assert date(1899, 12, 30).toordinal() + 46027 == date(2026, 1, 5).toordinal()


def test_demo_cn_is_delivered_the_chinese_way(made):
    raw = made["demo_cn"][0]
    customers = (raw / export.CN_FILES["customers"]).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        customers.decode("utf-8")
    lines = customers.decode("gb18030").splitlines()
    assert lines[0] == "海港路店 客户资料表" and lines[2].startswith("客户编号,户别,姓名")
    for file, years in zip(export.CN_ORDERS, (("2020", "2023"), ("2024", "2029"))):
        text = (raw / file).read_bytes().decode("gb18030").splitlines()
        assert text[-1].startswith("合计,")
        opened = pd.Series([line.split(",")[3][:4] for line in text[1:-1]])
        kept = opened[opened.between("2020", "2029")]
        assert kept.min() >= years[0] and kept.max() <= years[1]
    with zipfile.ZipFile(raw / export.CN_BOOK.format(month="2026-09")) as book:
        sheets = re.findall(r'sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
    assert set(sheets) == {"员工", "销售订单", "线索", "线索行为", "满意度调查", "活动名单", "联系人"}
