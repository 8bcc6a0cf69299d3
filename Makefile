# The only door. `make` alone says what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
# A promise that is broken says so in words; below a backtrace they are hard to find.
export RUST_BACKTRACE := 0

.PHONY: help run demo cluster test prove verify fix fuzz load sim setup panel

help: ## what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

setup: ## install the system packages (as root; else says which)
	@scripts/setup

panel: ## build the management page, which the program carries
	@scripts/panel

run: ## build and start a node: http://localhost:5080/
	@scripts/setup run
	@scripts/panel || echo "The node goes without its management page." >&2
	$(CARGO) run --release --locked --

demo: ## a node and a moving picture to look at; Ctrl-C ends both
	@scripts/setup run
	@scripts/panel || echo "The node goes without its management page." >&2
	$(CARGO) build --release --locked --bin penstock
	$(CARGO) run --release --locked --package penstock-test-support --bin demo -- \
	  --node "$$($(CARGO) metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/penstock"

cluster: ## three nodes of one cluster on this machine, to look at; Ctrl-C ends them
	@scripts/setup run
	@scripts/panel || echo "The nodes go without their management page." >&2
	$(CARGO) build --release --locked --bin penstock
	@scripts/cluster "$$($(CARGO) metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/penstock"

test: ## all tests that fit into 40 minutes, with real clients
	@scripts/setup
	@scripts/panel || echo "skipped: the management page" >&2
	$(CARGO) test --workspace --locked --no-fail-fast -- --nocapture --test-threads=2
	$(CARGO) test --workspace --locked --features penstock/faults --test a_death_takes_only_its_own -- --nocapture
	$(CARGO) test --package penstock-sim --locked --features broken --test what_is_broken_on_purpose_is_found -- --nocapture

prove: ## the long proofs, resumable; results go to docs/proofs
	@scripts/setup
	scripts/prove

verify: ## the read-only gate: format, lints, dependencies, docs, tests
	@scripts/setup
	@scripts/panel || echo "skipped: the management page" >&2
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --workspace --all-targets --locked --features penstock/faults -- -D warnings
	$(CARGO) clippy --package penstock-sim --all-targets --locked --features broken -- -D warnings
	scripts/dependencies
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items
	$(MAKE) test

fix: ## rewrite what verify only checks: format and generated files
	$(CARGO) fmt --all
	PENSTOCK_BLESS=1 $(CARGO) test --package penstock-config --quiet
	PENSTOCK_BLESS=1 $(CARGO) test --package penstock-api --quiet
	PENSTOCK_BLESS=1 $(CARGO) test --package penstock --test together --quiet -- documents::

load: ## what one core and the metadata plane carry, in 45 minutes: figures, plots and hard cases, to load-tests/results
	@scripts/setup load
	scripts/load

# Optimized: a core does 10 worlds in a second then, and 8 as the tests are built, which check every addition besides.
sim: ## the metadata plane in the simulated world of SEED (or FROM..TO): its trace hash, and what struck
	@scripts/setup run
	$(CARGO) run --release --quiet --locked --package penstock-sim --bin sim -- $(or $(SEED),1)

fuzz: ## run every fuzz target for a minute (nightly, cargo-fuzz)
	fuzz/run
