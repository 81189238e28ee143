"""The table of `make bench`: what each way of making a report costs beyond the arithmetic in it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Ways in the order of the table, and what each is.
WAYS = {
    "naive": "papermill and nbconvert from the command line, one after the other for each notebook",
    "cold": "`WARM=0 make report`: every step a process of its own",
    "warm": "`make report`, for several dealers `make reports`: one process imports, and forks for each step",
    "side": "`make -j reports`, as many dealers side by side as there are cores, which then share caches and cores' halves",
    "floor": "the cells of the notebooks as one plain script: no kernel, no notebook, no page",
    "nothing": "`make report` once more, with nothing to do",
}


@dataclass(frozen=True)
class Measured:
    """One way measured for a number of dealers: CPU and wall seconds, memory in millions of bytes."""

    way: str
    dealers: int
    cpu: float
    wall: float
    largest_mb: float
    tree_mb: float


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        measured: medians over the rounds; the differences below are medians of each round's own, as a machine's speed
            changes from one round to the next.
        overhead: CPU seconds beyond the floor for as many dealers; None without a floor.
        of_naive: the overhead as a share of naive's for as many dealers.
        further: for several dealers: CPU seconds that each one after the first costs per notebook beyond the floor.
    """

    measured: Measured
    overhead: float | None = None
    of_naive: float | None = None
    further: float | None = None


def median(rounds: Sequence[Measured]) -> Measured:
    """The middle of several measurements of the same, figure by figure."""
    first = rounds[0]
    figures = (statistics.median(getattr(m, name) for m in rounds) for name in ("cpu", "wall", "largest_mb", "tree_mb"))
    return Measured(first.way, first.dealers, *figures)


def lines(measured: Iterable[Measured], notebooks: int) -> list[Line]:
    """Lines of the table, in its order; several measurements of the same become one.

    Args:
        measured: each way as often as there were rounds, in their order.
        notebooks: number of notebooks of a report.
    """
    groups: dict[tuple[str, int], list[Measured]] = {}
    for m in measured:
        groups.setdefault((m.way, m.dealers), []).append(m)
    beyond = {
        (way, dealers): [m.cpu - floor.cpu for m, floor in zip(rounds, groups["floor", dealers], strict=False)]
        for (way, dealers), rounds in groups.items()
        if way in _MAKING and ("floor", dealers) in groups
    }
    found = []
    for way, dealers in sorted(groups, key=lambda key: (list(WAYS).index(key[0]), key[1])):
        here, one, naive = (beyond.get(key, ()) for key in ((way, dealers), (_FIRST.get(way, way), 1), (_NAIVE, 1)))
        further = [(h - o) / ((dealers - 1) * notebooks) for h, o in zip(here, one, strict=False) if dealers > 1]
        shares = [h / (dealers * n) for h, n in zip(here, naive, strict=False)]
        found.append(Line(median(groups[way, dealers]), *map(_middle, (here, shares, further))))
    return found


def _middle(figures: Sequence[float]) -> float | None:
    return statistics.median(figures) if figures else None


_NAIVE = "naive"
_MAKING = (_NAIVE, "cold", "warm", "side")
_FIRST = {"side": "warm"}  # one dealer has none beside it
_HEAD = (
    "way",
    "dealers",
    "CPU, s",
    "wall, s",
    "largest process, MB",
    "all at once, MB",
    "overhead, s",
    "of naive's",
    "each further dealer and notebook, s",
)


def markdown(found: Iterable[Line]) -> str:
    """The table as text, with what its words mean below it."""
    rows = [_HEAD, ("---", *("--:" for _ in _HEAD[1:]))]
    for line in found:
        m = line.measured
        rows.append(
            (
                m.way,
                str(m.dealers),
                f"{m.cpu:.1f}" if m.cpu >= 1 else f"{m.cpu:.2f}",
                f"{m.wall:.1f}" if m.wall >= 1 else f"{m.wall:.2f}",
                f"{m.largest_mb:.0f}",
                f"{m.tree_mb:.0f}" if m.tree_mb else "",
                "" if line.overhead is None else f"{line.overhead:.1f}",
                "" if line.of_naive is None else f"{line.of_naive:.3f}",
                "" if line.further is None else f"{line.further:.2f}",
            )
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    meant = "\n".join(f"- {way}: {what}" for way, what in WAYS.items())
    return (
        f"{table}\n\n{meant}\n\nCPU: seconds of the processor, user and system, of every process that was started. "
        "Overhead: CPU − the floor's for as many dealers. MB: millions of bytes; all at once: what processes share counted "
        "once.\n"
    )
