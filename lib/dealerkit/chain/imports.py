"""Imports that spare what running and rendering a notebook has no use for."""

from __future__ import annotations

import importlib
import sys


def import_spared() -> None:
    """Import what each notebook needs without two optional parts that cost more than the rest of it.

    jsonschema checks international web addresses with a grammar that it builds at import (a second), and a kernel
    offers a debugger (a tenth of a second each). Both ask whether the part is installed when they are imported.
    """
    _import_without("rfc3987_syntax", "jsonschema")
    _import_without("debugpy", "ipykernel.debugger")


def _import_without(part: str, name: str) -> None:
    """Import a module as if ``part`` were not installed; others can still import that afterwards."""
    if part in sys.modules or name in sys.modules:
        return
    sys.modules[part] = None  # what Python takes for "not there"
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[part]
