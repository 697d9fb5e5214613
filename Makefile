# What this repository is built, tested and run with; `make help` lists it.
# GNU make and a POSIX shell. Cargo shows the progress; nothing is fetched but from registries.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: schemas drift examples help tdlib demo test check fmt tidy clippy doc deny bench figures chaos mutants release clean toolchain tools servers

nextest_version := 0.9.151
deny_version := 0.20.2

target := $(or $(CARGO_TARGET_DIR),target)
# Tests and demo take the library from here, whatever directory they run in.
library := $(CURDIR)/.tdlib/libtdjson.so.1.8.61
# One selection for building and running tests, so that nothing is compiled twice.
tested := --workspace --all-features --locked

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

tdlib: ## Bring libtdjson 1.8.61 into .tdlib/ by its checksum
	@[ -f $(library) ] || command -v npm >/dev/null || .ci/packages pip3=python3-pip
	@deploy/tdlib.sh

# The sandbox's copy of TDLib trusts no key but the sandbox's and has no address beside it. Where a
# network namespace may be had without asking, the demo gets one all the same; it needs none.
demo: toolchain tdlib ## Run the whole way on this machine, no server needed (DEMO_ONCE=1 ends after the event)
	@echo "demo: building tdfleet (some minutes the first time)" >&2
	@cargo build --locked -p tdfleet --features sandbox
	@if .ci/alone true 2>/dev/null; then alone=.ci/alone; else alone=; fi; \
	TDFLEET__TDLIB__LIBRARY=$(library) exec $$alone $(target)/debug/tdfleet demo $(if $(filter-out 0,$(DEMO_ONCE)),--once)

# Crates are fetched while building; the tests then run where there is no network but loopback.
test: toolchain tools tdlib servers ## Run every test, on private servers and the real TDLib
	@examples/setup.sh
	cargo build $(tested) --bins --tests
	.ci/alone cargo test $(tested) --offline --doc --quiet
	TDFLEET_TDLIB_LIBRARY=$(library) .ci/alone cargo nextest run $(tested) --offline

check: fmt tidy clippy doc drift deny ## Check format, edges, lints, documents and licences

fmt: toolchain
	cargo fmt --all --check

tidy: toolchain
	cargo xtask edges
	cargo xtask tidy

clippy: toolchain
	cargo clippy $(tested) --all-targets -- -D warnings

doc: toolchain
	RUSTDOCFLAGS='-D warnings' cargo doc $(tested) --no-deps --document-private-items

schemas: toolchain ## Write schemas/ and docs/commands.md from the types
	cargo build $(tested) --bins --tests
	$(target)/debug/tdfleet documents .

# Answers as the end-to-end tests see them, for docs/commands.md.
examples: toolchain tools tdlib servers ## Record an answer of each command from the real parts
	cargo build $(tested) --bins --tests
	mkdir -p docs/examples
	TDFLEET_RECORD_EXAMPLES=$(CURDIR)/docs/examples TDFLEET_TDLIB_LIBRARY=$(library) \
		.ci/alone cargo nextest run $(tested) --offline -E 'binary(it) & test(/^commands?::/)'

# The contract's documents are what the types say, and AsyncAPI's own parser can read them.
drift: toolchain
	cargo build $(tested) --bins --tests
	rm -rf $(target)/documents && $(target)/debug/tdfleet documents $(target)/documents
	diff -r $(target)/documents/schemas schemas && diff $(target)/documents/docs/commands.md docs/commands.md || { \
		echo "check: the documents are stale: run 'make schemas'" >&2; exit 1; }
	@.ci/packages npm=npm
	cd xtask/asyncapi && npm ci --silent --no-audit --no-fund && node check.mjs ../../schemas/asyncapi.yaml

# Advisories are left out: their database is a git repository, not in a registry.
deny: toolchain
	@cargo deny --version >/dev/null 2>&1 || { echo "check: installing cargo-deny (some minutes, once)" >&2; \
		cargo install --locked --quiet cargo-deny --version $(deny_version); }
	cargo deny --all-features check bans licenses sources

bench: toolchain servers ## Run the benchmarks, shortly
	cargo bench --locked -p tdlib -p publisher --bench '*' --no-run
	.ci/alone cargo bench --offline --locked -p tdlib -p publisher --bench '*' -- --warm-up-time 1 --measurement-time 3

figures: toolchain tdlib servers ## Measure the whole on real parts (release build)
	cargo bench --locked -p tdfleet --all-features --bench figures --no-run
	TDFLEET_TDLIB_LIBRARY=$(library) .ci/alone cargo bench --offline --locked -p tdfleet --all-features --bench figures

# The debug build, so that an overflow or a broken invariant ends a process as well.
chaos: toolchain tdlib servers ## Break a fleet under load, and prove that nothing is lost (CHAOS='--seed 7')
	cargo bench --profile dev --locked -p tdfleet --all-features --bench chaos --no-run
	TDFLEET_TDLIB_LIBRARY=$(library) .ci/alone cargo bench --profile dev --offline --locked \
		-p tdfleet --all-features --bench chaos -- $(CHAOS)

mutants: toolchain tdlib servers ## Show that chaos notices a broken fence, ledger and order
	@.ci/packages patch=patch
	TDFLEET_TDLIB_LIBRARY=$(library) tests/chaos/mutants.sh

release: toolchain ## Build target/release/tdfleet, without the sandbox
	cargo build --release --locked -p tdfleet

clean: ## Remove what was built and fetched
	cargo clean
	rm -rf .tdlib

toolchain:
	@command -v cargo >/dev/null || { \
		echo "Rust is missing: install rustup (https://rustup.rs); it brings the version that rust-toolchain.toml names" >&2; exit 1; }
	@.ci/packages cc=gcc cc=libc6-dev

servers:
	@.ci/packages /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server redis-server=redis-server \
		unshare=util-linux ip=iproute2
	@.ci/alone true

tools: toolchain
	@cargo nextest --version >/dev/null 2>&1 || { echo "test: installing cargo-nextest (some minutes, once)" >&2; \
		cargo install --locked --quiet cargo-nextest --version $(nextest_version); }
