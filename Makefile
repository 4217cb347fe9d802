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

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
# Newer than setup.cfg when all that setup.cfg asks for is installed.
INSTALLED := $(VENV)/.installed
# Exists from the start of the first installation to its successful end.
INSTALLING := $(VENV)/.installing

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

export BAZEL BUILDIFIER CHECK_VENV FIND_PYTHON INSTALL PROBE PYTHON

.PHONY: help
help:  ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*##  */\1:	/p' Makefile

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
clean:  ## Removes what the other targets made, except .venv.
	if [ -L bazel-out ]; then "$$BAZEL" clean; fi
	if [ -d build ]; then rm -rf build; fi
	rm -rf dist *.egg-info .pytest_cache .ruff_cache
	find . -path './$(VENV)' -prune -o -name __pycache__ -prune \
	  -exec rm -rf {} +

.PHONY: clean-venv
clean-venv:  ## Removes .venv.
	rm -rf $(VENV)
