"""Who can mend a fault, and how: the first rule that a check meets."""

from __future__ import annotations

import re
from functools import cache

from dealerkit.messages import N_

RECEPTION, CALL_CENTRE, WORKSHOP, SALES, SYSTEM = (
    N_("reception"),
    N_("call centre"),
    N_("workshop"),
    N_("sales"),
    N_("system"),
)
#: In the order in which they are named where nothing else decides.
FIXERS = (RECEPTION, CALL_CENTRE, SALES, WORKSHOP, SYSTEM)

#: (tables, names of checks, who mends it, how).
_RULES = (
    ("", r"goes_on_to_the_end|without_holes|months_whole", SYSTEM, N_("Export the table again, whole and up to the same day as the others.")),
    ("", r"columns_vary|numbers_without_gaps", SYSTEM, N_("See whether the export leaves something out.")),
    ("", r"text_(?:damaged|controls|formula)", SYSTEM, N_("Export as UTF-8 or GB18030, as plain text.")),
    ("", r"key_.*|.*_present", SYSTEM, N_("Make the field mandatory and unique in the system.")),
    ("staff", r".*", SYSTEM, N_("Keep the list of staff with its phones up to date.")),
    ("interactions", r"scores_.*|perfect_.*|surveys_.*|phone_changed.*", CALL_CENTRE, N_("Have somebody else ask these customers again before anything is said to the employee.")),
    ("leads", r"phone_.*", SALES, N_("Call back by the source of the lead, and enter the number that answers.")),
    ("", r"phone_.*|email_.*|consent_.*", CALL_CENTRE, N_("Ask for the number at the next contact; leave it empty rather than fill it in.")),
    ("customers", r"similar_record|id_repeated", RECEPTION, N_("Look the customer up by phone and plate before making a new card.")),
    ("customers contacts", r"name_.*|id_.*|birth_.*|age_.*|gender_.*", RECEPTION, N_("Compare with the ID card at the next visit and correct the customer's card.")),
    ("vehicles service_orders", r"odometer.*|wait_.*|opened_(?:by|one).*|stay_not.*|visits_in_bulk|visits_repeated|comeback.*|adviser.*", RECEPTION, N_("Open the visit while the car is there, and read the odometer off.")),
    ("", r"vin_(?:legal|real|check_digit)|trade_in_vin_.*|plate_.*|one_plate.*|model_year.*|purchase_fits.*", RECEPTION, N_("Compare VIN and plate with the registration at the next visit.")),
    ("", r".*_known|.*_legal|.*_not_too_early|.*_not_in_future", SYSTEM, N_("Let the field take only dates, codes and numbers that exist; export all tables on one day.")),
    ("vehicles", r".*", RECEPTION, N_("Ask who drives the car now and until when it is insured, and correct its record.")),
    ("sales_orders", r".*", SALES, N_("Correct the contract's dates, prices and buyer.")),
    ("leads", r".*", SALES, N_("Close each lead with its result and reason on the day it ends.")),
    ("service_orders service_lines", r".*", WORKSHOP, N_("Settle from the lines of the order; do not type totals in.")),
    ("interactions", r".*", CALL_CENTRE, N_("Write each call down when it ends, with whom it was and what came of it.")),
    ("campaigns", r".*", SALES, N_("Leave the control group alone, and write down who came.")),
    ("", r".*", RECEPTION, N_("Ask at the next visit and correct the record.")),
)  # fmt: skip


@cache
def _rule(table: str, name: str) -> tuple[str, str]:
    for among, names, who, how in _RULES:
        if (not among or table in among.split()) and re.fullmatch(names, name):
            return who, how
    raise AssertionError(f"no rule for {table}.{name}: the last one is for all")


def fixer_of(check: str) -> str:
    """Who mends what a check (`table.name`) finds, as a message."""
    return _rule(*check.split(".", 1))[0]


def remedy_of(check: str) -> str:
    """What they do, as a message."""
    return _rule(*check.split(".", 1))[1]
