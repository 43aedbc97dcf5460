# make demo: from nothing to a page one can listen to. make evidence: what a sceptic asks for beside it. make test: the tests. make check: format, types, the graph's style.
# All install what they need into .venv first.
SHELL := /bin/bash
PYTHON ?= python3
STAMP := .venv/installed
CHECKS := .venv/checks-installed
PYTHON_FILES := src tests benchmarks
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# pip and uv want a cache, too (see src/ostinato/caches.py)
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] || [ -n "$$XDG_CACHE_HOME" ] && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.cache
endif

.PHONY: demo evidence test check format install

demo: $(STAMP)
	snakemake --profile cluster/local
	@echo
	@ostinato scores --short results/scores.json --midi results/midi/scores.json
	@echo
	@echo "Listen: $(CURDIR)/results/report/index.html"

evidence: $(STAMP)
	snakemake --profile cluster/local evidence
	@echo
	@ostinato scores --short results/evidence/scores.json --midi results/evidence/midi/scores.json
	@echo
	@echo "Look: $(CURDIR)/results/evidence/index.html"

test: $(STAMP)
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: $(CHECKS)
	ruff check $(PYTHON_FILES)
	ruff format --check $(PYTHON_FILES)
	snakefmt --check Snakefile workflow
	snakemake --lint
	python -c "from ostinato.params import schema; print(schema(), end='')" | diff workflow/schemas/params.schema.json - \
		|| { echo "make: the schema is not in step with ostinato.params; write it with: python -m ostinato.params" >&2; exit 1; }
	mypy

format: $(CHECKS)
	ruff check --fix $(PYTHON_FILES)
	ruff format $(PYTHON_FILES)
	snakefmt Snakefile workflow
	python -m ostinato.params

install: $(STAMP)

# pip cannot override what audiocraft pins, uv can. uv reads UV_FIND_LINKS, comma-separated, and not pip's PIP_FIND_LINKS.
$(STAMP): pyproject.toml requirements/pins.txt requirements/overrides.txt
	@command -v $(PYTHON) > /dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or later, or name it: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: $(PYTHON) is $$($(PYTHON) --version), 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@[ -x .venv/bin/pip ] || $(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "make: '$(PYTHON) -m venv .venv' failed, see above (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing into .venv; the first time this takes minutes"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$${PIP_FIND_LINKS:+env UV_FIND_LINKS="$${PIP_FIND_LINKS// /,}"} uv pip install --quiet --compile-bytecode --python .venv/bin/python \
		--overrides requirements/overrides.txt -r requirements/pins.txt -e '.[test]'
	@touch $@

$(CHECKS): $(STAMP) requirements/checks.txt
	@$${PIP_FIND_LINKS:+env UV_FIND_LINKS="$${PIP_FIND_LINKS// /,}"} uv pip install --quiet --python .venv/bin/python -r requirements/checks.txt
	@touch $@
