# Each target sets up what it needs and says what it does. `make help` lists them.
PYTHON ?= python3
PORT ?= 8000
DATA ?= data
BIN := .venv/bin
STAMPS := .stamps
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test check bench assets wheel messages lock sbom audit clean

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "make %-10s %s\n", $$1, $$2}'

run: $(STAMPS)/run $(STAMPS)/assets $(STAMPS)/locales ## serve the demonstration on 127.0.0.1 (PORT=8000 DATA=data)
	@PORT=$(PORT) DATA=$(DATA) exec $(BIN)/python -m app serve --demo --host 127.0.0.1 --port $(PORT)

test: $(STAMPS)/test $(STAMPS)/assets $(STAMPS)/locales check ## every check and test, browser included
	@CHROMIUM="$$($(BIN)/python tools/browser.py)" && export CHROMIUM && echo "Testing with $$CHROMIUM" && $(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(STAMPS)/test ## format, lint, types and imports
	$(BIN)/ruff format --check -q app clients tests migrations bench tools docs
	$(BIN)/ruff check -q app clients tests migrations bench tools docs
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMPS)/test $(STAMPS)/assets $(STAMPS)/locales ## the load drivers of bench/, with their ratio
	$(BIN)/python -m bench.submit
	$(BIN)/python -m bench.rush
	$(BIN)/python -m bench.register
	$(BIN)/python -m bench.feed --submissions 500 --kills 5
	$(BIN)/python -m bench.streams

assets: $(STAMPS)/assets ## build the front end

wheel: $(STAMPS)/assets $(STAMPS)/locales ## the whole portal as one wheel in dist/
	@rm -rf build dist && $(BIN)/python -m pip wheel -q --no-deps -w dist . && rm -rf build

messages: $(STAMPS)/test ## collect sentences for the translators
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ --no-location --sort-output --project=eoi-portal -o locales/messages.pot .
	for l in nl; do $(BIN)/pybabel -q update -N --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -w 120 -i locales/messages.pot -d locales -l $$l; done
	rm locales/messages.pot

lock: $(STAMPS)/venv ## resolve the dependencies anew, with hashes
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q --upgrade --extra build -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q --upgrade --extra build --extra test -o requirements/test.txt

sbom: $(STAMPS)/run ## bill of materials (CycloneDX) in dist/sbom.json, and the list of licences in docs/licences.md
	@test -x $(STAMPS)/sbom/bin/cyclonedx-py || { $(PYTHON) -m venv $(STAMPS)/sbom && $(STAMPS)/sbom/bin/pip install -q "cyclonedx-bom>=7,<8"; }
	@mkdir -p dist && $(STAMPS)/sbom/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.json
	@$(BIN)/python tools/licences.py

audit: ## known weaknesses of the locked packages; fails where the advisory service is out of reach or does not know one
	@test -x $(STAMPS)/audit/bin/pip-audit || { $(PYTHON) -m venv $(STAMPS)/audit && $(STAMPS)/audit/bin/pip install -q "pip-audit>=2.10,<3"; }
	@for list in run test; do $(STAMPS)/audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements/$$list.txt || { echo "requirements/$$list.txt was not shown to be free of known weaknesses: see above"; exit 1; }; done

clean: ## remove what was built; data stay
	rm -rf .venv .stamps node_modules app/static build dist *.egg-info

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; rm -rf .venv; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/venv requirements/run.txt
	@echo "Installing the locked packages (hashes checked)"
	@$(BIN)/python -m pip install -q --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
	@touch $@

$(STAMPS)/test: $(STAMPS)/venv requirements/test.txt
	@echo "Installing the locked packages, those for tests included (hashes checked)"
	@$(BIN)/python -m pip install -q --require-hashes --no-deps --only-binary :all: -r requirements/test.txt
	@touch $@ $(STAMPS)/run

$(STAMPS)/assets: $(shell find assets -type f) package-lock.json tools/assets.py | $(STAMPS)/run
	@echo "Building the front end into app/static"
	@$(BIN)/python tools/assets.py
	@touch $@

$(STAMPS)/locales: $(wildcard locales/*/LC_MESSAGES/*.po) | $(STAMPS)/run
	@echo "Compiling the languages"
	@$(BIN)/pybabel -q compile -d locales
	@touch $@
