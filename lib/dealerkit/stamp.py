"""Content stamps that make compares instead of raw files: `python -I -S lib/dealerkit/stamp.py <dealer>`.

Writes below `build/<dealer>/`, each only when its content changes:

- `.inputs`: every raw file with size and SHA-256, params, AS_OF, language, password there or not, refresh count, and
  what the kit remembers in `data/state/<dealer>/` (see `memory_changed` for what of it counts);
- `.code/<stage>`: the cells of a notebook and every library file that they reach through imports;
- `.code/render`: what turns executed notebooks into pages; `.code/dictionary`: what makes the data dictionary.

Runs before anything else of the kit, so it uses the standard library only and never imports the package.
Exit codes: 0 done, 2 a mistake of the user, in words on stderr.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time

DEALER_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9_\-\u4e00-\u9fff]{0,63}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?=\.)")
NOTEBOOK = re.compile(r"([0-9]{2}-[a-z0-9-]+)\.ipynb")
PACKAGE = "lib/dealerkit"
# Nothing that a notebook shows depends on who starts it, on the invented dealers, or on the commands.
SHELL = ("__main__", "chain", "lock", "stamp", "warm", "demo", "newdealer")
# What puts head, navigation and origin around a page; the rest of `chain` runs notebooks, which show what their own
# code does.
ASSEMBLES = ("chain.folders", "chain.pages")
PAGE_BASE = ("engine", "messages", "params")  # what it needs for that
# Rendering only: an edit here makes the pages again and reruns no analysis.
RENDER_ONLY = ("report.page", "report.template")
SETTLED_SECONDS = 2  # a file changed since then may change again within the same tick of its clock


class Refused(Exception):
    """A mistake of the user: what is wrong, and what to do."""

    def __init__(self, what: str, remedy: str):
        super().__init__(f"{what}\n  → {remedy}")


def check_dealer(dealer: str) -> None:
    """Raise `Refused` unless the name can be a folder and has a params file."""
    known = sorted(name[:-5] for name in _listed("params") if name.endswith(".yaml"))
    if not DEALER_NAME.fullmatch(dealer):
        what = f"DEALER={dealer!r} is not a dealer's name" if dealer else "no dealer named"
        raise Refused(
            what,
            "use 1 to 64 letters, digits, Chinese characters, - or _, as in DEALER=demo"
            f" (known dealers: {', '.join(known) or 'none'})",
        )
    if dealer not in known:
        near = _nearest(dealer, known)
        raise Refused(
            f"no dealer {dealer!r}: params/{dealer}.yaml is missing{near}",
            f"known dealers: {', '.join(known) or 'none'}; `make new-dealer` starts one",
        )


def check_environment() -> None:
    """Raise `Refused` when AS_OF or REPORT_LANG hold what no run can use."""
    as_of = os.environ.get("AS_OF", "")
    if as_of:
        try:
            time.strptime(as_of, "%Y-%m-%d")
            if len(as_of) != 10:
                raise ValueError
        except ValueError:
            raise Refused(f"AS_OF={as_of!r} is no date", "write year, month and day, as in AS_OF=2026-06-30") from None
    language = os.environ.get("REPORT_LANG", "")
    if language not in ("", "en", "zh"):
        raise Refused(f"REPORT_LANG={language!r} is not a report language", "use en or zh")


class Hashes:
    """Checksums of files, read again only when size or a time of the file changed."""

    def __init__(self, path: str):
        self.path = path
        self.known = _read_json(path)
        self.used: dict[str, list] = {}
        self.now = time.time_ns()

    def of(self, path: str, digest) -> list:
        """`digest(path)` (anything JSON), from the cache when the file is the same."""
        stat = os.stat(path)
        key = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        entry = self.known.get(path)
        if entry is None or entry[0] != key:
            entry = [key, digest(path)]
        settled = self.now - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_SECONDS * 10**9
        if settled:
            self.used[path] = entry
        return entry[1]

    def save(self) -> None:
        """Keep what was used, if it differs from what was read."""
        if self.used != self.known:
            _write(self.path, json.dumps(self.used, sort_keys=True))


def sha256_of(path: str) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# ---- inputs ----------------------------------------------------------------------------------------------------


def raw_files(folder: str) -> list[str]:
    """Every file below a folder, sorted; not the lock files of editors and file managers (`~$…`, `.…`)."""
    found, seen, waiting = [], set(), [folder]
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(here)
        if real in seen:  # a link to a folder above
            continue
        seen.add(real)
        for entry in os.scandir(here):
            if entry.name.startswith((".", "~$")):
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.is_file():
                found.append(entry.path)
    return sorted(found)


def inputs(dealer: str, hashes: Hashes, previous: dict) -> dict:
    """What a run of the dealer reads, as one JSON object."""
    folder = f"data/raw/{dealer}"
    files = {}
    for path in raw_files(folder) if os.path.isdir(folder) else []:
        name = os.path.relpath(path, folder)
        files[name] = {"size": os.stat(path).st_size, "sha256": hashes.of(path, sha256_of)}
    refresh = previous.get("refresh", 0) + (os.environ.get("REFRESH", "") not in ("", "0"))
    return {
        "dealer": dealer,
        "files": files,
        "params": hashes.of(f"params/{dealer}.yaml", sha256_of),
        "as_of": os.environ.get("AS_OF", ""),
        "language": os.environ.get("REPORT_LANG", ""),
        "password": bool(os.environ.get("DEALERKIT_PASSWORD")),
        "refresh": refresh,
        "state": state_files(f"data/state/{dealer}", hashes),
    }


def state_files(folder: str, hashes: Hashes) -> dict[str, str]:
    """SHA-256 of every file that the kit remembers, or people wrote for it; not what is being written."""
    found = raw_files(folder) if os.path.isdir(folder) else []
    return {os.path.relpath(p, folder): hashes.of(p, sha256_of) for p in found if not p.endswith((".part", ".tmp"))}


def memory_changed(before: dict, now: dict, as_of: str) -> bool:
    """Whether the state that a report as of the day reads has changed: files of strictly earlier days, and those without
    a day in their name.

    The report writes the files of its own day, and those of later days are not its business. While the day is not known
    (nothing was built yet), all files count: the run is due anyway.
    """

    def read(files: dict) -> dict:
        days = {name: DAY.match(os.path.basename(name)) for name in files}
        return {name: files[name] for name, day in days.items() if not (day and as_of) or day[0] < as_of}

    return read(before) != read(now)


def built_as_of(build: str) -> str:
    """The day of the report that stands in the build folder, or nothing."""
    for folder in (name for name in _listed(build) if name[:2].isdigit()):
        fact = _read_json(f"{build}/{folder}/facts.json").get("as_of")
        if isinstance(fact, dict):
            return str(fact.get("value", ""))
    return ""


# ---- code ------------------------------------------------------------------------------------------------------


def cells(path: str) -> list:
    """Checksum of a notebook's cells (type and source: not outputs, ids, metadata) and what they import."""
    with open(path, encoding="utf-8") as file:
        notebook = json.load(file)
    sources = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    code = "\n".join(source for kind, source in sources if kind == "code")
    code = re.sub(r"(?m)^\s*[%!].*$", "", code)  # magics are no Python
    return [hashlib.sha256(json.dumps(sources).encode()).hexdigest(), imports(code, "")]


