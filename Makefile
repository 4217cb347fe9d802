# `make` lists the targets. Variables that may be given, as in
# `make test PYTEST_ARGS='-k forward'`:

# The Python to make .venv from; if empty, the first suitable one of PYTHONS.
PYTHON ?=
PYTHONS := python3.11 python3.12 python3.13 python3.10 python3
# More arguments of pytest.
PYTEST_ARGS ?=
# Bazel, and more arguments of `bazel test`.
BAZEL ?= bazel
BAZEL_ARGS ?=
# The checker of Bazel files; if empty, they are not checked.
BUILDIFIER ?= $(firstword $(wildcard .tools/node_modules/.bin/buildifier) \
	$(shell command -v buildifier))

# The Python 3.7 to make .tf115 from; if empty, the first one that is found.
TF1_PYTHON_BASE ?=

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
# Newer than setup.cfg when all that setup.cfg asks for is installed.
INSTALLED := $(VENV)/.installed
# Exists from the start of the first installation to its successful end.
INSTALLING := $(VENV)/.installing

# An environment with real TensorFlow 1.15, for tf_equiv.Tf1Interpreter.
TF115 := .tf115
TF115_INSTALLED := $(TF115)/.installed
# TensorFlow 1.15 needs NumPy and protobuf of its time, and Python 3.7 their pip.
TF115_PACKAGES := tensorflow==1.15.5 'protobuf<3.21' 'numpy<1.19' tf-slim==1.1.0
# What tests are told, unless the caller names another interpreter.
TF_EQUIV_TF1_PYTHON ?= $(addprefix $(CURDIR)/,$(patsubst \
	%/.installed,%/bin/python,$(wildcard $(TF115_INSTALLED))))

FIND_BAZEL_FILES := find . \
	\( -name '.?*' -o -name 'bazel-*' -o -name node_modules \) -prune -o \
	-type f \( -name BUILD -o -name WORKSPACE -o -name '*.bzl' \)

# Prints `ok Python <version>`, or what is unsuitable about the Python that runs
# it. Its arguments are modules that must exist.
define PROBE
import sys
found = 'Python %d.%d.%d' % sys.version_info[:3]
problems = []
if not (3, 10) <= sys.version_info[:2] < (3, 14):
  problems.append('it must be 3.10 to 3.13')
else:
  for name in sys.argv[1:]:
    try:
      __import__(name)
    except ImportError:
      problems.append('it lacks the module ' + name)
print(found + ': ' + ', '.join(problems) if problems else 'ok ' + found)
endef

# A shell function that sets `python` to a Python to make .venv from, or stops.
define FIND_PYTHON
find_python() {
  tried=
  if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; else set -- $(PYTHONS); fi
  for python; do
    if ! command -v "$$python" >/dev/null 2>&1; then
      answer='not found'
    else
      answer=$$("$$python" -c "$$PROBE" venv ensurepip 2>/dev/null) || answer=
      case $$answer in
        'ok '*) return ;;
        '') answer="does not run: $$("$$python" -c '' 2>&1 | head -n 1)" ;;
      esac
    fi
    tried="$$tried
  $$python: $$answer"
  done
  echo "No suitable Python. Needed is Python 3.10 to 3.13 with the modules venv and
ensurepip (on Debian and Ubuntu: the package python3-venv). Tried:$$tried
Install one, or name one: make test PYTHON=/path/to/python3.11" >&2
  exit 1
}
endef

# Stops if .venv exists but cannot be used, or not with the given PYTHON.
define CHECK_VENV
set -eu
eval "$$FIND_PYTHON"
if [ -n "$$PYTHON" ] || ! [ -e $(VENV) ] || [ -e $(INSTALLING) ]; then
  find_python
fi
if [ -e $(VENV) ] && ! [ -e $(INSTALLING) ]; then
  have=$$($(VENV_PYTHON) -c "$$PROBE" pip 2>/dev/null) || have='does not run'
  case $$have in
    'ok '*) problem= ;;
    *) problem="its Python is unsuitable ($$have)" ;;
  esac
  if [ -z "$$problem" ] && [ -n "$$PYTHON" ]; then
    wanted=$$("$$python" -c "$$PROBE")
    if [ "$${have%.*}" != "$${wanted%.*}" ]; then
      problem="it has $${have#ok }, but $$PYTHON is $${wanted#ok }"
    fi
  fi
  if [ -n "$$problem" ]; then
    echo "$(VENV) cannot be used: $$problem." >&2
    echo 'Remove it with `make clean-venv`; then it is made again.' >&2
    exit 1
  fi
fi
endef

# Makes .venv if there is none or it was never finished, and installs into it.
define INSTALL
set -eu
eval "$$FIND_PYTHON"
if ! [ -e $(VENV) ] || [ -e $(INSTALLING) ]; then
  find_python
  echo "Making $(VENV) from $$python."
  rm -rf $(VENV)
  mkdir $(VENV)
  touch $(INSTALLING)
  "$$python" -m venv $(VENV)
