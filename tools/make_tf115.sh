#!/bin/sh
# Makes the virtual environment .tf115, with real TensorFlow 1.15 for
# tf_equiv.Tf1Interpreter.
#
#   tools/make_tf115.sh check    prints the Python 3.7 to make it from, or stops
#   tools/make_tf115.sh install  makes it, all of it or nothing
#
# TF1_PYTHON_BASE names the Python 3.7. If it is empty, the first one that is
# found is taken, also among those of pyenv.

set -eu
cd "$(dirname "$0")/.."

VENV=.tf115

is_suitable() {
  command -v "$1" >/dev/null 2>&1 && "$1" -c '
import ensurepip, sys, venv
sys.exit(sys.version_info[:2] != (3, 7))' >/dev/null 2>&1
}

find_python() {
  if [ -n "${TF1_PYTHON_BASE:-}" ]; then
    set -- "$TF1_PYTHON_BASE"
  else
    set -- python3.7 \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.7.*/bin/python3.7
  fi
  for python; do
    if is_suitable "$python"; then
      echo "$python"
      return
    fi
  done
  echo "No Python 3.7 with the modules venv and ensurepip, which TensorFlow 1.15
needs. Tried: $*
Install one (pyenv install 3.7), or name one: make tf115 TF1_PYTHON_BASE=/path" >&2
  return 1
}

pip_install() {
  "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"
}

install() {
  python=$(find_python)
  echo "Making $VENV from $python."
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
  pip_install 'pip<24.1'
  # TensorFlow 1.15 needs NumPy and protobuf of its time.
  pip_install tensorflow==1.15.5 'protobuf<3.21' 'numpy<1.19' tf-slim==1.1.0
  "$VENV/bin/python" -c 'import tensorflow, tf_slim' 2>/dev/null
  touch "$VENV/.installed"
}

case ${1:-} in
  check) find_python ;;
  install) install ;;
  *)
    echo "usage: $0 check|install" >&2
    exit 2
    ;;
esac
