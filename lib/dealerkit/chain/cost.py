"""What each step of a report takes: seconds, processor seconds and memory, kept beside the build and shown on a page.

A step is one command of the chain: a notebook run, its page drawn, the data dictionary written. The page is the only
one that differs from run to run; nothing else of a report depends on what is measured here.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dealerkit.chain.folders import COST, DICTIONARY, PAGES, Folders, stages
from dealerkit.lock import RUN
from dealerkit.messages import N_
from dealerkit.warm import SOCKET

_BYTES = 1 if sys.platform == "darwin" else 1024  # of one unit of the operating system's peak memory


@dataclass(frozen=True)
class Cost:
    """What one step took, its kernel included.

    Attributes:
        step: execute, render or dictionary.
        stage: whose notebook or page it was; empty for the dictionary.
        run: the run of make it belongs to; empty when it was called by hand.
        warm: forked by a parent that had the imports behind it.
        seconds: by the clock, imports included unless warm.
        cpu_seconds: of the processor, user and system.
        peak_mb, kernel_mb: most memory held by the step's own process and by its kernel, shared pages included;
            megabytes of a million bytes.
    """

    step: str
    stage: str
    run: str
    warm: bool
    seconds: float
    cpu_seconds: float
    peak_mb: float
    kernel_mb: float


class Meter:
    """Measures one step from now on; its kernel counts once it has been waited for."""

    def __init__(self):
        self._began, self._used = time.monotonic(), _cpu_seconds()

    def keep(self, folders: Folders, step: str, stage: str = "") -> None:
        """Write what the step took. A disk without room is no reason to fail a step that is done."""
        own, kernel = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cost = Cost(
            step,
            stage,
            os.environ.get(RUN, ""),
            SOCKET in os.environ,
            round(time.monotonic() - self._began, 3),
            round(_cpu_seconds() - self._used, 3),
            round(own.ru_maxrss * _BYTES / 1e6, 1),
            round(kernel.ru_maxrss * _BYTES / 1e6, 1),
        )
        path = _path(folders, step, stage)
        part = path.with_suffix(".part")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.write_text(json.dumps(asdict(cost), indent=1), encoding="utf-8")
            part.replace(path)


def _cpu_seconds() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _path(folders: Folders, step: str, stage: str) -> Path:
    return folders.build / ".cost" / f"{step}{'.' if stage else ''}{stage}.json"


def steps(folders: Folders) -> list[tuple[str, str]]:
    """(step, stage) of all that a report takes, in the order of the chain."""
    names = stages(folders.root)
    done = [("execute", name) for name in names] + [("render", name) for name in names]
    return [*done, ("dictionary", "")]


def read(folders: Folders) -> list[Cost]:
    """What was kept of the steps of the report; a step whose record cannot be read is left out."""
    found = []
    for step, stage in steps(folders):
        try:
            found.append(Cost(**json.loads(_path(folders, step, stage).read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # none, or one of another version of the kit
            continue
    return found


def _parent() -> tuple[float, float] | None:
    """Processor seconds so far and most megabytes of the warm parent, which imports once for all; None without one."""
    if SOCKET not in os.environ:
        return None
    try:
        about = Path(f"/proc/{os.getppid()}")
        fields = about.joinpath("stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        peak = re.search(r"(?m)^VmHWM:\s+(\d+) kB", about.joinpath("status").read_text(encoding="utf-8"))
    except OSError:
        return None
    if not peak:  # a container may keep it to itself
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak[1]) * 1024 / 1e6


def page(folders: Folders) -> None:
    """Write the page on what the report took."""
    from dealerkit.chain import pages
    from dealerkit.report.cost import Step, cost_page

    now, label = os.environ.get(RUN), {**PAGES, "": DICTIONARY[1]}
    found, parent = read(folders), _parent()
    shown = [
        Step(
            label.get(cost.stage, cost.stage),
            "notebook" if cost.step == "execute" else "page",
            cost.cpu_seconds,
            cost.seconds,
            max(cost.peak_mb, cost.kernel_mb),
            earlier=bool(now) and cost.run != now,
        )
        for cost in found
    ]
    folders.reports.mkdir(parents=True, exist_ok=True)
    cost_page(
        folders.reports / COST[0],
        pages.context(folders, folders.params(), COST[0], ("render",)),
        shown,
        missing=len(steps(folders)) - len(found),
        programs=Step(N_("Loading the programs"), "programs", parent[0], None, parent[1]) if parent else None,
        anew=bool(found) and not any(cost.warm for cost in found),
    )
