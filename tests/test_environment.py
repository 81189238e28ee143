"""One set of packages: pyproject.toml, the three locks, environment.yml, what is installed, and how it is set up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-extras.lock")
PYTHONS = ("3.11", "3.12", "3.13")


def pins(lock: str) -> list[tuple[str, str, Marker | None, list[str]]]:
    """(name, version, marker, hashes) of each pin; a line that is none fails."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace(" \\\n", " ")
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z0-9._-]+)==([^ ;]+)(?: ; (.*?))?((?: +--hash=sha256:[0-9a-f]{64})*)", line)
        assert match, f"{lock}: {line[:80]!r}"
        name, version, marker, hashes = match.groups()
        found.append((name, version, Marker(marker) if marker else None, hashes.split()))
    return found


def versions(lock: str, python: str) -> dict[str, str]:
    """Name → version of what the lock installs with a Python here."""
    here = {"python_version": python, "python_full_version": f"{python}.5"}
    return {name: version for name, version, marker, _ in pins(lock) if marker is None or marker.evaluate(here)}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_nothing_names_an_address(lock):
    for name, _, _, hashes in pins(lock):
        assert hashes, f"{lock}: {name} has no hash"
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links|\s@\s|(?m:^\s*-[er])", text)


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_hold_the_same_versions(python):
    core, dev, extras = (versions(lock, python) for lock in LOCKS)
    assert core.items() <= dev.items()
    assert core.items() <= extras.items()
    assert {n: v for n, v in dev.items() if n in extras and extras[n] != v} == {}


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_satisfy_pyproject(python):
    declared = project()
    wanted = {
        "requirements.lock": declared["project"]["dependencies"] + declared["build-system"]["requires"],
        "requirements-dev.lock": declared["dependency-groups"]["dev"],
        "requirements-extras.lock": sum(declared["project"]["optional-dependencies"].values(), []),
    }
    for lock, requirements in wanted.items():
        locked = versions(lock, python)
        for requirement in map(Requirement, requirements):
            version = locked.get(canonicalize_name(requirement.name))
            assert version and requirement.specifier.contains(version), f"{lock}: {requirement} against {version}"


@pytest.mark.parametrize("lock", LOCKS[:2])
def test_locks_are_complete(lock):
    """Whatever an installed package of the lock requires is in the lock as well, at a version that it allows."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    locked = versions(lock, here)
    checked = 0
    for name, version in locked.items():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if distribution.version != version:
            continue
        checked += 1
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                got = locked.get(canonicalize_name(requirement.name))
                assert got and requirement.specifier.contains(got, prereleases=True), (
                    f"{name} needs {requirement}, {lock} has {got}"
                )
    assert checked > 100


def test_what_is_installed_is_what_the_lock_says():
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions()}
    assert {
        n: (v, installed.get(n)) for n, v in versions("requirements-dev.lock", here).items() if installed.get(n) != v
    } == {}


def test_python_versions_agree():
    declared = project()["project"]
    allowed = SpecifierSet(declared["requires-python"])
    assert [v for v in ("3.10", *PYTHONS, "3.14") if v in allowed] == list(PYTHONS)
    assert [c.rpartition(" ")[2] for c in declared["classifiers"] if re.search(r":: 3\.\d+$", c)] == list(PYTHONS)
    conda = conda_dependencies()[0]
    assert conda["python"] == str(declared["requires-python"])
    assert "sys.version_info[:2] <= (3, 13)" in (ROOT / "lib/setup_env.sh").read_text(encoding="utf-8")


def conda_dependencies() -> tuple[dict[str, str], list[str]]:
    """environment.yml as ({package: version}, lines for pip)."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    packages = dict((*entry.split(" ", 1), "")[:2] for entry in listed if isinstance(entry, str))
    return packages, [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]


def test_conda_takes_every_package_from_the_same_lock():
    packages, lines = conda_dependencies()
    assert (set(packages), lines) == ({"python", "pip"}, ["-r requirements.lock"])
    name = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["name"]
    assert f"filter {name},$(CONDA_DEFAULT_ENV)" in (ROOT / "Makefile").read_text(encoding="utf-8")


# ---- lib/setup_env.sh, with a uv and a Python that only note what they are asked -----------------------------------

UV = r"""#!/bin/sh
[ "$1" = --version ] || echo "uv $*" >> calls.log
case "$1 $2" in
    "venv -q") mkdir -p .venv/bin && cp bin/python3 .venv/bin/python ;;
    "pip install")
        case "$*" in *--no-deps\ --require-hashes*) for list; do :; done; cat "$list" >> calls.log ;; esac
        [ ! -e broken ] ;;
esac
"""
PYTHON = r"""#!/bin/sh
case "$*" in *"-m pip"* | *"-m venv"* | *"-m ensurepip"*) exit 1 ;; esac
exec "{python}" "$@"
"""


