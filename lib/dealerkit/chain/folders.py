"""Where everything of a dealer is, and which pages there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dealerkit import params as params_
from dealerkit.messages import N_

#: Pages in the order of the navigation; the number is the order of the chain. A page is there when its notebook is.
PAGES = {
    "90-summary": N_("Summary"),
    "10-audit": N_("Data quality"),
    "20-customers": N_("Customers"),
    "30-segments": N_("Segments"),
    "40-importance": N_("What matters"),
    "50-lifecycle": N_("Life cycle and churn"),
    "60-tradein": N_("Trade-in and leads"),
    "70-actions": N_("Actions"),
}
DICTIONARY = ("dictionary.html", N_("Data dictionary"))
#: The one page that differs from run to run; linked from the foot of the others.
COST = ("cost.html", N_("What making this report took"))


@dataclass(frozen=True)
class Folders:
    """Where everything of a dealer is."""

    root: Path
    dealer: str

    @property
    def build(self) -> Path:
        return self.root / "build" / self.dealer

    @property
    def raw(self) -> Path:
        return self.root / "data/raw" / self.dealer

    @property
    def reports(self) -> Path:
        return self.root / "reports" / self.dealer

    @property
    def state(self) -> Path:
        return self.root / "data/state" / self.dealer

    @property
    def snapshots(self) -> Path:
        return self.state / "snapshots"

    def page(self, stage: str) -> Path:
        return self.reports / page_name(stage)

    def params(self) -> params_.Params:
        return params_.load(self.root / "params" / f"{self.dealer}.yaml")


def page_name(stage: str) -> str:
    """File name of the page of a stage."""
    return "index.html" if stage == "90-summary" else f"{stage}.html"


def stages(root: Path) -> list[str]:
    """Stages that have a notebook, in the order of the chain."""
    return sorted(p.stem for p in (root / "notebooks").glob("[0-9][0-9]-*.ipynb"))
