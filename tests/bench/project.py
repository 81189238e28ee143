"""A project folder around the working tree's library and notebooks, with dealers of its own."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINKED = ("Makefile", "lib", "notebooks", "requirements.lock", "requirements-dev.lock", "pyproject.toml")


def lay_out(folder: Path) -> None:
    """Make the folder, with no dealer yet; `build`, `reports`, `data` and `params` are its own."""
    folder.mkdir(parents=True)
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    (folder / "params").mkdir()


def add_copy(folder: Path, name: str, of: str = "demo") -> None:
    """Add a dealer with the params and the raw files of one that ships."""
    text = (ROOT / f"params/{of}.yaml").read_text(encoding="utf-8")
    (folder / f"params/{name}.yaml").write_text(re.sub(r"(?m)^dealer:.*\n", "", text), encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True, exist_ok=True)
    (folder / "data/raw" / name).symlink_to(ROOT / "data/raw" / of)


def remove_dealers(folder: Path) -> None:
    """Take out every dealer with all that was made for it; what the programs cache stays."""
    for path in (folder / "params").glob("*.yaml"):
        for place in ("build", "reports", "data/state"):
            shutil.rmtree(folder / place / path.stem, ignore_errors=True)
        (folder / "data/raw" / path.stem).unlink()
        path.unlink()
