# Every target works on a clean clone. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-agents test-histories chaos lint bench bench-scale run up down tools docs-check fuzz clean fmt

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
ARGS ?= --help
# One set of features for everything that tests start, so that dependencies and binaries are built once.
# `failpoints` lets the crash tests end the process at a named place.
BUILD := --workspace --features autopack/failpoints
FUZZ_SECONDS ?= 60
MOMENTS ?= 20
PHASES ?= 40

# The binaries that the tests start.
export AUTOPACK_BIN_DIR ?= $(abspath $(TARGET))/debug

# Real data of the older system; tests that read it say so when it is missing.
ifneq ($(wildcard ../shared/corpus),)
export AUTOPACK_CORPUS_DIR ?= $(abspath ../shared/corpus)
endif

# nextest where it is installed, else cargo's own runner.
ifneq ($(shell command -v cargo-nextest 2>/dev/null),)
RUN_TESTS := $(CARGO) nextest run $(BUILD) --no-fail-fast
else
RUN_TESTS := $(CARGO) test $(BUILD) --no-fail-fast --lib --bins --tests
endif

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

demo: ## Run the main job on a repository made on the spot: a plan becomes a gated branch
	@if [ ! -x "$(AUTOPACK_BIN_DIR)/autopack" ] || [ -z "$(DEMO_NO_BUILD)" ]; then \
	  $(CARGO) build -p autopack; fi
	examples/demo/run.sh

test: tools ## Build the binaries and run every test but the release histories
	$(CARGO) build $(BUILD) --bins --tests
	$(RUN_TESTS)

test-histories: tools ## Rebuild the release histories of real packages, phase by phase (needs the package registries)
	$(CARGO) build $(BUILD) --bins --tests
	$(CARGO) test $(BUILD) --test histories -- --nocapture

test-agents: ## Real agents' command lines against a local protocol server (needs npm and the package registry; asks no model)
	$(CARGO) build $(BUILD) --bins
	python3 tests/agents/run.py $(TARGET)/debug/autopack target/tools/agents

chaos: tools ## The long fault suite: SIGKILL of each process at MOMENTS=20 moments, every crash window; SEED replays
	$(CARGO) build $(BUILD) --bins --tests
	AUTOPACK_CHAOS_MOMENTS=$(MOMENTS) AUTOPACK_CHAOS_PHASES=$(PHASES) \
	  $(if $(SEED),AUTOPACK_CHAOS_SEED=$(SEED)) $(if $(KEEP),AUTOPACK_CHAOS_KEEP=1) $(if $(LOG),AUTOPACK_CHAOS_LOG=$(LOG)) \
	  $(CARGO) test $(BUILD) --test chaos --no-fail-fast -- --nocapture --test-threads 1

lint: ## Formatting, clippy, the lock file, the protobuf contract, file sizes, shell scripts, alert rules
	$(CARGO) fetch --locked
	$(CARGO) fmt --all --check
	scripts/lint-files.sh
	scripts/lint-proto.sh
	scripts/lint-shell.sh
	scripts/lint-alerts.sh
	$(CARGO) clippy $(BUILD) --all-targets -- -D warnings

bench: tools ## Measure both forms: figures and their ratios to a calibration of this machine
	$(CARGO) build --release --workspace --bins
	$(TARGET)/release/autopack bench
	AUTOPACK_BIN_DIR=$(abspath $(TARGET))/release $(CARGO) bench -p autopack-tests --bench distributed

bench-scale: tools ## Measure reads, starts and the self-check with 100,000 runs and 2,000,000 phases, over both databases
	$(CARGO) build --release -p autopack -p run-registry
	AUTOPACK_BIN_DIR=$(abspath $(TARGET))/release $(CARGO) bench -p autopack-tests --bench scale

run: ## Run the command line: make run ARGS="run plan.yaml --repo ."
	$(CARGO) run -q -p autopack -- $(ARGS)

up: tools ## Start the distributed form here: PostgreSQL, nats-server, all services, WORKERS=2 workers
	$(CARGO) build $(BUILD) --bins
	scripts/up.sh

down: ## End what `make up` started; PURGE=1 removes its data too
	scripts/down.sh

tools: ## Install what the tests start: both nats-servers in target/tools; check git, Python, a C compiler
	@scripts/tools.sh

docs-check: ## Check that what README and docs name exists, and run the README's blocks
	$(CARGO) build $(BUILD) --bins --tests
	$(CARGO) test $(BUILD) --test architecture -- docs_check

fuzz: ## Fuzz the readers of plans, imports, submissions and messages for FUZZ_SECONDS each (needs cargo-fuzz and a nightly toolchain)
	mkdir -p fuzz/corpus/plan fuzz/corpus/import fuzz/corpus/submission fuzz/corpus/request
	$(CARGO) +nightly fuzz run plan fuzz/corpus/plan tests/corpus/good-plans tests/corpus/bad-plans -- -max_total_time=$(FUZZ_SECONDS)
	$(CARGO) +nightly fuzz run import fuzz/corpus/import -- -max_total_time=$(FUZZ_SECONDS)
	$(CARGO) +nightly fuzz run submission fuzz/corpus/submission -- -max_total_time=$(FUZZ_SECONDS)
	$(CARGO) +nightly fuzz run request fuzz/corpus/request -- -max_total_time=$(FUZZ_SECONDS)

fmt: ## Format the sources
	$(CARGO) fmt --all

clean: ## Remove everything that was built or installed here
	$(CARGO) clean
	rm -rf target
