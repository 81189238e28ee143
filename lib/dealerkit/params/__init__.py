"""What a dealer may set: `params/<dealer>.yaml` as a frozen model, every error at once.

`load` never returns half-checked params. The JSON schema (`schema`) gives editors completion and
hover texts from the same declarations.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator

from dealerkit.errors import UserError, UserErrors
from dealerkit.params import extra, parts
from dealerkit.params.extra import ExtraFactorParams, ExtraTableParams
from dealerkit.params.parts import (
    AuthenticityParams,
    CheckParams,
    ChurnParams,
    ClassParams,
    ClusterParams,
    CostParams,
    EngineParams,
    FileParams,
    FixListParams,
    GateParams,
    IdentityParams,
    ImportanceParams,
    Names,
    OwnCheckParams,
    OwnFactorParams,
    OwnTagParams,
    Part,
    SupplyParams,
    TagParams,
    TargetParams,
    ValueParams,
    WindowParams,
    months_before,
    nearest,
    refuse_twice,
    text_or_pair,
)

__all__ = [
    "AuthenticityParams",
    "CheckParams",
    "ChurnParams",
    "ClusterParams",
    "CostParams",
    "EngineParams",
    "ExtraFactorParams",
    "ExtraTableParams",
    "FileParams",
    "FixListParams",
    "ImportanceParams",
    "OwnCheckParams",
    "OwnFactorParams",
    "OwnTagParams",
    "Params",
    "TagParams",
    "called",
    "check_dealer_name",
    "environment_language",
    "load",
    "meanings",
    "months_before",
    "nearest",
    "schema",
]

DEALER_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9_\-\u4e00-\u9fff]{0,63}")


class Params(Part):
    """Everything a dealer may set."""

    dealer: str
    """Folder name of the dealer: letters, digits, Chinese characters, - and _."""
    display_name: Annotated[Names, BeforeValidator(text_or_pair)]
    """Name shown in the report: one text, or {en: …, zh: …}."""
    invented: bool = False
    """The dealer is made up; every page says so."""
    language: Literal["en", "zh"] = "en"
    """Language of the report; REPORT_LANG= overrides it."""
    logo: str | None = None
    """PNG or SVG file in the raw folder, under 100 KB, shown in the head of each page."""
    delivered_on: date | None = None
    """Day of the export; the report is computed as of it. Without it, the last well-filled day of the visits."""
    files: tuple[FileParams, ...] = ()
    """Files and what they feed; empty: every file in the raw folder, tables found by their headers."""
    sources: tuple[str, ...] = ("dms",)
    """Sources in the order of trust."""
    secondary_keys: tuple[Literal["vin", "plate", "phone", "id_number"], ...] = ("vin", "plate", "phone", "id_number")
    """Keys by which records of different sources meet where their numbers do not, in the order of trust."""
    supply: SupplyParams = SupplyParams()
    """Which gaps are filled from other values that passed their checks."""
    gate: Annotated[GateParams | Literal["off"], BeforeValidator(lambda v: "off" if v is False else v)] = GateParams()
    """What stops a run; `off` makes the pages with every gap stated."""
    checks: CheckParams = CheckParams()
    """Tolerances of the checks."""
    authenticity: AuthenticityParams = AuthenticityParams()
    """When scores and entries are called faked."""
    own_checks: tuple[OwnCheckParams, ...] = ()
    """Checks of the dealer's own, as conditions in SQL over the columns of a table."""
    identity: IdentityParams = IdentityParams()
    """How records become persons, and persons owners."""
    fixlist: FixListParams = FixListParams()
    """What staff are asked to mend."""
    value: ValueParams = ValueParams()
    """How the value of a customer is expected."""
    windows: WindowParams = WindowParams()
    """Windows in months."""
    classes: ClassParams = ClassParams()
    """Thresholds of the rule classes."""
    clusters: ClusterParams = ClusterParams()
    """How customers are clustered."""
    importance: ImportanceParams = ImportanceParams()
    """How factors are screened and weighed."""
    churn: ChurnParams = ChurnParams()
    """Windows of the churn model."""
    own_factors: tuple[OwnFactorParams, ...] = ()
    """Factors of the dealer's own."""
    tags: TagParams = TagParams()
    """Thresholds of the tags."""
    own_tags: tuple[OwnTagParams, ...] = ()
    """Tags of the dealer's own."""
    extra_factors: tuple[ExtraTableParams, ...] = ()
    """Further tables with a key of customers or cars (insurance, shop, telematics, …), and the factors made of them."""
    value_per_reachable_customer_yuan: Annotated[float, Field(ge=0)] = 0
    """Yuan a year that a reachable customer is worth; first estimate of what a data fault costs. 0: not estimated."""
    costs: CostParams = CostParams()
    """What a data fault costs, as shares of that value."""
    targets: TargetParams = TargetParams()
    """Targets, shown beside the actual values."""
    engine: EngineParams = EngineParams()
    """Where the arithmetic runs."""
    cell_timeout_seconds: Annotated[int, Field(ge=1)] = 3600
    """A notebook cell that runs longer is stopped."""
    id_key: str = "dealerkit"
    """Key of the hash that makes person ids; set another one before the first report, to make ids that cannot be compared
    with another dealer's. With another key than that of the last report a run ends."""

    @field_validator("dealer")
    @classmethod
    def _is_name(cls, name):
        if not DEALER_NAME.fullmatch(name):
            raise ValueError(
                "a dealer's name is 1 to 64 letters, digits, Chinese characters, - or _, and starts with none of the last two"
            )
        return name

    @field_validator("secondary_keys")
    @classmethod
    def _each_key_once(cls, keys):
        if len(set(keys)) < len(keys):
            raise ValueError("each key can be given once")
        return keys

    @field_validator("own_factors", "own_tags")
    @classmethod
    def _once_each(cls, own):
        refuse_twice(entry.name for entry in own)
        return own

    @field_validator("extra_factors")
    @classmethod
    def _tables_once_each(cls, extra, info):
        refuse_twice(table.name for table in extra)
        own = [factor.name for factor in info.data.get("own_factors", ())]
        refuse_twice([*(f.name for table in extra for f in table.factors), *own])
        return extra

    def overridden(self, overrides: dict[str, Any]) -> Params:
        """Params with some keys replaced (`{"windows.lost_months": 18}`), checked like a file."""
        data = self.model_dump(mode="json")
        for key, value in overrides.items():
            *path, last = key.split(".")
            part = data
            for step in path:
                part = part.get(step) if isinstance(part, dict) else None
            if not isinstance(part, dict) or last not in part:
                known = [*data, *(f"{k}.{inner}" for k, v in data.items() if isinstance(v, dict) for inner in v)]
                raise UserError(
                    f"override {key!r} is no key of the params{nearest(key, known)}",
                    f"the top-level keys are {', '.join(data)}; a key inside one is written as in windows.lost_months",
                )
            part[last] = value
        return _validated(data, f"overrides for {self.dealer}")


