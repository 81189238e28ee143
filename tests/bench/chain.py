"""What a report costs beyond its arithmetic: `make bench`, or `python tests/bench/chain.py` with options.

Measures, one after the other, the ways of `overheads.WAYS` on copies of the dealer `demo`, each from an empty build; prints
a table and, when every way was measured, writes it to `tests/bench/results/<machine>-<date>`, as text and as JSON.
Run it on a machine that does nothing else: CPU seconds grow when several programs share its caches. Linux only.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import os
import platform
import re
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from overheads import WAYS, Measured, lines, markdown
from processes import measure
from project import ROOT, add_copy, lay_out, remove_dealers

BENCH = Path(__file__).parent
PACKAGES = ("papermill", "nbconvert", "ipykernel", "pandas", "numpy", "matplotlib", "scikit-learn", "duckdb")
_ONE = {"naive", "cold", "nothing"}  # measured for one dealer
QUIET = 0.5  # load average below which figures are worth keeping
_STEERS = re.compile(r"MAKE|MFLAGS|DEALER|AS_OF|REPORT_|REFRESH|EXTRAS|CONDA|JUPYTER|IPYTHON|PYTHON|WARM|OMP_|MPL")


def environment(folder: Path) -> dict[str, str]:
    """What every way runs with: the caller's own without what would steer it, one thread, caches in the folder."""
    kept = {name: value for name, value in os.environ.items() if not _STEERS.match(name)}
    cache = folder / "build/.cache"
    return kept | {
        "PYTHONPATH": str(ROOT / "lib"),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "IPYTHONDIR": f"{cache}/ipython",
        "JUPYTER_CONFIG_DIR": f"{cache}/jupyter",
        "JUPYTER_DATA_DIR": f"{cache}/jupyter/data",
        "JUPYTER_RUNTIME_DIR": f"{cache}/jupyter/runtime",
        "MPLCONFIGDIR": f"{cache}/matplotlib",
        "XDG_CACHE_HOME": str(cache),
    }


def command(way: str, dealers: list[str], cores: int) -> tuple[list[str], dict[str, str]]:
    """What a way runs, and what it adds to the environment."""
    if way == "naive":
        return ["sh", str(BENCH / "naive.sh"), *dealers], {}
    if way == "floor":
        return [".venv/bin/python", str(BENCH / "floor.py"), *dealers], {}
    made = ["make", "READY=", "--no-print-directory"]
    if len(dealers) == 1:
        return [*made, "report", f"DEALER={dealers[0]}"], {"WARM": "0"} if way == "cold" else {}
    return [*made, f"-j{cores if way == 'side' else 1}", "reports"], {}


def measured(folder: Path, way: str, dealers: int, cores: int) -> Measured:
    """One way measured for a number of dealers; every one but `nothing` begins with an empty build."""
    names = [f"bench{i}" for i in range(1, dealers + 1)]
    if way != "nothing":
        remove_dealers(folder)
        for name in names:
            add_copy(folder, name)
    run, more = command(way, names, cores)
    found = Measured(way, dealers, **asdict(measure(run, folder, environment(folder) | more)))
    print(f"{way:<8} {dealers}  CPU {found.cpu:7.2f} s  wall {found.wall:7.2f} s", flush=True)
    return found


def plan(only: list[str], dealers: list[int], backwards: bool = False) -> list[tuple[str, int]]:
    """(way, dealers) to measure, in order: what is compared follows each other, nothing to do a report just made.

    Every other round goes backwards, so that a machine that becomes slower or faster favours no way.
    """
    found = []
    for n in dealers:
        found += [[("naive", 1)], [("cold", 1)]] if n == 1 else [[("side", n)]]
        found += [[("floor", n)], [("warm", n), ("nothing", 1)] if n == 1 else [("warm", n)]]
    ordered = reversed(found) if backwards else found
    return [step for steps in ordered for step in steps if step[0] in only]


def about(cores: int, load: float) -> dict:
    """Machine, versions and code of a measurement."""
    names = re.findall(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    code = hashlib.sha256()
    for path in sorted([*ROOT.glob("lib/**/*.py"), *ROOT.glob("notebooks/*.ipynb"), ROOT / "Makefile"]):
        code.update(path.read_bytes())
    return {
        "machine": f"{names[0] if names else platform.machine()}, {cores} cores",
        "date": date.today().isoformat(),
        "load": round(load, 2),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "code": code.hexdigest()[:12],
    }


def write(found: list[Measured], notebooks: int, said: dict, folder: Path) -> Path:
    """Write the results as text and as JSON; the path of the text."""
    name = re.sub(r"[^a-z0-9.]+", "-", said["machine"].lower()).strip("-")
    path = folder / f"{name}-{said['date']}.md"
    packages = ", ".join(f"{package} {number}" for package, number in said["packages"].items())
    text = (
        f"# What a report costs beyond its arithmetic\n\n{said['machine']}; {said['date']}; {notebooks} notebooks; median of "
        f"{max(sum(m.way == w for m in found if m.dealers == 1) for w in WAYS)}; load at the start {said['load']}; Python "
        f"{said['python']}, {packages}; code {said['code']}.\n\n{markdown(lines(found, notebooks))}"
    )
    folder.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    whole = said | {"notebooks": notebooks, "measured": [asdict(m) for m in found]}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dealers", type=int, nargs="+", default=[1, 4, 8], help="how many at once, for warm and floor"
    )
    parser.add_argument("--repeat", type=int, default=1, help="rounds; the table shows the median")
    parser.add_argument("--only", nargs="+", choices=tuple(WAYS), default=list(WAYS), help="measure these ways only")
    args = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    notebooks = len(list(ROOT.glob("notebooks/[0-9][0-9]-*.ipynb")))
    said = about(cores, load)
    if load > QUIET:
        print(f"the machine is busy (load {load:.1f}): the figures will be too large", file=sys.stderr)
    dealers = sorted({1, *args.dealers} if _ONE & set(args.only) else set(args.dealers))
    compileall.compile_dir(str(ROOT / "lib"), quiet=1)
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary, "project")
        lay_out(folder)
        measured(folder, "warm", 1, cores)  # not counted: fills the caches of disk and programs
        for i in range(args.repeat):
            found += [measured(folder, way, n, cores) for way, n in plan(args.only, dealers, i % 2 == 1)]
    print("\n" + markdown(lines(found, notebooks)))
    if set(args.only) == set(WAYS):
        print(write(found, notebooks, said, BENCH / "results"))


if __name__ == "__main__":
    main()
