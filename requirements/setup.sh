#!/bin/sh
# Create or refresh a virtual environment from a lock file:  requirements/setup.sh VENV core|dev
# Quick when nothing changed. PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
venv=$1
set=$2

fail() { printf '\n%s\n' "$@" >&2; exit 1; }

# What an environment was made from: place, lock, project file and this script.
state() { pwd; cat "requirements/$1.lock" pyproject.toml requirements/setup.sh | cksum; }
current() { [ "$(cat "$venv/.set-up-$1" 2>/dev/null)" = "$(state "$1")" ] && "$venv/bin/python" -c '' 2>/dev/null; }
if current dev || { [ "$set" = core ] && current core; }; then exit 0; fi

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
can_make_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# The first interpreter that is tested (3.11 to 3.13), else a newer one. The reasons against the others are kept.
find_python() {
    python= newer= without_venv= too_old=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        version=$(version_of "$candidate")
        case $version in
            3.11 | 3.12 | 3.13 | 3.1[4-9] | 3.[2-9][0-9]) ;;
            '') continue ;;
            *) too_old="$too_old $candidate (Python $version)"; continue ;;
        esac
        if ! can_make_venv "$candidate"; then
            without_venv=${without_venv:-$version}
        else
            case $version in
                3.11 | 3.12 | 3.13) python=$candidate; return ;;
                *) newer=${newer:-$candidate} ;;
            esac
        fi
    done
    python=$newer
}

# A working environment: it has pip, and is one (a bare link to an interpreter would install into that interpreter).
works() {
    [ -f "$venv/pyvenv.cfg" ] && "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null
}

# `.made-here` marks an environment of this script, with the place it was made in: environments do not survive a move.
made_in=$(cat "$venv/.made-here" 2>/dev/null || true)
if [ -e "$venv" ] && [ -z "$made_in" ] && ! works; then
    fail "$venv was not made by make, and is no working environment with pip: remove it, or choose another:  make setup VENV=.venv-spirals"
fi
if ! works || { [ -n "$made_in" ] && [ "$made_in" != "$(pwd)" ]; }; then
    find_python
    if [ -z "$python" ] && [ -n "$without_venv" ]; then
        fail "Python $without_venv is here, but its module 'venv' is missing or incomplete." \
            "On Debian or Ubuntu:  sudo apt install python$without_venv-venv" \
            "Or name another interpreter:  make setup PYTHON=/path/to/python3.12"
    elif [ -z "$python" ]; then
        fail "Python 3.11, 3.12 or 3.13 is needed.${too_old:+ Found only:$too_old.}${PYTHON:+ PYTHON was: $PYTHON.}" \
            "Install one, or name it:  make setup PYTHON=/path/to/python3.12"
    fi
    version=$(version_of "$python")
    echo "Creating $venv with Python $version ($python)"
    [ "$python" != "$newer" ] || echo "Note: Python $version is newer than those tested (3.11 to 3.13)."
    rm -rf "$venv"
    mkdir -p "$venv"
    pwd >"$venv/.made-here"
    "$python" -m venv "$venv" || fail "$venv could not be created with $python."
fi

echo "Installing the locked packages of requirements/$set.lock into $venv (about a minute, 250 MB to fetch)"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-deps --no-compile "$@"; }
works || fail "$venv could not be made into a working environment: remove it, then run make again."
rm -f "$venv"/.set-up-*
pip --requirement "requirements/$set.lock" ||
    fail "The packages could not be installed; pip's message is above. A network connection or a package mirror is needed."
pip --no-build-isolation --editable . || fail "The project could not be installed into $venv; pip's message is above."
# Compiling by several processes takes a third of pip's time; the packages' own tests are left out.
"$venv/bin/python" -m compileall -q -j 0 -x '[/\\]tests?[/\\]' "$venv"/lib/python*/site-packages >/dev/null || true
state "$set" >"$venv/.set-up-$set"
