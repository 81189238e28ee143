"""The warm chain: the same outputs as without it, started only when there is work, done without where it cannot be."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import nbformat
import pytest
from dealerkit.warm import CODES, TAKEN
from helpers import OPEN_RUN, ROOT, Running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is a warm parent on Linux only")

TITLE = 'run.fact("as_of", "2026-09-30")\nrun.headline("All is well")'

#: What analysts do in notebooks of their own, and what a kernel that is a fork might do otherwise.
HABITS = (
    "import pandas as pd, numpy as np\npd.DataFrame({f'column_{i}': [i] for i in range(40)})",
    "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.title('one')",
    "import seaborn as sns\nsns.histplot(x=[1, 2, 2, 3])\nplt.rcParams['figure.figsize'], plt.get_backend()",
    "import warnings\nfor _ in range(3):\n    warnings.warn('look here')\nprint('said'); import sys; print('wrong', file=sys.stderr)",
    "!echo from a shell",
    "1 / 3, 'a' * 200, {'b': 1, 'a': 2}, {'x', 'y', 'z'}",
    "pd.get_option('display.max_columns'), pd.get_option('display.width'), np.get_printoptions()['precision']",
    "__name__, sys.path[0], sorted(p for p in sys.path if 'site-packages' not in p), sys.argv[0].rpartition('/')[2]",
    "import os\nsorted(k for k in os.environ if k not in ('DEALERKIT_PARENT', 'WARM', 'JPY_PARENT_PID', 'PYDEVD_USE_FRAME_EVAL')), os.getcwd()",
    "import logging\nlogging.getLogger('mine').warning('of a logger'), logging.getLogger().handlers, logging.getLogger().level",
    "import signal\nsignal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD)",
    "import gc\ngc.isenabled(), gc.get_threshold(), sys.getrecursionlimit(), os.umask(0o077)",
    "import importlib.util\nimportlib.util.find_spec('rfc3987_syntax') is None, importlib.util.find_spec('debugpy') is None",
    "from threadpoolctl import threadpool_info\nimport sklearn.cluster\nsorted((p['user_api'], p['num_threads']) for p in threadpool_info())",
    "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>bold</b>'), Markdown('*text*'))\nget_ipython().history_manager.enabled",
    "%matplotlib inline\n%whos int",
    "input_given = sys.stdin.read() if not sys.stdin.closed else ''\ninput_given",
)


def cells(project: Running) -> list:
    """Source and outputs of each cell of the notebook that ran."""
    notebook = nbformat.read(project.folder / "build/small/90-summary.ipynb", as_version=4)
    shown = [(cell.source, json.dumps(cell.get("outputs"))) for cell in notebook.cells]
    return [(source, re.sub(r"ipykernel_\d+", "", outputs)) for source, outputs in shown]  # its process id


def execute(project: Running, way: str) -> list:
    """Cells of the notebook after it ran this way."""
    shutil.rmtree(project.folder / "build", ignore_errors=True)
    project.start(way=way).communicate(timeout=120)  # a page with pictures that are not the report's is refused
    return cells(project)


def test_a_kernel_that_is_a_fork_does_as_any_other(tmp_path):
    project = Running(tmp_path, OPEN_RUN, TITLE, *HABITS)
    cold, warm = execute(project, "cold"), execute(project, "warm")
    assert len(cold) == len(warm) > len(HABITS)
    for first, second in zip(cold, warm, strict=True):
        assert first == second
    assert sum(shown not in ("null", "[]") for _source, shown in cold) > len(HABITS) - 2


def test_numbers_drawn_without_a_seed_differ(tmp_path):
    project = Running(tmp_path, OPEN_RUN, TITLE, "import numpy as np, random\nprint(np.random.rand(), random.random())")
    assert execute(project, "warm")[-1] != execute(project, "warm")[-1]


def test_a_parent_that_cannot_start_is_done_without_and_none_is_started_for_nothing(tmp_path):
    project = Running(tmp_path, OPEN_RUN, TITLE)
    lib, started = tmp_path / "lib", tmp_path / "started"
    lib.unlink()
    shutil.copytree(ROOT / "lib", lib)
    parent = "from pathlib import Path\nPath('started').touch()\nraise SystemExit(3)\n"
    (lib / "dealerkit/chain/parent.py").write_text(parent, encoding="utf-8")
    running = project.start(PYTHONPATH=str(lib))
    said = running.communicate(timeout=120)[0]
    assert running.returncode == 0, said
    assert started.exists() and (tmp_path / "reports/small/index.html").exists() and not project.processes()
    started.unlink()
    assert project.start(PYTHONPATH=str(lib)).communicate(timeout=60)[0] == "reports/small/index.html\n"
    assert not started.exists()


def test_a_recipe_that_is_gone_and_a_page_that_cannot_be_drawn_do_not_end_the_parent(tmp_path):
    """The first request is given up before it is taken; the second gets its answer."""
    lib = tmp_path / "lib"
    shutil.copytree(ROOT / "lib", lib)
    with open(lib / "dealerkit/report/page.py", "a", encoding="utf-8") as file:
        file.write("\n\ndef render(*_arguments):\n    raise RuntimeError('not now')\n")
    (tmp_path / "params").mkdir()
    environment = dict(os.environ) | {"PYTHONPATH": str(lib)}
    asked = {"arguments": ["schema"], "folder": str(tmp_path), "umask": 0o77, "environment": environment}
    content = ascii(asked).encode("ascii")
    with socket.socket(socket.AF_UNIX) as listening, open(tmp_path / "said", "wb") as said:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        command = [sys.executable, "-m", "dealerkit.chain.parent", str(listening.fileno())]
        parent = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=said, stderr=said, pass_fds=[listening.fileno()]
        )
        try:
            for stays in (False, True, True):
                with socket.socket(socket.AF_UNIX) as recipe:
                    recipe.connect(str(tmp_path / "s"))
                    socket.send_fds(recipe, [len(content).to_bytes(4, "big")], [said.fileno(), said.fileno()])
                    recipe.sendall(content)
                    if stays:
                        recipe.settimeout(60)
                        assert (recipe.recv(1), recipe.recv(1)) == (TAKEN, bytes([CODES[0]]))
                        time.sleep(5)  # enough to have rehearsed
            assert parent.poll() is None
        finally:
            parent.kill()
            parent.wait()
    assert (tmp_path / "said").read_text() == ""