fi
rm -f $(INSTALLED)
$(VENV_PYTHON) -m pip install --disable-pip-version-check -e '.[test]'
rm -f $(INSTALLING)
touch $(INSTALLED)
endef

# Prints a Python 3.7 that has venv, or says on stderr that there is none.
define FIND_PYTHON_3_7
if [ -n "$$TF1_PYTHON_BASE" ]; then set -- "$$TF1_PYTHON_BASE"; else
  set -- python3.7 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.7.*/bin/python3.7
fi
for python; do
  if command -v "$$python" >/dev/null 2>&1 && "$$python" -c '
import ensurepip, sys, venv
sys.exit(sys.version_info[:2] != (3, 7))' >/dev/null 2>&1; then
    echo "$$python"
    exit
  fi
done
echo "No Python 3.7 with the modules venv and ensurepip, which TensorFlow 1.15
needs. Tried: $$*
Install one (pyenv install 3.7), or name one: make tf115 TF1_PYTHON_BASE=/path" >&2
exit 1
endef

# Makes .tf115, all of it or nothing.
define INSTALL_TF115
set -eu
python=$$(sh -c "$$FIND_PYTHON_3_7")
echo "Making $(TF115) from $$python."
rm -rf $(TF115)
"$$python" -m venv $(TF115)
$(TF115)/bin/python -m pip install --disable-pip-version-check 'pip<24.1'
$(TF115)/bin/python -m pip install --disable-pip-version-check $(TF115_PACKAGES)
$(TF115)/bin/python -c 'import tensorflow, tf_slim' 2>/dev/null
touch $(TF115_INSTALLED)
endef

export BAZEL BUILDIFIER CHECK_VENV FIND_PYTHON INSTALL PROBE PYTHON
export FIND_PYTHON_3_7 INSTALL_TF115 TF1_PYTHON_BASE TF_EQUIV_TF1_PYTHON

.PHONY: help
help:  ## Lists the targets.
	@sed -n 's/^\([a-z0-9-]*\):.*##  */\1:	/p' Makefile

.PHONY: demo
demo: venv  ## Compares the two sides of Inception-ResNet-v2.
	$(VENV_PYTHON) -m examples.inception_resnet_v2.demo

.PHONY: test
test: venv  ## Runs all tests with pytest.
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

.PHONY: lint
lint: venv  ## Checks style and format of the Python and Bazel files.
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	@if [ -z "$$BUILDIFIER" ]; then \
	  echo 'No buildifier: the Bazel files were not checked.'; \
	else \
	  set -x; $(FIND_BAZEL_FILES) \
	    -exec "$$BUILDIFIER" --mode=check --lint=warn {} +; \
	fi

.PHONY: format
format: venv  ## Formats the Python and Bazel files.
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .
	@[ -z "$$BUILDIFIER" ] || $(FIND_BAZEL_FILES) -exec "$$BUILDIFIER" {} +

.PHONY: bazel
bazel: venv  ## Runs all tests with Bazel.
	@command -v "$$BAZEL" >/dev/null || { \
	  echo 'Bazel is not installed; on Debian, the packages are' \
	    'bazel-bootstrap and zip.' >&2; \
	  exit 1; \
	}
	PYTHON_BIN_PATH='$(CURDIR)/$(VENV_PYTHON)' \
	  "$$BAZEL" test $(BAZEL_ARGS) //...

.PHONY: tf115
tf115: $(TF115_INSTALLED)  ## Makes .tf115, with TensorFlow 1.15 for tests.

$(TF115_INSTALLED):
	@sh -c "$$INSTALL_TF115"

.PHONY: check-tf115
check-tf115:
	@sh -c "$$FIND_PYTHON_3_7"

.PHONY: dist
dist: venv  ## Builds the wheel and the source distribution into dist/.
	rm -rf dist
	$(VENV_PYTHON) -m build

.PHONY: venv
venv: check-venv $(INSTALLED)  ## Makes .venv, with all that is needed.

# Order only: a check is no reason to install again.
$(INSTALLED): setup.cfg pyproject.toml | check-venv
	@sh -c "$$INSTALL"

.PHONY: check-venv
check-venv:
	@sh -c "$$CHECK_VENV"

# Where file names ignore case, `rm -rf build` would remove the file BUILD.
.PHONY: clean
clean:  ## Removes what the other targets made, except .venv and .tf115.
	if [ -L bazel-out ]; then "$$BAZEL" clean; fi
	if [ -d build ]; then rm -rf build; fi
	rm -rf dist *.egg-info .pytest_cache .ruff_cache
	find . \( -path './$(VENV)' -o -path './$(TF115)' \) -prune \
	  -o -name __pycache__ -prune \
	  -exec rm -rf {} +

.PHONY: clean-venv
clean-venv:  ## Removes .venv and .tf115.
	rm -rf $(VENV) $(TF115)
