"""What a line of the fix list is made of, for those who write it and those who read it."""

from __future__ import annotations

import hashlib
from functools import cache

from dealerkit.messages import N_
from dealerkit.report.translate import LANGUAGES, Translator
from dealerkit.tables import TABLES

#: Column of a line → its heading; any of the report's languages is read.
HEADINGS = {
    "table": N_("Table"),
    "field": N_("Field"),
    "key": N_("Record number"),
    "customer": N_("Customer"),
    "phone": N_("Phone to call"),
    "wrong": N_("What is wrong"),
    "was": N_("Value in the system"),
    "proposed": N_("Proposed value"),
    "now": N_("Correct value"),
    "reason": N_("Cannot be mended because"),
    "cost": N_("Costs a year, yuan"),
    "reference": N_("Reference"),
}
#: Columns without which nothing can be read.
NEEDED = ("key", "was", "now", "reason", "reference")
#: Why a value cannot be mended: code → what the list offers.
REASONS = {
    "right": N_("the value is right as it is"),
    "unreachable": N_("the customer cannot be reached"),
    "refused": N_("the customer does not want to say"),
    "unknown": N_("nobody knows"),
    "gone": N_("the record should not be there"),
}
#: Code of any other reason.
OTHER_REASON = "other"
#: Hidden properties of the workbook.
DEALER, LINES = "dealerkit_dealer", "dealerkit_lines"


def reference(dealer: str, table: str, column: str, key: str, was: str) -> str:
    """What ties a line to its value: the canonical names, and a checksum that a changed key or value no longer fits."""
    said = "\x1f".join((dealer, table, column, key, was))
    return f"{table}.{column}.{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:16]}"


def parts_of(ref: str) -> tuple[str, str] | None:
    """Table and column of a reference, None when it is none of this kit's."""
    table, _, rest = ref.partition(".")
    column = rest.partition(".")[0]
    return (table, column) if table in TABLES and column in TABLES[table] else None


@cache
def spellings() -> dict[str, str]:
    """Heading, in any language → column of a line."""
    return {Translator(language).text(text): name for language in LANGUAGES for name, text in HEADINGS.items()}


@cache
def reasons() -> dict[str, str]:
    """Reason as the list offers it, in any language → its code."""
    return {Translator(language).text(text): code for language in LANGUAGES for code, text in REASONS.items()}
