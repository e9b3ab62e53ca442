# Needs make and Python >= 3.11; everything else is installed into .venv. `make` lists what there is.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Test processes at once; each starts servers of its own, and waits for them now and then.
JOBS ?= 3
# Of each fault under load: acknowledged writes, and times that it happens.
WRITES ?= 2000
REPEAT ?= 5
CI_SCRIPTS := .ci/client_alone .ci/constraints .ci/examine .ci/extras
# One after the other, after everything that is quick.
WHOLE_STACKS := tests/services/slm_local tests/services/ui tests/e2e

# Dozens of processes would compile the same modules again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo up test drawn faults containers lint types wheel ray bench clean format extras constraints

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '%-20s %s\n' "$$name" "$$text"; done

demo: $(INSTALLED) ## Start everything and fine-tune a real model (DATA=file for your own data)
	$(BIN)/python -m slm_local run -- slm demo $(if $(DATA),--data '$(DATA)')

up: $(INSTALLED) ## Start everything and leave it running: http://127.0.0.1:8501
	$(BIN)/python -m slm_local up

test: lint extras ## Everything CI runs
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		$(addprefix --ignore=,$(WHOLE_STACKS) tests/faults) tests
	$(BIN)/pytest $(WHOLE_STACKS)
	@# Faults wait much of the time.
	$(MAKE) --no-print-directory -j 2 types drawn

drawn: $(INSTALLED) # Some faults of the suite, by chance
	$(BIN)/pytest tests/faults

faults: $(INSTALLED) ## The whole fault suite: hours (SEED=n repeats one)
	$(BIN)/pytest tests/faults --faults=all --writes $(WRITES) --repeat $(REPEAT) --report build/faults.md \
		$(if $(SEED),--seed $(SEED))
	@cat build/faults.md

containers: $(INSTALLED) ## Delivery, databases and objects on the server images of compose.yaml (needs Docker)
	$(BIN)/pytest -m containers tests/services

lint: $(INSTALLED) ## Style, format, and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/generate_sync_client.py --check
	$(BIN)/pytest -q tests/architecture

types: $(INSTALLED) ## mypy --strict over everything
	nice $(BIN)/mypy --scripts-are-modules deploy services shared tests benchmarks examples scripts $(CI_SCRIPTS)

extras: $(INSTALLED) ## Prove that each API extra installs alone, without torch
	$(BIN)/python .ci/extras build/extras

wheel: $(INSTALLED) ## Build the wheel, install it alone with everything it needs (GBs), and run the platform from it
	$(BIN)/pytest -m install tests/services/slm_local/test_wheel.py

ray: $(INSTALLED) ## Install the extra for Ray clusters (80 MB more) and test it on two local nodes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(BIN)/pytest tests/services/training/worker/test_cluster.py tests/unit/training/test_cluster_failures.py

bench: $(INSTALLED) ## Measure requests per second and latency against a running stack
	$(BIN)/python benchmarks/control_plane.py

format: $(INSTALLED) ## Format the code, fix what can be fixed, generate the synchronous client
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/generate_sync_client.py

constraints: $(INSTALLED) ## Write constraints.txt from what is installed, with the extras that `all` leaves out
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pii,ray]'
	$(BIN)/python .ci/constraints > constraints.new && mv constraints.new constraints.txt

clean: ## Remove the environment, caches and builds (data in .slm stays)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.11 takes twice the time.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=26'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[all,dev]'
	@# What pip would do with one core; packages may contain files for other versions of Python.
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@