def module(path: str) -> list:
    """Checksum of a module and what it imports."""
    with open(path, "rb") as file:
        content = file.read()
    name = path[len(PACKAGE) + 1 : -3].replace("/", ".")
    package = name.rpartition(".")[0] if not name.endswith("__init__") else name[: -len(".__init__")]
    return [hashlib.sha256(content).hexdigest(), imports(content.decode("utf-8", "replace"), package)]


def imports(code: str, package: str) -> list[str] | None:
    """Dotted names below `dealerkit` that the code may import, wherever it does; None when it is no Python."""
    import ast  # only when a file has changed

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".") if package else []
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join(["dealerkit", *parents, *([base] if base else [])])
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return sorted(name.removeprefix("dealerkit").lstrip(".") for name in names if re.match(r"dealerkit(\.|$)", name))


class Library:
    """Files of the package and which of them reach which."""

    def __init__(self, hashes: Hashes):
        self.modules: dict[str, list] = {}
        self.data: dict[str, str] = {}
        for path in sorted(_walk(PACKAGE)):
            relative = path[len(PACKAGE) + 1 :]
            if path.endswith(".py"):
                name = relative[:-3].replace("/", ".")
                name = "" if name == "__init__" else name.removesuffix(".__init__")
                self.modules[name] = hashes.of(path, module)
            elif not path.endswith((".pyc", ".po~", ".pot")):
                self.data[relative] = hashes.of(path, sha256_of)

    def reached(self, names: list[str] | None, leave_out: tuple[str, ...]) -> set[str]:
        """Modules reached from the imported names; all of them when the names are not known."""
        waiting = list(self.modules) if names is None else ["", *names]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            parts = name.split(".")
            for length in range(1, len(parts) + 1):  # importing a.b runs a as well
                step = ".".join(parts[:length])
                if step not in self.modules or step in found or _within(step, leave_out):
                    continue
                found.add(step)
                further = self.modules[step][1]
                waiting.extend(self.modules if further is None else further)
        return found

    def stamp(self, names: list[str] | None, leave_out: tuple[str, ...]) -> dict[str, str]:
        """Checksums of the modules reached, and of the data files that lie with them."""
        modules = self.reached(names, leave_out)
        files = {f"{name or '__init__'}.py": self.modules[name][0] for name in modules}
        for relative, checksum in self.data.items():
            folder = os.path.dirname(relative).replace("/", ".")
            owner = next((f for f in _ancestors(folder) if f in self.modules), "")
            if not _within(folder, leave_out) and (owner == "" or owner in modules):
                files[relative] = checksum
        return files


