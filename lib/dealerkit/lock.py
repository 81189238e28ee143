"""One run per dealer at a time: `python -I -S lib/dealerkit/lock.py <dealer> -- make …`.

Takes `build/<dealer>/.lock`, brings the dealer's stamps up to date, runs the command, and ends with the precise
exit code, which make itself cannot tell (it ends with 2 for every failure): a stage that fails leaves
`build/<dealer>/status.json` with `{"stage": …, "code": 1 or 2, "message": …}`. The command inherits the lock, so it
lasts exactly as long as anything of the run does, and no stale lock can stay behind.

`lock.py --all <folder> -- make …` runs what makes all dealers, which share one warm parent, and prints what their
runs left in the folder.

Runs before the package can be imported: standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import unicodedata
from importlib.util import module_from_spec, spec_from_file_location

USER, KIT = 2, 1  # exit codes: the user's to mend, the kit's failure
RUN = "DEALERKIT_RUN"  # in the environment: a name for this run, to tell its steps from those of earlier ones


def _neighbour(name: str):
    """A module beside this one, which isolated Python does not find by name."""
    spec = spec_from_file_location(
        f"dealerkit_{name}", os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    )
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hold(path: str) -> int | None:
    """Lock the file; its descriptor (open in children too), or None when another run holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)
    return descriptor


def moved() -> bool:
    """Was this environment made for another folder (the project was copied or renamed)?"""
    environment = os.path.dirname(os.path.dirname(sys.executable))  # without `site`, sys.prefix is the base Python
    if os.path.islink(environment):
        return False
    try:
        with open(os.path.join(environment, ".dealerkit-core"), encoding="utf-8") as file:
            return file.read().splitlines()[-1] != os.getcwd()
    except (OSError, IndexError):
        return False


def run(dealer: str, command: list[str]) -> tuple[int, str]:
    """Run the command for the dealer; its precise exit code and, after a failure, why."""
    stamp, warm = _neighbour("stamp"), _neighbour("warm")
    warm.die_with_parent(warm.signal.SIGTERM)
    try:
        stamp.check_dealer(dealer)
        if moved():
            raise stamp.Refused("this folder was moved or copied since its environment was made", "run make env once")
        build = f"build/{dealer}"
        os.makedirs(build, mode=0o700, exist_ok=True)
        lock = hold(f"{build}/.lock")
        if lock is None:
            raise stamp.Refused(
                f"{dealer} is being made by another run", "wait until it has ended; other dealers can be made meanwhile"
            )
        status = f"{build}/status.json"
        if os.path.exists(status):
            os.unlink(status)
        stamp.stamp(dealer)
    except stamp.Refused as refused:
        print(refused, file=sys.stderr)
        return USER, str(refused).partition("\n")[0]
    except OSError as error:
        print(
            f"{error.filename or 'build/'}: {error.strerror}\n  → see that the file can be read, and that build/ "
            "can be written and its disk has room",
            file=sys.stderr,
        )
        return USER, f"{error.filename}: {error.strerror}"
    os.environ["DEALER"] = os.environ["DEALERKIT_LOCKED"] = dealer
    os.environ[warm.LOCK] = str(lock)
    os.environ[RUN] = os.urandom(6).hex()
    code = warm.call(command)
    if code > 128:
        return code, _interrupted(dealer)
    return (0, "") if code == 0 else _why(status)


def _interrupted(dealer: str) -> str:
    print(
        f"{dealer}: interrupted\n  → run the same command again; what was done is kept, nothing is half-written",
        file=sys.stderr,
    )
    return "interrupted"


def _why(status: str) -> tuple[int, str]:
    """Code and message of a failed run, from the status file that the stage left."""
    try:
        with open(status, encoding="utf-8") as file:
            said = json.load(file)
        message = str(said.get("message") or "failed").partition("\n")[0]
        return USER if said["code"] == USER else KIT, f"{said.get('stage') or 'run'}: {message}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return KIT, "failed; the lines above say why"


# ---- all dealers ------------------------------------------------------------------------------------------------


def table(folder: str) -> int:
    """Print one line per dealer from the results in the folder; exit code 1 if any failed."""
    rows = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            rows.append(json.load(file))
    width = max([len("dealer"), *(_width(row["dealer"]) for row in rows)])
    print(f"\n{_padded('dealer', width)}  code  seconds  result")
    for row in rows:
        result = f"reports/{row['dealer']}/index.html" if row["code"] == 0 else row["message"]
        print(f"{_padded(row['dealer'], width)}  {row['code']:>4}  {row['seconds']:>7.1f}  {result}")
    failed = sum(row["code"] != 0 for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} dealers done" + (f", {failed} failed" if failed else ""))
    return KIT if failed else 0


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _open_standard() -> None:
    """Standard input, output and errors are there, lest a socket or a file take their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def main(arguments: list[str]) -> int:
    """Exit code of what the arguments ask for."""
    _open_standard()
    shown = "n" in os.environ.get("MAKEFLAGS", "").partition(" ")[0]  # make -n
    if arguments[:1] == ["--all"] and arguments[2:3] == ["--"]:
        code = _neighbour("warm").call(arguments[3:])
        return code if code > 128 or shown else table(arguments[1])
    if len(arguments) < 3 or arguments[1] != "--":
        print("usage: lock.py <dealer> -- command …", file=sys.stderr)
        return USER
    began = time.monotonic()
    try:
        code, message = run(arguments[0], arguments[2:])
    except KeyboardInterrupt:  # before there was a command to get it
        code, message = 130, _interrupted(arguments[0])
    if (results := os.environ.get("DEALERKIT_RESULTS")) and not shown:
        row = {"dealer": arguments[0], "code": code, "message": message, "seconds": time.monotonic() - began}
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in arguments[0])
        with open(os.path.join(results, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(row, file)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
