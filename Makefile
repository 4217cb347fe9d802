# `make` lists the targets. Variables that may be given, as in
# `make test PYTEST_ARGS='-k forward'`:

# The Python to make .venv from, and the Python 3.7 to make .tf115 from; if
# empty, they are looked for.
PYTHON ?=
TF1_PYTHON_BASE ?=
# How many tests to run at once, 0 for all in pytest's own process, and more
# arguments of pytest.
JOBS ?= $(shell $(VENV_PYTHON) tools/count_jobs.py)
PYTEST_ARGS ?=
# Bazel, what it tests, and more arguments of `bazel test`.
BAZEL ?= bazel
BAZEL_TARGETS ?= //...
BAZEL_ARGS ?=
# The checker of Bazel files; if empty, it is looked for.
BUILDIFIER ?=

VENV_PYTHON := .venv/bin/python
# Newer than setup.cfg when all that setup.cfg asks for is installed.
INSTALLED := .venv/.installed
DOCS_INSTALLED := .venv/.installed-docs
TF115_INSTALLED := .tf115/.installed
# What tests are told, unless the caller names another interpreter.
TF_EQUIV_TF1_PYTHON ?= $(addprefix $(CURDIR)/,$(patsubst \
	%/.installed,%/bin/python,$(wildcard $(TF115_INSTALLED))))
# What needs no large network, no other process, and little time; and all steps
# on one small network.
QUICK_TESTS := examples/mlp tests/compare tests/core tests/diagnose/rules \
	$(addprefix tests/,checkpoints/contents_test.py \
	diagnose/alignment_test.py diagnose/frontier_test.py \
	diagnose/graph_test.py diagnose/op_diff_test.py \
	diagnose/sketches_test.py golden/plans_test.py golden/recorders_test.py \
	layering_test.py module_bazel_test.py public_api_test.py \
	report/document_test.py report/json_file_test.py report/text_test.py \
	scheduling_test.py signatures_test.py tf1/checkpoint_index_test.py \
	tf1/environment_test.py tf1/seeds_test.py tf1/source_lines_test.py \
	tf1/tensors_test.py tf1/user_code_test.py tf1/walks_test.py \
	tf1/weights_test.py tf2/creation_test.py)
PYTEST = $(VENV_PYTHON) -m pytest -n $(JOBS) --dist loadscope $(PYTEST_ARGS)

export BAZEL BUILDIFIER PYTHON TF1_PYTHON_BASE TF_EQUIV_TF1_PYTHON

.PHONY: help demo test test-quick fuzz lint format docs bazel bench lock dist \
	venv check-venv tf115 check-tf115 clean clean-venv

help:  ## Lists the targets.
	@sed -n 's/^\([a-z0-9-]*\):.*##  */\1:	/p' Makefile

demo: venv  ## Compares the two sides of Inception-ResNet-v2.
	$(VENV_PYTHON) -m examples.inception_resnet_v2.demo

test: venv  ## Runs all tests with pytest.
	$(PYTEST)

test-quick: venv  ## Runs the tests that need no large network, nor another process.
	$(PYTEST) $(QUICK_TESTS)

fuzz: venv  ## Damaged files and replies, odd calls, interrupts; fixed seeds.
	$(VENV_PYTHON) -m tests.fuzz --count 1000 goldens checkpoints exports replies
	$(VENV_PYTHON) -m tests.fuzz --count 2000 calls
	$(VENV_PYTHON) -m tests.fuzz --count 300 interrupts

lint: venv  ## Checks style, format and types of all files.
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	tools/buildifier.sh --mode=check --lint=warn
	@if command -v shellcheck >/dev/null; then \
	  set -x; shellcheck tools/*.sh .ci/run; \
	else \
	  echo 'No shellcheck: the shell scripts were not checked.'; \
	fi

format: venv  ## Formats the Python and Bazel files.
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .
	tools/buildifier.sh

docs: venv $(DOCS_INSTALLED)  ## Makes the site of the documentation in site/.
	$(VENV_PYTHON) -m mkdocs build --strict

bazel: venv  ## Runs all tests with Bazel.
	@command -v "$$BAZEL" >/dev/null || { \
	  echo 'Bazel is not installed; on Debian, the packages are' \
	    'bazel-bootstrap and zip.' >&2; \
	  exit 1; \
	}
	PYTHON_BIN_PATH='$(CURDIR)/$(VENV_PYTHON)' \
	  "$$BAZEL" test $(BAZEL_ARGS) $(BAZEL_TARGETS)

bench: venv  ## Runs all benchmarks, which takes about an hour.
	$(VENV_PYTHON) -m benchmarks

lock: venv  ## Writes the versions in .venv down for Bazel 7 and later.
	$(VENV_PYTHON) tools/lock_requirements.py

dist: venv  ## Builds the wheel and the source distribution into dist/.
	rm -rf dist
	$(VENV_PYTHON) -m build

venv: check-venv $(INSTALLED)  ## Makes .venv, with all that is needed.

# Order only: a check is no reason to install again.
$(INSTALLED): setup.cfg pyproject.toml | check-venv
	@tools/make_venv.sh install

$(DOCS_INSTALLED): setup.cfg | venv
	$(VENV_PYTHON) -m pip install --disable-pip-version-check -e '.[docs]'
	touch $@

check-venv:
	@tools/make_venv.sh check

tf115: $(TF115_INSTALLED)  ## Makes .tf115, with TensorFlow 1.15 for tests.

$(TF115_INSTALLED):
	@tools/make_tf115.sh install

check-tf115:
	@tools/make_tf115.sh check

# Where file names ignore case, `rm -rf build` would remove the file BUILD.
clean:  ## Removes what the other targets made, except .venv and .tf115.
	if [ -L bazel-out ]; then "$$BAZEL" clean; fi
	if [ -d build ]; then rm -rf build; fi
	rm -rf dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -path './.?*' -prune -o -name __pycache__ -prune -exec rm -rf {} +

clean-venv:  ## Removes .venv and .tf115.
	rm -rf .venv .tf115
