"""Render executed notebooks to pages, and write the data dictionary: nothing is computed here."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from dealerkit import params as params_
from dealerkit.chain.folders import COST, DICTIONARY, PAGES, Folders, page_name, stages
from dealerkit.errors import UserError
from dealerkit.messages import N_
from dealerkit.report import page
from dealerkit.report.dictionary import dictionary_page
from dealerkit.report.fragments import Col
from dealerkit.report.translate import Translator


def render(folders: Folders, stage: str) -> None:
    """Render the executed notebook of ``stage`` to its page."""
    params = folders.params()
    folders.reports.mkdir(parents=True, exist_ok=True)
    page.render(
        folders.build / f"{stage}.ipynb",
        folders.page(stage),
        context(folders, params, page_name(stage), (*_up_to(folders.root, stage), "render")),
        _known(folders),
    )


def _up_to(root: Path, stage: str) -> list[str]:
    """The stages whose code a page rests on: its own and those before it."""
    return [name for name in stages(root) if name <= stage]


def dictionary(folders: Folders) -> None:
    """Write the data dictionary page."""
    from dealerkit import factors, tags  # their engine is needed for no other page

    params = folders.params()
    t = Translator(params_.environment_language(params))
    frame = factors.dictionary(params, t)
    own, further = frame["own"] & (frame["extra"] == ""), frame["extra"] != ""
    frame.loc[own, "class"] += f" · {t.text(N_('own'))}"
    frame.loc[further, "class"] += " · " + frame.loc[further, "extra"]
    frame.loc[frame["at_delivery_only"], "window"] = t.text(N_("only at delivery"))
    frame["reads"] = frame["readable"].map({True: t.text(N_("yes")), False: t.text(N_("no"))})
    columns = [
        Col("factor", t.text("Factor")),
        Col("label", t.text("Meaning")),
        Col("class", t.text("Class")),
        Col("unit", t.text("Unit")),
        Col("window", t.text("Window")),
        Col("formula", t.text("Formula")),
        Col("reads", t.text("A person can read it")),
    ]
    extra = [
        (t.text("Factors of persons"), frame[frame["table"] == "person_factors"], columns),
        (t.text("Factors of cars"), frame[frame["table"] == "car_factors"], columns),
        (
            t.text("Tags"),
            tags.catalogue(params, t),
            [
                Col("tag", t.text("Tag")),
                Col("label", t.text("Meaning")),
                Col("class_label", t.text("Class")),
                Col("rule", t.text("Rule")),
            ],
        ),
    ]
    folders.reports.mkdir(parents=True, exist_ok=True)
    dictionary_page(folders.reports / DICTIONARY[0], context(folders, params, DICTIONARY[0], ("dictionary",)), extra)


def context(folders: Folders, params: params_.Params, current: str, stamps: tuple[str, ...]) -> page.PageContext:
    """What a page says beyond its items.

    Args:
        current: file name of the page.
        stamps: names of the content stamps of the code that it rests on.
    """
    t = Translator(params_.environment_language(params))
    inputs = json.loads((folders.build / ".inputs").read_text(encoding="utf-8"))
    facts_path = folders.build / "10-audit/facts.json"
    facts = (
        json.loads(facts_path.read_text(encoding="utf-8")) if facts_path.exists() and current != DICTIONARY[0] else {}
    )
    as_of = date.fromisoformat(os.environ.get("AS_OF") or facts["as_of"]["value"]) if facts else None
    there = stages(folders.root)
    pages = [(page_name(stage), t.text(label)) for stage, label in PAGES.items() if stage in there]
    earlier = sorted(p.stem for p in folders.snapshots.glob("*.json") if as_of and p.stem < as_of.isoformat())
    logo, mime = _logo(folders, params)
    made = page.provenance(
        inputs={name: f["sha256"] for name, f in inputs["files"].items()},
        params=inputs["params"],
        code=_code(folders, stamps),
        lock=_digest(folders.root / "requirements.lock"),
        as_of=t.say("{day:day}", day=as_of) if as_of else "",
        state=t.say("report as of {day:text}", day=earlier[-1]) if earlier else "",
    )
    return page.PageContext(
        language=t.language,
        dealer=getattr(params.display_name, t.language),
        as_of=as_of,
        invented=params.invented,
        logo=logo,
        logo_mime=mime,
        pages=(*pages, (DICTIONARY[0], t.text(DICTIONARY[1]))),
        foot=((COST[0], t.text(COST[1])),),
        current=current,
        provenance=made,
    )


def _code(folders: Folders, stamps: tuple[str, ...]) -> str:
    """Digest over the content stamps of what made a page: the code, not the commit."""
    return hashlib.sha256(b"\n".join((folders.build / ".code" / name).read_bytes() for name in stamps)).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _logo(folders: Folders, params: params_.Params) -> tuple[bytes | None, str]:
    if not params.logo:
        return None, ""
    path = (folders.raw / params.logo).resolve()
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    if not path.is_relative_to(folders.raw.resolve()) or path.suffix.lower() not in kinds or not path.is_file():
        raise UserError(
            f"logo {params.logo!r} is no PNG or SVG file in data/raw/{folders.dealer}",
            "name a file inside that folder, or leave the key out",
        )
    if path.stat().st_size > 100_000:
        raise UserError(f"logo {params.logo!r} has {path.stat().st_size:,} bytes", "use one under 100 KB")
    return path.read_bytes(), kinds[path.suffix.lower()]


def _known(folders: Folders):
    """Look-up of the leak gate: which tokens are real phones, IDs, plates, VINs or e-mails of this dealer."""
    path = folders.build / "10-audit/personal_values.parquet"
    if not path.exists():
        return None

    def known(tokens: set[str]) -> set[str]:
        if not tokens:
            return set()
        found = pq.read_table(path, columns=["value"], filters=[("value", "in", sorted(tokens))])
        return set(found["value"].to_pylist())

    return known