def check_dealer_name(dealer: str) -> str:
    """The name itself, when it can be a folder; else `UserError`."""
    if not DEALER_NAME.fullmatch(dealer or ""):
        raise UserError(
            f"DEALER={dealer!r} is not a dealer's name",
            "use 1 to 64 letters, digits, Chinese characters, - or _, as in DEALER=demo",
        )
    return dealer


class _Strict:
    """YAML whose impossible dates (2026-13-01) stay texts, so that they are reported with their key, and whose keys are given once."""

    def construct_yaml_timestamp(self, node):
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            return node.value

    def construct_mapping(self, node, deep=False):
        # YAML takes the last of two equal keys without a word: a block pasted in a second time would undo the first.
        seen = set()
        for key in (k for k, _ in node.value if isinstance(k, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"the key {key.value!r} stands here a second time"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Loader(_Strict, yaml.SafeLoader):
    """The reader whose words on what is wrong are the plainer ones."""


class _QuickLoader(_Strict, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The reader in C, ten times as fast."""


for _loader in (_Loader, _QuickLoader):
    _loader.add_constructor("tag:yaml.org,2002:timestamp", _loader.construct_yaml_timestamp)


def _read(text: str) -> Any:
    try:
        return yaml.load(text, _QuickLoader)
    except yaml.YAMLError:
        return yaml.load(text, _Loader)


def load(path: Path) -> Params:
    """Params of the file.

    Raises `UserErrors` with every problem: key, value, what is allowed.
    """
    path = Path(path)
    check_dealer_name(path.stem)
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise UserError(
            f"no dealer {path.stem!r}: {path.parent.name}/{path.name} is missing{nearest(path.stem, known)}",
            f"known dealers: {', '.join(known) or 'none'}; `make new-dealer` starts one",
        )
    try:
        data = _read(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"params/{path.name} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(getattr(error, "problem", error))
        raise UserError(f"params/{path.name}{where}: not valid YAML: {problem}", _yaml_remedy(problem)) from None
    if not isinstance(data, dict):
        raise UserError(f"params/{path.name} holds no keys", "`make new-dealer` starts one")
    data.setdefault("dealer", path.stem)
    params = _validated(data, f"params/{path.name}")
    if params.dealer != path.stem:
        raise UserError(
            f"params/{path.name}: dealer is {params.dealer!r}, the file is named {path.stem!r}",
            "make both the same, or leave the key out",
        )
    return params


def _yaml_remedy(problem: str) -> str:
    if "'\\t'" in problem:
        return "indent with spaces: that line begins with a tab"
    if "second time" in problem:
        return "put what stands under both into one, and delete the other"
    return (
        "mind indentation and colons (a space after each); quote texts with special characters; where that line looks "
        "right, a quote or bracket above it was not closed"
    )


def _validated(data: dict, where: str) -> Params:
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        problems = [_explain(e, data) for e in error.errors(include_url=False)]
        raise UserErrors(
            f"{where}: {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            problems,
            "params/demo.yaml documents every key",
        ) from None


def _explain(error: dict, data: dict) -> str:
    """One line of key, value and what is allowed for one of pydantic's errors in the data."""
    loc = [
        str(step) for step in error["loc"] if not (isinstance(step, str) and re.match(r"(literal|Gate|function)", step))
    ]
    key = ".".join(loc) or "the file"
    key = key if loc[-1:] in (["id"], ["name"], ["file"]) else called(key, _entry_name(loc, data))
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(loc[-1], _keys_beside(loc[:-1]))}; allowed: {', '.join(sorted(_keys_beside(loc[:-1])))}"
    if error["type"] == "missing":
        return f"{key}: missing; it is required"
    # Of a whole part the beginning tells nothing: what is wrong is in the words.
    whole = isinstance(error["input"], dict) or "{" in repr(error["input"]) and not isinstance(error["input"], str)
    return f"{key}: {_allowed(error)}" if whole else f"{key} = {_short(error['input'])}: {_allowed(error)}"


def called(key: str, name: object) -> str:
    """The key with the name of the entry it belongs to, since entries are numbered from 0.

    >>> called("own_checks.1.fails_when", "km_not_zero")
    'own_checks.1.fails_when (km_not_zero)'
    """
    return f"{key} ({_short(name)[1:-1]})" if isinstance(name, str) and name.strip() else key


def _entry_name(loc: list[str], data: dict) -> object:
    """What the entry of a list is called by its own keys, if the key leads to one."""
    entries = data.get(loc[0]) if loc else None
    if len(loc) < 2 or not loc[1].isdigit() or not isinstance(entries, (list, tuple)) or int(loc[1]) >= len(entries):
        return None
    entry = entries[int(loc[1])]
    return next((entry[k] for k in ("id", "name", "file") if entry.get(k)), None) if isinstance(entry, dict) else None


def _allowed(error: dict) -> str:
    """What is wrong with the value, in words for those who write params rather than programs."""
    kind, message, context = error["type"], error["msg"].removeprefix("Value error, "), error.get("ctx", {})
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return message + nearest(str(error["input"]), choices)
    if kind == "string_pattern_mismatch":
        return "small letters, digits and _ only, the first a letter, and not too long"
    if kind in ("tuple_type", "list_type"):
        return "a list is needed here: each entry on a line of its own that begins with -, or all between [ and ]"
    if kind.startswith("date_"):
        return "no date; write year, month and day, as in 2026-06-30"
    return message


def _short(value: Any) -> str:
    from dealerkit.personal import veiled_within  # compiles much, and params are seldom wrong

    # Who mistakes a key of a database entry should not see its password in a log.
    text = veiled_within(re.sub(r"(://)[^/\s'\"]*@", r"\1***@", repr(value)))
    return text if len(text) <= 60 else text[:57] + "…"


def _keys_beside(path: list[str]) -> set[str]:
    """Keys allowed at a path of the params."""
    defs, node = schema()["$defs"], schema()
    for step in path:
        if step.isdigit():
            node = node.get("items", node)
        else:
            node = node.get("properties", {}).get(step, {})
        options = [node, *node.get("anyOf", []), *node.get("allOf", [])]
        node = next((defs[o["$ref"].rsplit("/", 1)[-1]] for o in options if "$ref" in o), node)
        if "items" in node and "$ref" in node["items"]:
            node = {"items": defs[node["items"]["$ref"].rsplit("/", 1)[-1]]}
    return set(node.get("properties", {}))


def meanings() -> dict[str, dict[str, str]]:
    """What stands under each key of the parts, by part and key.

    Not by `use_attribute_docstrings`, which reads the sources of every part whenever the params are imported.
    """
    found: dict[str, dict[str, str]] = {}
    for module in (parts, extra, sys.modules[__name__]):
        for part in ast.parse(inspect.getsource(module)).body:
            if isinstance(part, ast.ClassDef):
                inherited = [found[base.id] for base in part.bases if getattr(base, "id", None) in found]
                found[part.name] = {k: v for keys in inherited for k, v in keys.items()} | {
                    key.target.id: inspect.cleandoc(text.value.value)
                    for key, text in pairwise(part.body)
                    if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr)
                }
    return found


def schema() -> dict:
    """JSON schema of a params file."""
    document = Params.model_json_schema()
    for name, keys in meanings().items():
        shown = document if name == "Params" else document["$defs"].get(name, {})
        for key, meaning in keys.items():
            shown.get("properties", {}).get(key, {}).setdefault("description", meaning)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "dealerkit params"
    document["required"] = [key for key in document["required"] if key != "dealer"]
    return document


def environment_language(params: Params) -> str:
    """Report language: REPORT_LANG if set, else the params'."""
    language = os.environ.get("REPORT_LANG") or params.language
    if language not in ("en", "zh"):
        raise UserError(f"REPORT_LANG={language!r} is not a report language", "use en or zh")
    return language
