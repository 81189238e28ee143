"""What faults cost: customers who cannot be reached, or are looked after at the wrong time, in yuan a year.

A first estimate: the value of a reachable customer by the params × the share of it that an action could keep. A customer
whom several faults hit counts for each check, and once in the total: as unreachable where they have no usable phone
(`reach`), whichever fault took it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
from ibis import _

from dealerkit import engine, reach
from dealerkit.audit.fixers import fixer_of
from dealerkit.params import Params

#: Checks whose faults leave a customer without a usable phone, unless they have another.
UNREACHABLE = frozenset(
    f"customers.phone_{name}" for name in ("filled", "legal", "mobile", "real", "shared", "of_staff")
)
#: Checks whose faults put a customer into the wrong place: another car, age, owner, or last visit.
MISPLACED = frozenset(
    f"{table}.{name}"
    for table, names in {
        "customers": "similar_record id_repeated birth_matches_id age_plausible birth_not_filler birth_date_legal",
        "vehicles": "purchased_on_filled purchased_on_legal model_year_fits_purchase model_year_fits_vin purchase_fits_vin"
        " warranty_after_purchase disposed_after_purchase one_plate_at_once plate_on_one_car cars_of_one_person odometer_read"
        " insurance_stale",
        "sales_orders": "vin_known vin_sold_once purchase_dates_agree sold_after_birth",
        "service_orders": "vin_known vin_present vin_legal opened_at_legal opened_at_not_too_early opened_at_not_in_future"
        " key_used_twice odometer_rolled_back odometer_jumped odometer_moves odometer_read after_purchase before_disposal",
    }.items()
    for name in names.split()
)


@dataclass(frozen=True)
class Cost:
    """Customers hit and yuan a year; yuan is None where the params give no value.

    Attributes:
        by_check: check → customers hit.
        by_fixer: who mends it → customers unreachable and misplaced, each once.
        unreachable, misplaced: customers in the total, each once.
        value_yuan: yuan a year of a reachable customer, None when not given.
        shares: share of it that an action could keep, of the unreachable and of the misplaced.
    """

    by_check: dict[str, int]
    by_fixer: dict[str, tuple[int, int]]
    unreachable: int
    misplaced: int
    value_yuan: float | None
    shares: tuple[float, float]

    @property
    def total_yuan(self) -> float | None:
        """Yuan a year of all faults, no customer counted twice."""
        return self._yuan(self.unreachable, self.misplaced)

    def of_fixer(self, fixer: str) -> float | None:
        """Yuan a year of all that somebody can mend, no customer counted twice."""
        return self._yuan(*self.by_fixer.get(fixer, (0, 0)))

    def _yuan(self, unreachable: int, misplaced: int) -> float | None:
        if self.value_yuan is None:
            return None
        return self.value_yuan * (unreachable * self.shares[0] + misplaced * self.shares[1])

    def of(self, check: str) -> float:
        """Yuan a year of one check: NaN when it makes nobody unreachable or misplaced, or no value is given."""
        if self.value_yuan is None or check not in UNREACHABLE | MISPLACED:
            return float("nan")
        return self.value_yuan * self.by_check.get(check, 0) * self.shares[check in MISPLACED]


def estimate(faults: ir.Table, clean: Mapping[str, ir.Table], params: Params) -> Cost:
    """Customers hit by each check, and what it costs.

    Args:
        faults: fault rows with check and customer_id.
        clean: the clean tables, gaps filled; ids that are none of their customers do not count.
        params: value and shares.
    """
    known = clean["customers"].select("customer_id", reachable=reach.reachable(clean, params.checks))
    harmful = sorted(UNREACHABLE | MISPLACED)
    hit = faults.filter(faults.check.isin(harmful)).select("check", "customer_id").drop_null().distinct()
    hit = hit.inner_join(known, "customer_id")
    # Who has a second phone that works, or whose gap was filled, can be reached.
    hit = hit.filter(~(hit.check.isin(sorted(UNREACHABLE)) & hit.reachable))
    fixers = ibis.literal({check: fixer_of(check) for check in harmful}, "map<string, string>")
    hit = hit.mutate(lost=hit.check.isin(sorted(UNREACHABLE)), fixer=fixers.get(hit.check))
    by_check = hit.group_by(what=_.check).agg(lost=_.lost.sum(), all=_.count())
    of_fixer = hit.group_by("fixer", "customer_id").agg(lost=_.lost.any())
    by_fixer = of_fixer.group_by(what=_.fixer).agg(lost=_.lost.sum(), all=_.count())
    lost = known.agg(lost=known.count(where=~(known.reachable)))
    misplaced = hit.agg(others=hit.customer_id.nunique(where=hit.reachable))
    total = lost.cross_join(misplaced).select("lost", all=_.lost + _.others).mutate(what=ibis.literal(""))
    total = total.select("what", "lost", "all")
    found = engine.frame_of(ibis.union(by_check, by_fixer, total).mutate(lost=_.lost.fill_null(0)))
    counts = {what: (int(lost), int(n - lost)) for what, lost, n in found.itertuples(index=False)}
    unreachable, misplaced = counts.pop("")
    return Cost(
        by_check={what: sum(n) for what, n in counts.items() if what in harmful},
        by_fixer={what: n for what, n in counts.items() if what not in harmful},
        unreachable=unreachable,
        misplaced=misplaced,
        value_yuan=params.value_per_reachable_customer_yuan or None,
        shares=(params.costs.unreachable_share, params.costs.misplaced_share),
    )
