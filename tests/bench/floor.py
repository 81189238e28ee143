"""What a report's arithmetic and charts cost by themselves: the cells of every notebook as one plain script.

`python tests/bench/floor.py DEALER…`, in a project folder: imports once, then each dealer's notebooks in order, with the
same tables saved. No kernel, no notebook written, no page. With `--cells N` it says where the time goes, in CPU seconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import time
from pathlib import Path


def cells(notebook: Path) -> list[tuple[str, bool]]:
    """(source, is the one with the parameters) of the code cells of a notebook, in order, without magics."""
    found = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = re.sub(r"(?m)^\s*[%!].*$", "", "".join(cell["source"]))
        if cell["cell_type"] == "code" and source.strip():
            found.append((source, "parameters" in cell["metadata"].get("tags", [])))
    return found


def run(notebook: Path, dealer: str, build: Path) -> list[tuple[float, int, str]]:
    """Run a notebook's cells for a dealer; (CPU seconds, number, first line) of each.

    What they save is put into place as the chain does it.
    """
    stage = notebook.stem
    part, target = build / f".{stage}.part", build / stage
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    os.environ["DEALERKIT_STAGE"] = stage
    names: dict = {"__name__": "__main__"}
    took = []
    for number, (source, parameters) in enumerate(cells(notebook), 1):
        began = time.process_time()
        exec(compile(source, f"{stage}, cell {number}", "exec"), names)
        if parameters:
            names |= {"dealer": dealer, "page": stage}
        took.append((time.process_time() - began, number, source.strip().splitlines()[0]))
    shutil.rmtree(part / "spill", ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return took


def main() -> None:
    """Run every notebook for every dealer named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dealers", nargs="+")
    parser.add_argument("--cells", type=int, default=0, help="how many of the longest cells of a notebook to print")
    args = parser.parse_args()
    root = Path.cwd()
    os.environ |= {"DEALERKIT_ROOT": str(root), "MPLBACKEND": "agg"}
    gc.disable()  # as the chain imports, and keeps what it has imported
    from dealerkit import run as shown

    gc.freeze()
    gc.enable()
    shown.display = lambda *a, **k: None  # outside of a notebook it would print
    print(f"imports {time.process_time():.2f}")
    for dealer in args.dealers:
        for notebook in sorted((root / "notebooks").glob("[0-9][0-9]-*.ipynb")):
            took = run(notebook, dealer, root / "build" / dealer)
            print(f"{dealer} {notebook.stem} {sum(t for t, _, _ in took):.2f}")
            for seconds, number, line in sorted(took, reverse=True)[: args.cells]:
                print(f"    {seconds:5.2f}  cell {number}: {line[:80]}")
    print(f"all {time.process_time():.2f}", flush=True)
    os._exit(0)  # as a kernel ends: taking the interpreter apart is no part of the work


if __name__ == "__main__":
    main()
