#!/bin/sh
# Makes the Python environment from the hashed locks: sh lib/setup_env.sh core|dev
#
#   VENV     folder of the environment; .venv by default, or one that exists already (conda)
#   EXTRAS   optional extras, as in spark,pdf
#   PYTHON   interpreter to build on; without it the first of 3.11 to 3.13 on PATH
#   UV_*     uv's own variables: UV_DEFAULT_INDEX, UV_FIND_LINKS, UV_OFFLINE, UV_NO_INDEX, UV_CACHE_DIR …
#
# uv does the work: the one on PATH, else one installed into .uv/; else plain pip with the same lock.
# Packages that somebody added by hand stay: the lock is installed over what is there.
# The stamp $VENV/.dealerkit-<level> is written last, so a half-finished install is never taken as done.
# Exit codes: 0 done, 2 nothing this machine has will do (said in words).
set -u
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
cd "$(dirname "$0")/.." || exit 2

level=${1:-core}
env=${VENV:-.venv}
# Extras once asked for are kept up to date too.
extras=$(printf '%s ' "${EXTRAS:-}" "$(cat "$env/.dealerkit-extras" 2>/dev/null)" | tr ', ' '\n\n' | sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//')
case $extras in *[!a-z\ ]*) echo "environment: EXTRAS=${EXTRAS:-} is no list of extras, as in spark,pdf" >&2; exit 2 ;; esac
case $level in
    core) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "setup_env.sh: $level is no environment; allowed: core, dev" >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }
fail() { say "environment: $1"; shift; for line in "$@"; do say "  → $line"; done; exit 2; }

fits() { # is "$1" a Python that the lock was made for?
    "$1" -I -S -c 'import sys
raise SystemExit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython"))' \
        >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if fits "$candidate"; then command -v "$candidate"; return; fi
    done
}

# ---- one set-up at a time ---------------------------------------------------------------------------------------
guard=.setup.lock
told=
until mkdir "$guard" 2>/dev/null; do
    [ -d "$guard" ] || fail "cannot write to the project's folder" "give yourself write permission, or copy the project elsewhere"
    owner=$(cat "$guard/pid" 2>/dev/null)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$guard"; continue; fi
    [ -n "$told" ] || say "environment: another run is setting it up; waiting (if none is, remove $guard)"
    told=1
    sleep 1
done
echo $$ > "$guard/pid"
trap 'rm -rf "$guard"' EXIT
trap 'exit 2' HUP INT TERM

# ---- nothing to do? ---------------------------------------------------------------------------------------------
python="$env/bin/python"
sound() { # does the environment start, with a Python that fits and its own library folder?
    fits "$python" && "$python" -I -c 'import os, sysconfig; raise SystemExit(not os.path.isdir(sysconfig.get_path("purelib")))' 2>/dev/null
}
wanted=$(cat "$lock" pyproject.toml requirements-extras.lock | cksum; echo "extras: $extras"; pwd) # last line: where
stamp="$env/.dealerkit-$level"
usable=
if sound; then
    usable=1
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then touch "$stamp"; exit 0; fi
fi
rm -f "$stamp"

conda= # an environment that conda made from environment.yml: its pip adds the project, extras and what tests need
if [ "$env" != .venv ]; then
    conda=1
    [ -n "$usable" ] || fail "$env holds no Python 3.11 to 3.13" "conda env create -f environment.yml"
fi

# ---- uv, found or installed here --------------------------------------------------------------------------------
base=$(find_python)
# pip and uv do not read each other's settings: a mirror told to one of them is told to the other.
export PIP_DISABLE_PIP_VERSION_CHECK=1
[ -n "${PIP_INDEX_URL:-}" ] || [ -z "${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}}" ] || export PIP_INDEX_URL="${UV_DEFAULT_INDEX:-$UV_INDEX_URL}"
[ -n "${PIP_FIND_LINKS:-}" ] || [ -z "${UV_FIND_LINKS:-}" ] || PIP_FIND_LINKS=$(printf '%s' "$UV_FIND_LINKS" | tr ',' ' ')
[ -z "${PIP_FIND_LINKS:-}" ] || export PIP_FIND_LINKS
case ${UV_OFFLINE:-}${UV_NO_INDEX:-} in *1* | *[Tt]rue*) export PIP_NO_INDEX=1 ;; esac
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_INDEX:-}" ] && [ -n "$base" ]; then
    mirror=${PIP_INDEX_URL:-$("$base" -m pip config get global.index-url 2>/dev/null)}
    [ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
fi
if [ -z "${HOME:-}" ]; then export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.uv/cache}" PIP_CACHE_DIR="${PIP_CACHE_DIR:-$PWD/.uv/pip}"; fi

own_uv() {
    any=$base
    for candidate in python3 python; do # an older Python cannot hold the project, but may install uv
        [ -n "$any" ] || ! "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 8))' 2>/dev/null || any=$candidate
    done
    [ -n "$any" ] || return 1
    log=$(mktemp)
    { "$any" -m venv --clear .uv && .uv/bin/python -m pip install -q 'uv>=0.8,<1'; } >"$log" 2>&1 ||
        { rm -rf .uv; "$any" -m pip install -q --target .uv 'uv>=0.8,<1'; } >>"$log" 2>&1
    rm -f "$log"
    .uv/bin/uv --version >/dev/null 2>&1
}

