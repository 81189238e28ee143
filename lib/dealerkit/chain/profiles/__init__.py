"""One customer's page and one car's page: private, for the desk, below `build/<dealer>/`.

What is asked for comes in the environment (ID, VIN), never on the command line of a step, and is not repeated in any
message: `find` says which person or car is meant, `gather` reads what the pages of the report left of it, and
`report.profile` puts it on a page.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from dealerkit import params as params_
from dealerkit.chain import pages
from dealerkit.chain.folders import Folders
from dealerkit.chain.profiles import find, gather
from dealerkit.chain.profiles.built import Built
from dealerkit.report import page, profile
from dealerkit.report.translate import Translator

__all__ = ["customer", "vehicle"]


def customer(folders: Folders) -> None:
    """Write the page of the customer whom ID names, and print its path.

    Raises `UserError` when nobody has it, or several have (masked).
    """
    built, t = _opened(folders)
    person = find.person(built, os.environ.get("ID", ""))
    _write(folders, built, "customers", person, profile.customer(gather.customer(built, person, t), t), t)


def vehicle(folders: Folders) -> None:
    """Write the page of the car whose VIN or plate VIN holds, and print its path.

    Raises `UserError` when no car has it, or several have (masked).
    """
    built, t = _opened(folders)
    vin = find.car(built, os.environ.get("VIN", ""))
    _write(
        folders, built, "vehicles", _file_name(vin, built.params), profile.vehicle(gather.vehicle(built, vin, t), t), t
    )


def _opened(folders: Folders) -> tuple[Built, Translator]:
    params = folders.params()
    return Built(folders, params), Translator(params_.environment_language(params))


def _file_name(vin: str, params: params_.Params) -> str:
    """A name that says nothing of the car, the same at every run."""
    secret = hashlib.blake2b(params.id_key.encode(), digest_size=32).digest()
    return "V" + hashlib.blake2b(vin.encode(), key=secret, digest_size=7).hexdigest()


def _write(folders: Folders, built: Built, kind: str, name: str, parts: list[str], t: Translator) -> None:
    folder = folders.build / kind
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    out = folder / f"{name}.html"
    context = pages.context(folders, built.params, out.name, ("20-customers", "render"))
    context = replace(context, pages=(), foot=(), private=t.text(profile.PRIVATE))
    items = [page.Item(part, f"of part {number}") for number, part in enumerate(parts, 1)]
    page.write_page(items, out, context, t)
    print(Path(os.path.relpath(out, folders.root)), flush=True)
