"""Params: everything documented, every mistake named at once, nothing half-checked."""

from __future__ import annotations

import json
import pickle
import re
from datetime import date
from pathlib import Path

import pydantic
import pytest
import yaml
from dealerkit import engine, params
from dealerkit.errors import UserError, UserErrors
from dealerkit.params import EngineParams, FileParams, Params

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def written(tmp_path):
    """Writes params/<dealer>.yaml and gives its path."""

    def write(text: str, dealer: str = "x") -> Path:
        path = tmp_path / "params" / f"{dealer}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        params.load(path)
    assert caught.value.exit_code == 2
    return caught.value


def walk(model: type[pydantic.BaseModel], path: str = ""):
    """(dotted key, field, model) of every key of a model and the models inside it."""
    for name, field in model.model_fields.items():
        yield f"{path}{name}", field, model
        for kind in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from walk(kind, f"{path}{name}.")


KEYS = list(walk(Params))


# -- what ships ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dealer, language", [("demo", "en"), ("demo_cn", "zh")])
def test_the_invented_dealers_load(dealer, language):
    loaded = params.load(ROOT / "params" / f"{dealer}.yaml")
    assert (loaded.dealer, loaded.invented, loaded.language) == (dealer, True, language)
    assert loaded.display_name.en and loaded.display_name.zh
    assert set(loaded.sources) >= {f.source for f in loaded.files}


def test_the_walk_sees_nested_keys():
    names = {key for key, *_ in KEYS}
    assert {"dealer", "gate.min_rows", "files.date_order", "value.tier_shares", "display_name.zh"} <= names


@pytest.mark.parametrize("key, field, model", KEYS, ids=[key for key, *_ in KEYS])
def test_every_key_is_explained_to_editors_and_documented_in_demo_yaml(key, field, model):
    name = key.rsplit(".", 1)[-1]
    assert params.meanings()[model.__name__].get(name), f"{key} has no docstring"
    text = (ROOT / "params" / "demo.yaml").read_text(encoding="utf-8")
    assert re.search(rf"^[#\s]*(?:- )?{name}:|[{{,] ?{name}:", text, re.M), f"params/demo.yaml does not show {key}"


def test_demo_yaml_shows_no_key_that_is_not_there():
    text = (ROOT / "params" / "demo.yaml").read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    known = {key for key, *_ in KEYS}
    flat = {f"{k}.{inner}" for k, v in loaded.items() if isinstance(v, dict) for inner in v} | set(loaded)
    assert flat <= known


def test_the_example_of_files_in_demo_yaml_would_load():
    lines = (ROOT / "params" / "demo.yaml").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# files:"))
    end = next(i for i, line in enumerate(lines) if line.startswith("files:"))
    example = yaml.safe_load("\n".join(line[2:] for line in lines[start:end]))
    assert len([FileParams.model_validate(entry) for entry in example["files"]]) == 3


