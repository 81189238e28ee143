"""How a command ends: in words, with an exit code, and with what may be told of a failure."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import traceback
from pathlib import Path

from dealerkit.chain.folders import Folders
from dealerkit.errors import UserError

LOGS_KEPT = 10


class KitError(Exception):
    """A failure of the kit, told in a few lines; exit code 1."""

    exit_code = 1


def guarded(folders: Folders, stage: str, work) -> int:
    """Run ``work`` and turn what goes wrong into words, an exit code and `status.json`."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        work()
        return 0
    except KeyboardInterrupt:
        return 130  # who called says so
    except UserError as error:
        code, message = error.exit_code, str(error)
    except OSError as error:
        told = _told(error, folders)
        code, message = (2, told) if told else (1, _unexpected(folders, stage))
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        message = str(error) if hasattr(error, "exit_code") else _unexpected(folders, stage)
    print(f"{folders.dealer} · {stage}: {message}", file=sys.stderr, flush=True)
    try:
        folders.build.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folders.build / "status.json").write_text(
            json.dumps({"stage": stage, "code": code, "message": message}, ensure_ascii=False), encoding="utf-8"
        )
    except OSError:
        pass  # a full disk or a folder without permission cannot hold the status either; the message is out
    return code


def _told(error: OSError, folders: Folders) -> str | None:
    where = _relative(error.filename, folders.root) if error.filename else "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full while writing {where}\n  → free some space and run the same command again; nothing half-written is left in place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission for {where}\n  → give yourself the right to write there (chmod u+w), or run as the owner of the folder"
    return None


def _relative(name: str | bytes, root: Path) -> str:
    text = os.fsdecode(name)
    return os.path.relpath(text, root) if os.path.isabs(text) else text


def _unexpected(folders: Folders, stage: str) -> str:
    """Last lines of an unexpected error, and where all of it is; values that look personal are masked."""
    log = write_log(folders, stage, traceback.format_exc())
    kind, _value, trail = sys.exc_info()
    last = traceback.extract_tb(trail)[-1]
    return f"a failure of the kit: {kind.__name__} in {Path(last.filename).name}, line {last.lineno}\n  the full log is in {log}"


_PRIVATE = re.compile(
    r"\d(?:[\d -]{5,}\d)|(?<![A-Za-z0-9])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![A-Za-z0-9])|[^\s@]+@[^\s@]+\.\w+|[\u4e00-\u9fff][A-Z][·\s]?[A-Z0-9]{5,6}"
)
#: The last line of a traceback: what it says of values is not ours, and may quote them.
_SAID = re.compile(
    r"(?m)^((?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt)):.*(?:\n(?!\s*(?:File|Cell|Traceback|--)).*)*"
)


def scrubbed(text: str) -> str:
    """The text without terminal colours, without what exceptions say beyond their kind, and with long digits, VINs,
    plates and e-mail addresses taken out."""
    return _PRIVATE.sub("***", _SAID.sub(r"\1: …", re.sub(r"\x1b\[[0-9;]*m", "", text)))


def write_log(folders: Folders, stage: str, text: str) -> str:
    """Keep the scrubbed text as the newest of the last logs; its path from the project's folder."""
    folder = folders.build / "log"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    numbers = sorted(int(m[1]) for p in folder.iterdir() if (m := re.match(r"(\d+)-", p.name)))
    path = folder / f"{(numbers[-1] if numbers else 0) + 1:04d}-{stage}.log"
    path.write_text(scrubbed(text), encoding="utf-8")
    for old in sorted(folder.glob("[0-9]*-*.log"))[:-LOGS_KEPT]:
        old.unlink()
    return str(path.relative_to(folders.root))
