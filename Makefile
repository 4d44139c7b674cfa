# Everything a newcomer runs.  `make test` and `make demo` each work alone on a fresh machine: they
# set up .venv first if it is missing or older than the lock file.

PYTHON ?= python3
DEMO ?=
BENCH ?= rd --quick
LOCK ?=
BIN := .venv/bin
# 1.13.11 names replacements in its go.mod, which `go install` refuses.
LIVEKIT := v1.13.5
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types doors unit tools bench format protos lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv from the hash-locked requirements (uv if there is one, else pip)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11" >&2; \
		  echo "hint:  make setup PYTHON=python3.12" >&2; exit 1; }
	@if command -v uv >/dev/null; then \
		uv venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@# mypy must see auralink.codecs, never the folder `codecs` (a module of the standard library).
	@mkdir -p .typing/auralink
	@for room in bench codecs engine models; do ln -sfn ../../$$room .typing/auralink/$$room; done
	@touch $@

demo: $(READY) ## Send the sample clip over an emulated thin link; report in out/ (DEMO="--rate 60k ...")
	$(BIN)/auralink demo $(DEMO)

test: check unit ## All checks, then all tests

check: lint types doors ## Lint, format, types and one-way doors

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	cd .typing && ../$(BIN)/mypy --config-file ../pyproject.toml

doors: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -n 2

tools: .tools/bin/livekit-server ## Build the LiveKit server that the live tests run against (needs Go 1.24 or newer)

.tools/bin/livekit-server:
	GOBIN="$(CURDIR)/.tools/bin" GOFLAGS=-modcacherw go install \
		github.com/livekit/livekit-server/cmd/server@$(LIVEKIT)
	mv .tools/bin/server $@

bench: $(READY) ## Measure against other codecs (BENCH="rd|speed|rate|loss ...")
	$(BIN)/auralink bench $(BENCH)

format: $(READY) ## Let ruff mend and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: $(READY) ## Make the gRPC stubs again from the proto file
	$(BIN)/python -m auralink.engine.rpc.stubs.generate

lock: ## Resolve the dependencies into requirements.lock (needs uv; LOCK=--upgrade for the newest)
	echo 'setuptools>=80' | uv pip compile pyproject.toml - --extra dev $(LOCK) --universal \
		--generate-hashes --no-emit-index-url --no-annotate --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove what the other targets made
	rm -rf .venv .typing .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out