def test_the_schema_for_editors_is_what_is_declared():
    schema = params.schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == ["display_name"]  # the file's own name gives the dealer
    assert set(schema["properties"]) == set(Params.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["clusters"]["description"] == "How customers are clustered."
    assert all(
        "description" in key for part in [schema, *schema["$defs"].values()] for key in part["properties"].values()
    )
    for part in schema["$defs"].values():
        assert part["additionalProperties"] is False
        assert all(p.get("description") for p in part["properties"].values())


# -- defaults and what may be written -----------------------------------------------------------------------------


def test_a_name_is_enough(written):
    loaded = params.load(written("display_name: Harbour"))
    assert loaded == Params(dealer="x", display_name="Harbour")
    assert loaded.display_name.model_dump() == {"en": "Harbour", "zh": "Harbour"}
    assert (loaded.gate.min_rows, loaded.gate.max_quarantined_share) == (50, 0.3)
    assert loaded.value.tier_shares == (0.2, 0.5, 0.3) and sum(loaded.value.tier_shares) == 1
    assert loaded.files == () and loaded.sources == ("dms",) and loaded.delivered_on is None


def test_values_of_the_file_are_taken(written):
    loaded = params.load(
        written(
            "display_name: {en: A, zh: 甲}\ndelivered_on: 2026-05-04\nfiles:\n  - {file: '客户 资料*.csv', tables: [customers]}\n"
            "windows: {lost_months: 3}\ngate: {min_rows: 1}\n"
        )
    )
    assert loaded.delivered_on == date(2026, 5, 4) and loaded.windows.lost_months == 3
    assert loaded.files[0].tables == ("customers",) and loaded.files[0].source == "dms"
    assert loaded.gate.min_rows == 1 and loaded.gate.max_quarantined_share == 0.3


@pytest.mark.parametrize("said", ["off", "'off'", "false", "no"])
def test_the_gate_can_be_turned_off(written, said):
    assert params.load(written(f"display_name: X\ngate: {said}")).gate == "off"


def test_params_cannot_be_changed_by_hand():
    loaded = Params(dealer="x", display_name="X")
    with pytest.raises(pydantic.ValidationError):
        loaded.language = "zh"
    with pytest.raises(pydantic.ValidationError):
        loaded.gate.min_rows = 0


# -- mistakes -----------------------------------------------------------------------------------------------------


def test_every_mistake_is_reported_at_once(written):
    error = refused(
        written(
            "display_name: X\nlanguage: fr\nwindows: {lost_month: 6, active_months: 0}\ntier_share: [1]\n"
            "checks: {max_customers_per_phone: many}\nvalue: {tier_shares: [0.5, 0.5, 0.5]}\nfiles:\n  - {fil: a.csv}\n"
        )
    )
    assert isinstance(error, UserErrors) and error.title == "params/x.yaml: 7 problems"
    assert error.remedy == "params/demo.yaml documents every key"
    said = {problem.split(" = ")[0].split(":")[0]: problem for problem in error.problems}
    assert said.keys() == {
        "language", "windows.lost_month", "windows.active_months", "tier_share",
        "checks.max_customers_per_phone", "value.tier_shares", "files.0.fil",
    }  # fmt: skip
    assert said["language"] == "language = 'fr': Input should be 'en' or 'zh'"
    assert (
        said["windows.lost_month"]
        == "windows.lost_month: unknown key; nearest: 'lost_months'; allowed: active_months, lost_months"
    )
    assert said["windows.active_months"] == "windows.active_months = 0: Input should be greater than or equal to 1"
    assert said["tier_share"].startswith("tier_share: unknown key; ") and "allowed: authenticity, cell_timeout_seconds, checks, " in said["tier_share"]  # fmt: skip
    assert said["checks.max_customers_per_phone"].startswith("checks.max_customers_per_phone = 'many': Input should be a valid integer")  # fmt: skip
    assert said["value.tier_shares"].endswith("the three shares must add up to 1")
    assert "nearest: 'file'" in said["files.0.fil"] and "date_order" in said["files.0.fil"]
    assert all(problem in str(error) for problem in error.problems)


@pytest.mark.parametrize(
    "text, said",
    [
        ("language: en", "display_name: missing; it is required"),
        ("display_name: X\ndelivered_on: 2026-13-01", "delivered_on = '2026-13-01'"),
        ("display_name: X\ndealer: other", "dealer is 'other', the file is named 'x'"),
        ("display_name: X\nfiles: [{}]", "give either file or url, not both and not neither"),
        ("display_name: X\nfiles: [{file: a.csv, url: 'sqlite:///a'}]", "give either file or url"),
        ("display_name: X\nfiles: [{url: 'postgresql://me:secret@host/db'}]", "set DEALERKIT_DB_USER"),
        (
            "display_name: X\nfiles: [{file: a.csv, columns: {fone: Tel}}]",
            "no canonical column 'fone'; nearest: 'phone'",
        ),
        ("display_name: X\nfiles: [{file: a.csv, tables: [cars]}]", "files.0.tables.0 (a.csv) = 'cars'"),
        ("display_name: X\ngate: maybe", "gate = 'maybe'"),
        ("display_name: X\nengine: {threads: 0}", "engine.threads = 0"),
        ("a: b: c", "params/x.yaml, line 1, column 5: not valid YAML"),
        ("display_name: X\nwindows:\n\tlost_months: 6", "indent with spaces: that line begins with a tab"),
        (
            "display_name: X\ntargets: {}\ntargets: {}",
            "line 3, column 1: not valid YAML: the key 'targets' stands here a",
        ),
        ("display_name: X\nfiles: a.csv", "files = 'a.csv': a list is needed here"),
        ("display_name: X\ndelivered_on: 31.3.2026", "no date; write year, month and day, as in 2026-06-30"),
        ("display_name: X\nfiles: [{file: a.csv, tables: [customer]}]", "; nearest: 'customers'"),
        (
            "display_name: X\nfiles: [{file: b.csv}, {file: a.csv, url: 'sqlite:///a'}]",
            "files.1 (a.csv): give either file or url",
        ),
        (
            "display_name: X\nown_checks: [{id: km_not_zero, table: staff, fails_when: km = 0, severity: bad}]",
            "own_checks.0.severity (km_not_zero) = 'bad'",
        ),
        ("display_name: X\nown_factors: [{name: tips, label: Tips, table: staff}]", "own_factors.0 (tips): "),
        ("display_name: X\nwindows: {lost_months: {a: 1}}", "windows.lost_months: Input should be a valid integer"),
        ("- a\n- b", "params/x.yaml holds no keys"),
        ("", "params/x.yaml holds no keys"),
    ],
)
def test_a_mistake_is_named(written, text, said):
    assert said in str(refused(written(text)))


def test_a_password_in_a_url_is_not_repeated(written):
    error = refused(written("display_name: X\nfiles: [{url: 'postgresql://me:se-cr-et@host/db'}]"))
    assert "se-cr-et" not in str(error)


def test_a_file_in_another_encoding_is_refused(written):
    path = written("display_name: X")
    path.write_bytes("display_name: 海港".encode("gb18030"))
    assert "params/x.yaml is not UTF-8 (byte 14)" in str(refused(path))


def test_an_unknown_dealer_is_refused_with_the_known_ones(written):
    written("display_name: X", "harbour")
    error = refused(written("display_name: X", "海港路").with_name("harbor.yaml"))
    assert error.what == "no dealer 'harbor': params/harbor.yaml is missing; nearest: 'harbour'"
    assert error.remedy.startswith("known dealers: harbour, 海港路;")


@pytest.mark.parametrize("name", ["", "../demo", "a b", "a;b", "a/b", "-a", "_a", ".a", "a\n", "$(x)", "x" * 65])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(UserError, match="is not a dealer's name") as caught:
        params.check_dealer_name(name)
    assert "letters, digits, Chinese characters" in caught.value.remedy
    with pytest.raises(pydantic.ValidationError):
        Params(dealer=name, display_name="X")


@pytest.mark.parametrize("name", ["demo", "demo_cn", "海港路店", "A-1", "9", "x" * 64])
def test_a_name_that_can_be_a_folder_is_taken(name):
    assert params.check_dealer_name(name) == name


@pytest.mark.parametrize("shares, right", [((0.2, 0.5, 0.3), True), ((1, 0, 0), True), ((0.1, 0.2, 0.7), True), ((0.2, 0.5, 0.2), False), ((0.5, 0.5), False), ((1.2, -0.1, -0.1), False)])  # fmt: skip
def test_tier_shares_sum_to_one(shares, right):
    if right:
        assert params.ValueParams(tier_shares=shares).tier_shares == shares
    else:
        with pytest.raises(pydantic.ValidationError):
            params.ValueParams(tier_shares=shares)


# -- overrides and the environment --------------------------------------------------------------------------------


def test_overrides_are_checked_like_a_file():
    base = params.load(ROOT / "params" / "demo.yaml")
    other = base.overridden({"windows.lost_months": 18, "gate": "off", "delivered_on": "2026-01-31"})
    assert (other.windows.lost_months, other.gate, other.delivered_on) == (18, "off", date(2026, 1, 31))
    assert base.windows.lost_months == 12 and base.gate != "off"
    assert other.overridden({}) == other
    with pytest.raises(UserErrors, match="windows.lost_months = 0"):
        base.overridden({"windows.lost_months": 0})


@pytest.mark.parametrize("key", ["windows.lost", "lost_months", "windows.lost_months.x", "gate.x", ""])
def test_an_override_of_no_key_is_refused(key):
    with pytest.raises(UserError, match="is no key of the params"):
        params.load(ROOT / "params" / "demo.yaml").overridden({key: 1})


def test_an_override_of_no_key_is_told_the_nearest():
    with pytest.raises(UserError, match="nearest: 'windows.lost_months'"):
        params.load(ROOT / "params" / "demo.yaml").overridden({"windows.lost_month": 1})


def test_the_report_language_comes_from_the_environment_first(monkeypatch):
    made = Params(dealer="x", display_name="X", language="zh")
    monkeypatch.delenv("REPORT_LANG", raising=False)
    assert params.environment_language(made) == "zh"
    monkeypatch.setenv("REPORT_LANG", "en")
    assert params.environment_language(made) == "en"
    monkeypatch.setenv("REPORT_LANG", "de")
    with pytest.raises(UserError, match="REPORT_LANG='de'"):
        params.environment_language(made)


def test_threads_come_from_the_environment_first(monkeypatch):
    monkeypatch.setenv("DEALERKIT_THREADS", "3")
    assert engine.threads(EngineParams(threads=2)) == 3
    monkeypatch.delenv("DEALERKIT_THREADS")
    assert engine.threads(EngineParams(threads=2), 0) == 2
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    rows = (None, 0, 100_000, 130_000, 10_000_000)
    assert [engine.threads(EngineParams(), n) for n in rows] == [4, 1, 1, 2, 4]
    for bad in ("0", "-1", "two", "1.5", ""):
        monkeypatch.setenv("DEALERKIT_THREADS", bad)
        with pytest.raises(UserError, match="DEALERKIT_THREADS"):
            engine.threads(EngineParams())


# -- errors -------------------------------------------------------------------------------------------------------


def test_errors_say_what_and_how_to_mend_it_and_survive_a_process():
    one, many = UserError("a.csv is empty", "export it again"), UserErrors("2 problems", ["a", "b"], "mend both")
    assert str(one) == "a.csv is empty\n  → export it again" and str(UserError("bad")) == "bad"
    assert str(many) == "2 problems\n  - a\n  - b\n  → mend both" and isinstance(many, UserError)
    for error in (one, many):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.remedy, again.exit_code) == (type(error), str(error), error.remedy, 2)
