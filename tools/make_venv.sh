#!/bin/sh
# Makes the virtual environment .venv, in which all of this repository runs.
#
#   tools/make_venv.sh check    stops if .venv exists but cannot be used
#   tools/make_venv.sh install  makes it if need be, and installs into it
#
# PYTHON names the Python to make it from. If it is empty, the first suitable
# one of several is taken. A given PYTHON must also fit the .venv that exists.

set -eu
cd "$(dirname "$0")/.."

VENV=.venv
# Newer than setup.cfg when all that setup.cfg asks for is installed.
INSTALLED=$VENV/.installed
# Exists from the start of the first installation to its successful end.
INSTALLING=$VENV/.installing

is_unfinished() {
  ! [ -e "$VENV" ] || [ -e "$INSTALLING" ]
}

# Sets `python` to a Python to make .venv from, or stops.
find_python() {
  if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
  else
    set -- python3.11 python3.12 python3.13 python3.10 python3
  fi
  tried=
  for python; do
    if ! command -v "$python" >/dev/null 2>&1; then
      answer='not found'
    else
      answer=$("$python" tools/probe_python.py venv ensurepip 2>/dev/null) ||
        answer=
      case $answer in
        'ok '*) return ;;
        '') answer="does not run: $("$python" -c '' 2>&1 | head -n 1)" ;;
      esac
    fi
    tried="$tried
  $python: $answer"
  done
  echo "No suitable Python. Needed is Python 3.10 to 3.13 with the modules venv and
ensurepip (on Debian and Ubuntu: the package python3-venv). Tried:$tried
Install one, or name one: make test PYTHON=/path/to/python3.11" >&2
  exit 1
}

# Prints why .venv cannot be used, if so.
problem_of_venv() {
  have=$("$VENV/bin/python" tools/probe_python.py pip 2>/dev/null) ||
    have='does not run'
  case $have in
    'ok '*) ;;
    *)
      echo "its Python is unsuitable ($have)"
      return
      ;;
  esac
  if [ -n "${PYTHON:-}" ]; then
    wanted=$("$PYTHON" tools/probe_python.py)
    # The last number of a version does not matter.
    if [ "${have%.*}" != "${wanted%.*}" ]; then
      echo "it has ${have#ok }, but $PYTHON is ${wanted#ok }"
    fi
  fi
}

check() {
  if [ -n "${PYTHON:-}" ] || is_unfinished; then
    find_python
  fi
  if is_unfinished; then
    return
  fi
  problem=$(problem_of_venv)
  if [ -n "$problem" ]; then
    echo "$VENV cannot be used: $problem." >&2
    echo "Remove it with 'make clean-venv'; then it is made again." >&2
    exit 1
  fi
}

install() {
  if is_unfinished; then
    find_python
    echo "Making $VENV from $python."
    rm -rf "$VENV"
    mkdir "$VENV"
    touch "$INSTALLING"
    "$python" -m venv "$VENV"
  fi
  rm -f "$INSTALLED"
  "$VENV/bin/python" -m pip install --disable-pip-version-check -e '.[test]'
  rm -f "$INSTALLING"
  touch "$INSTALLED"
}

case ${1:-} in
  check) check ;;
  install) install ;;
  *)
    echo "usage: $0 check|install" >&2
    exit 2
    ;;
esac