def stage_stamps(library: Library, hashes: Hashes) -> dict[str, dict]:
    """`.code/<name>` contents: one for each notebook, `render` and `dictionary`."""
    lock = hashes.of("requirements.lock", sha256_of) if os.path.exists("requirements.lock") else ""
    stamps = {}
    for name in _listed("notebooks"):
        if match := NOTEBOOK.fullmatch(name):
            checksum, imported = _cells_of(name, hashes)
            files = library.stamp(imported, SHELL + RENDER_ONLY)
            stamps[match[1]] = {"cells": checksum, "lock": lock, "library": files}
    # Every page names the others, so a further notebook makes all of them again.
    pages = {"pages": sorted(stamps), "lock": lock}
    roots = [*PAGE_BASE, *(name for name in library.modules if _within(name, ("report",)))]
    assembles = {f"{name}.py": library.modules[name][0] for name in ASSEMBLES if name in library.modules}
    stamps["render"] = pages | {"library": library.stamp(roots, SHELL) | assembles}
    started = tuple(name for name in SHELL if name != "chain")
    stamps["dictionary"] = pages | {"library": library.stamp([*roots, *ASSEMBLES], started)}
    return stamps


def _cells_of(name: str, hashes: Hashes) -> list:
    path = f"notebooks/{name}"
    try:
        return hashes.of(path, cells)
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{path} is not a notebook that can be read",
            "save it again in JupyterLab, or take it back with git checkout",
        ) from None


# ---- small helpers ---------------------------------------------------------------------------------------------


def _within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def _ancestors(folder: str):
    while folder:
        yield folder
        folder = folder.rpartition(".")[0]


def _walk(folder: str):
    for here, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f != "__pycache__" and not f.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield os.path.join(here, name)


def _listed(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; nearest: {close[0]!r}" if close else ""


def _read_json(path: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: str, text: str) -> None:
    """Write beside and rename: never half a file, and none left beside it."""
    part = f"{path}.{os.getpid()}.tmp"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except OSError:
        if os.path.exists(part):
            os.unlink(part)
        raise


def _write_if_new(path: str, content: dict) -> None:
    text = json.dumps(content, sort_keys=True, indent=1) + "\n"
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except OSError:
        pass
    _write(path, text)


def stamp(dealer: str) -> None:
    """Bring every stamp of the dealer up to date; raise `Refused` for the user's mistakes."""
    check_dealer(dealer)
    check_environment()
    build = f"build/{dealer}"
    os.makedirs(f"{build}/.code", mode=0o700, exist_ok=True)
    os.chmod(build, 0o700)
    os.makedirs("build/.cache", mode=0o700, exist_ok=True)
    # What code reaches is the same for every dealer, and takes longest to find.
    hashes, code_hashes = Hashes(f"{build}/.hashcache"), Hashes("build/.cache/code.json")
    before = _read_json(f"{build}/.inputs")
    content = inputs(dealer, hashes, before)
    kept = content | {"state": before.get("state", {})}
    # With other inputs the day may be another one: then all that is there now counts as read.
    if kept == before and not memory_changed(kept["state"], content["state"], content["as_of"] or built_as_of(build)):
        content = kept
    stamps = stage_stamps(Library(code_hashes), code_hashes)
    hashes.save()
    code_hashes.save()
    for name, code in stamps.items():
        _write_if_new(f"{build}/.code/{name}", code)
    _write_if_new(f"{build}/.inputs", content)


def main(arguments: list[str]) -> int:
    """Stamp the one dealer named; the exit code."""
    try:
        stamp(arguments[0] if len(arguments) == 1 else "")
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"{error.filename or 'build/'}: {error.strerror}\n  → see that the file can be read, and that build/ "
            "can be written and its disk has room",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