say "environment: setting up ($level${extras:+, $extras}); once, a minute or two"
uv=$(command -v uv || true)
if [ -n "$conda" ] || { [ -n "$uv" ] && ! "$uv" --version >/dev/null 2>&1; }; then uv=; fi
if [ -z "$conda$uv" ] && { .uv/bin/uv --version >/dev/null 2>&1 || own_uv; }; then uv=.uv/bin/uv; fi
[ -n "$conda$uv" ] || say "environment: no uv here and none could be installed; plain pip does it, which takes longer"

# ---- the environment itself -------------------------------------------------------------------------------------
if [ -z "$usable" ]; then
    rm -rf .venv
    if [ -n "$uv" ]; then
        "$uv" venv -q --python "${base:->=3.11,<3.14}" .venv ||
            fail "no Python 3.11 to 3.13 on this machine, and none could be fetched" \
                "install one (python.org, your system's packages, conda) and run again, or name it: make env PYTHON=/path/to/python3.12"
    else
        [ -n "$base" ] || fail "no Python 3.11 to 3.13 on this machine" \
            "install one (python.org, your system's packages, conda) and run again, or name it: make env PYTHON=/path/to/python3.12"
        "$base" -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; "$base" -m venv --without-pip .venv; } ||
            fail "$base cannot make a virtual environment" "install its venv module (on Debian: apt install python3-venv) or uv"
    fi
fi

pip() { # pip of the environment, or the base Python's working on it
    if "$python" -m pip --version >/dev/null 2>&1; then "$python" -m pip "$@"; else "$base" -m pip --python "$python" "$@"; fi
}
# Asks uv, and pip when uv cannot (a mirror or certificate that only pip's own settings know).
install() {
    if [ -n "$uv" ] && "$uv" pip install -q --python "$python" --compile-bytecode "$@"; then return; fi
    [ -z "$uv" ] || say "environment: uv could not; trying pip"
    if ! "$python" -m pip --version >/dev/null 2>&1 && ! { [ -n "$base" ] && "$base" -m pip --version >/dev/null 2>&1; }; then
        "$python" -m ensurepip -q >/dev/null 2>&1 || return 1
    fi
    pip install -q "$@"
}
unreachable() {
    fail "$1 could not be installed; the lines above say why" \
        "without network: UV_OFFLINE=1 UV_FIND_LINKS=folder-of-wheels make env" "with a mirror: UV_DEFAULT_INDEX=its-address make env"
}

if [ -z "$conda" ] || [ "$level" = dev ]; then # conda has the core already
    install --require-hashes -r "$lock" || unreachable "$lock"
fi
# Prints the pins, with hashes, that the extras still lack; what a package needs is known once it is installed, so this
# is asked until nothing is lacking. (pip takes hashes from pins only, not from constraints.)
lacking() {
    "$python" -I - $extras <<'PYTHON'
import re, sys, tomllib
from importlib import metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

known = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
pins = re.split(r"\n(?=\S)", open("requirements-extras.lock", encoding="utf-8").read().strip())
pinned = {}  # a package may have one pin for each of several Pythons
for pin in pins:
    pinned.setdefault(pin.partition("==")[0], []).append(pin)
installed = {canonicalize_name(d.metadata["Name"]): d for d in metadata.distributions()}
for extra in sys.argv[1:]:
    if extra not in known:
        raise SystemExit(f"environment: EXTRAS={extra!r} is no extra; allowed: " + ", ".join(known))
waiting = [Requirement(wish) for extra in sys.argv[1:] for wish in known[extra]]
seen = set()
while waiting:
    wish = waiting.pop()
    name = canonicalize_name(wish.name)
    if (name, *sorted(wish.extras)) in seen:
        continue
    seen.add((name, *sorted(wish.extras)))
    there = installed.get(name)
    if there is None or not any(pin.startswith(f"{name}=={there.version} ") for pin in pinned[name]):
        print(*pinned[name], sep="\n")
        continue
    for further in map(Requirement, there.requires or []):
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in ("", *wish.extras)):
            waiting.append(further)
PYTHON
}
if [ -n "$extras" ]; then
    list=$(mktemp)
    before=
    while lacking > "$list" || { rm -f "$list"; exit 2; } && [ -s "$list" ]; do
        [ "$before" != "$(cat "$list")" ] || { rm -f "$list"; fail "an extra of $extras is not in requirements-extras.lock as installed"; }
        before=$(cat "$list")
        install --no-deps --require-hashes -r "$list" || { rm -f "$list"; unreachable "EXTRAS=$extras"; }
    done
    rm -f "$list"
fi
install --no-deps --no-build-isolation -e . || unreachable "the project itself"
"$python" -I -c 'import dealerkit' || fail "the environment was made, but the project cannot be imported" "remove .venv and run again"
if [ "$level" = dev ] && [ -d .git ] && command -v git >/dev/null 2>&1; then
    git config filter.nbstripout.clean "$python -m nbstripout --keep-id" # .gitattributes names the filter
fi
[ -z "$extras" ] || echo "$extras" > "$env/.dealerkit-extras"

printf '%s\n' "$wanted" > "$stamp.tmp" && mv "$stamp.tmp" "$stamp"
