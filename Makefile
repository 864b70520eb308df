# The recipes that people and continuous integration both call.
#
#   make quickstart   install, write the data, train four small models, compare them
#   make study        the small study: 46 models on digits, two more sets to judge them on, its page
#   make study EXECUTOR=slurm
#                     the same on a cluster, by the profile in $ORCHESTRATE_CLUSTER or slurm/cluster.yaml
#   make test         install what tests need, then the test suite
#   make test SLURM=1 BROWSER=1
#                     the same, with a real SLURM and a real Chromium on this machine (root, Debian)
#   make check        the site of the documents, format, lint, types, import contracts
#   make docs         the site of the documents, in site/html
#   make fix          what check can mend by itself
#   make soak         the long repeats, and three rounds of what goes wrong; SLURM=1: with a real SLURM

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest
# By file, since tests of one file share what is dear to make; three, since some wait for a cluster.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
FAULTS := tests/slurm tests/end_to_end tests/controller/test_mishaps.py tests/controller/test_room.py

.PHONY: quickstart study test docs slurm-packages browser-packages terminal-packages soak check fix clean

quickstart: $(VENV)/.train
	$(BIN)/orchestrate data prepare digits
	$(BIN)/orchestrate launch sweeps/quickstart.yaml --wait
	$(BIN)/orchestrate results quickstart --also norms/max_over_median \
	    --also attention/entropy --also gates/mean --also flops/relative_to_vanilla
	@echo "Next: $(BIN)/orchestrate ui quickstart"

study: $(VENV)/.train
	for images in all hard moved; do \
	    $(BIN)/orchestrate data prepare digits --images $$images || exit 1; done
	for sweep in exp1_vanilla exp2_registers exp3_gated exp4_robustness; do \
	    $(BIN)/orchestrate launch sweeps/$${sweep}_small.yaml \
	        $(if $(EXECUTOR),--executor $(EXECUTOR)) || exit 1; done
	$(BIN)/orchestrate watch
	$(BIN)/orchestrate results gated-vit-small --where 'lr == 3e-3' --by case --by model.registers \
	    --baseline 'case == "vanilla"' --also norms/outlier_share --also flops/relative_to_vanilla
	$(BIN)/orchestrate report gated-vit-small

test: $(VENV)/.test $(if $(SLURM),slurm-packages) $(if $(BROWSER),browser-packages) \
		$(if $(SLURM)$(BROWSER),terminal-packages)
	$(PYTEST) $(SIDE_BY_SIDE) $(if $(SLURM),--slurm) $(if $(BROWSER),--browser) $(ARGS)

slurm-packages:
	slurm/dev_cluster install
	command -v strace >/dev/null || { apt-get -qq update && \
	    apt-get -qq install --no-install-recommends strace >/dev/null; }

browser-packages:
	command -v chromium >/dev/null || { apt-get -qq update && \
	    apt-get -qq install --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

terminal-packages:
	command -v tmux >/dev/null || { apt-get -qq update && \
	    apt-get -qq install --no-install-recommends tmux >/dev/null; }

soak: $(VENV)/.test $(if $(SLURM),slurm-packages)
	$(PYTEST) -m soak $(if $(SLURM),--slurm) $(ARGS)
	for round in 1 2 3; do \
	    $(PYTEST) $(SIDE_BY_SIDE) $(if $(SLURM),--slurm) $(FAULTS) $(ARGS) || exit 1; done

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site/html

check: $(VENV)/.dev docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Debian's python3 lacks ensurepip unless python3-venv is there; then its own pip fills the room.
$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check pip; }

# One stamp per set of extras, made again when what they are made of changes.
$(VENV)/.train: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(PIP) -e '.[train,digits,slurm,mlflow,stats]'
	touch $@

$(VENV)/.test: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $@