@pytest.fixture
def machine(tmp_path):
    """A folder with the set-up's files and a PATH whose Python can do nothing but run."""
    (tmp_path / "lib").mkdir()
    shutil.copy(ROOT / "lib/setup_env.sh", tmp_path / "lib")
    for name in ("pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin/uv", UV)
    for name in ("python3", "python", "python3.11", "python3.12", "python3.13"):
        program(tmp_path / "bin" / name, PYTHON.format(python=sys.executable))
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def set_up(machine: Path, level: str = "core", **more: str) -> tuple[int, list[str], str]:
    """Exit code, what uv was asked, and what was said."""
    log = machine / "calls.log"
    log.unlink(missing_ok=True)
    environment = {"PATH": f"{machine}/bin:/usr/bin:/bin", **more}
    done = subprocess.run(
        ["sh", "lib/setup_env.sh", level], cwd=machine, env=environment, capture_output=True, text=True, timeout=60
    )
    assert not (machine / ".setup.lock").exists()
    return done.returncode, log.read_text(encoding="utf-8").splitlines() if log.exists() else [], done.stderr


CORE = "uv pip install -q --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock"
DEV = CORE.replace("requirements.lock", "requirements-dev.lock")
SELF = "uv pip install -q --python .venv/bin/python --compile-bytecode --no-deps --no-build-isolation -e ."


def venv(machine: Path) -> str:
    return f"uv venv -q --python {machine}/bin/python3 .venv"


def test_set_up_once_and_again_only_after_a_change(machine):
    assert set_up(machine)[:2] == (0, [venv(machine), CORE, SELF])
    assert set_up(machine)[:2] == (0, [])
    with open(machine / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    assert set_up(machine)[:2] == (0, [CORE, SELF])


def test_core_after_dev_takes_nothing_away(machine):
    assert set_up(machine, "dev")[:2] == (0, [venv(machine), DEV, SELF])
    assert set_up(machine, "core")[:2] == (0, [CORE, SELF])
    assert set_up(machine, "dev")[:2] == (0, [])


def test_half_an_install_is_not_taken_as_done(machine):
    (machine / "broken").touch()
    code, _, said = set_up(machine)
    assert code == 2
    assert "requirements.lock could not be installed" in said and "UV_DEFAULT_INDEX=" in said
    assert not (machine / ".venv/.dealerkit-core").exists()
    (machine / "broken").unlink()
    assert set_up(machine)[:2] == (0, [CORE, SELF])


def test_a_broken_environment_is_built_anew(machine):
    set_up(machine)
    (machine / ".venv/bin/python").unlink()
    (machine / ".venv/bin/python").symlink_to("/nowhere/python3")
    assert set_up(machine)[:2] == (0, [venv(machine), CORE, SELF])


def test_extras_come_at_the_locked_versions_with_hashes(machine):
    code, calls, said = set_up(machine, EXTRAS="pdf")
    assert calls[2].startswith(
        "uv pip install -q --python .venv/bin/python --compile-bytecode --no-deps --require-hashes"
    )
    assert re.fullmatch(r"weasyprint==[0-9.]+ \\", calls[3])
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in calls[4:])
    # this uv installs nothing, which must not be taken as done
    assert (code, "not in requirements-extras.lock as installed" in said) == (2, True)
    assert not (machine / ".venv/.dealerkit-core").exists()


def test_extras_once_asked_for_stay(machine):
    text = (machine / "pyproject.toml").read_text(encoding="utf-8")
    small = text.replace("[project.optional-dependencies]", '[project.optional-dependencies]\nsmall = ["pandas>=2"]')
    (machine / "pyproject.toml").write_text(small, encoding="utf-8")
    assert set_up(machine, EXTRAS="small")[0] == 0
    assert set_up(machine)[:2] == (0, [])
    assert (machine / ".venv/.dealerkit-extras").read_text(encoding="utf-8") == "small\n"


@pytest.mark.parametrize("extras", ["spork", "pdf;touch y", "$(touch y)", "../x"])
def test_extras_that_are_none_are_refused(machine, extras):
    code, _, said = set_up(machine, EXTRAS=extras)
    assert (code, "extra" in said) == (2, True)
    assert not (machine / "y").exists()


def test_no_python_that_fits_is_said_in_words(machine):
    for path in (machine / "bin").iterdir():
        program(path, "#!/bin/sh\nexit 1\n")
    code, calls, said = set_up(machine)
    assert (code, calls) == (2, [])
    assert "no Python 3.11 to 3.13 on this machine" in said and "make env PYTHON=" in said


def test_uv_looks_for_a_python_where_the_machine_has_none(machine):
    for name in ("python", "python3.11", "python3.12", "python3.13"):
        program(machine / "bin" / name, "#!/bin/sh\nexit 1\n")
    program(
        machine / "bin/python3",
        '#!/bin/sh\ncase "$*" in *version_info*) [ "$0" = .venv/bin/python ] || exit 1 ;; esac\n'
        f'exec "{sys.executable}" "$@"\n',
    )
    assert set_up(machine)[1][0] == "uv venv -q --python >=3.11,<3.14 .venv"


def test_a_guard_left_by_a_dead_run_is_no_hindrance(machine):
    (machine / ".setup.lock").mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    (machine / ".setup.lock/pid").write_text(f"{dead.pid}\n", encoding="utf-8")
    assert set_up(machine)[0] == 0


def test_nothing_of_the_project_names_a_registry():
    names = ("Makefile", "environment.yml", "pyproject.toml", "lib/setup_env.sh", ".ci/run")
    assert not [n for n in names if re.search(r"https?://", (ROOT / n).read_text(encoding="utf-8"))]


def test_ci_runs_lint_and_tests():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert [line for line in script.splitlines() if line.startswith("make ")] == ["make lint", "make test"]
