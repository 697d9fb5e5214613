# Builds, tests and runs this repository; `make help` lists the targets. Needs GNU make and a POSIX
# shell. Everything that is downloaded comes from a package registry.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: schemas drift examples help advisories compat tdlib demo test check fmt tidy clippy doc deny bench figures fuzz chaos mutants release clean toolchain tools servers

target := $(or $(CARGO_TARGET_DIR),target)
# Cargo subcommands that scripts/install-tool installs.
tools := $(abspath $(target))/tools
export PATH := $(tools)/bin:$(PATH)
# An absolute path, as tests and demo run in other directories.
library := $(CURDIR)/.tdlib/libtdjson.so.1.8.61
# The same selection for building and running tests, so that nothing is compiled twice.
tested := --workspace --all-features --locked

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

tdlib: ## Download libtdjson 1.8.61 to .tdlib/ and verify its checksum
	@[ -f $(library) ] || command -v npm >/dev/null || scripts/install-packages pip3=python3-pip
	@scripts/fetch-tdlib

# The sandbox's copy of TDLib trusts only the sandbox's key and knows only its address, so the demo
# does not need a network namespace; it gets one where that works without privileges.
demo: toolchain tdlib ## Send a command through all parts, without servers (DEMO_ONCE=1 exits after the event)
	@echo "demo: building tdfleet (takes minutes the first time)" >&2
	@cargo build --locked -p tdfleet --features sandbox
	@if scripts/isolated true 2>/dev/null; then isolated=scripts/isolated; else isolated=; fi; \
	TDFLEET__TDLIB__LIBRARY=$(library) exec $$isolated $(target)/debug/tdfleet demo $(if $(filter-out 0,$(DEMO_ONCE)),--once)

# Crates are downloaded during the build; the tests then run in a network namespace with only loopback.
test: toolchain tools tdlib servers ## Run every test, on private servers and the real TDLib
	@scripts/setup-examples
	cargo build $(tested) --bins --tests
	scripts/isolated cargo test $(tested) --offline --doc --quiet
	TDFLEET_TDLIB_LIBRARY=$(library) scripts/isolated cargo nextest run $(tested) --offline

check: fmt tidy clippy doc drift compat deny ## Check format, imports, names, lints, documents, compatibility and licences

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

# The answers that the end-to-end tests receive, for docs/commands.md.
examples: toolchain tools tdlib servers ## Record an answer to each command from the real parts
	cargo build $(tested) --bins --tests
	mkdir -p docs/examples
	TDFLEET_RECORD_EXAMPLES=$(CURDIR)/docs/examples TDFLEET_TDLIB_LIBRARY=$(library) \
		scripts/isolated cargo nextest run $(tested) --offline -E 'binary(it) & test(/^commands?::/)'

# The generated documents match the types, and AsyncAPI's own parser accepts them.
drift: toolchain
	cargo build $(tested) --bins --tests
	rm -rf $(target)/documents && $(target)/debug/tdfleet documents $(target)/documents
	diff -r $(target)/documents/schemas schemas && diff $(target)/documents/docs/commands.md docs/commands.md || { \
		echo "check: the documents are stale: run 'make schemas'" >&2; exit 1; }
	@scripts/install-packages npm=npm
	cd xtask/asyncapi && npm ci --silent --no-audit --no-fund && node check.mjs ../../schemas/asyncapi.yaml

# Without advisories: their database is a git repository, not a registry package.
deny: toolchain
	@scripts/install-tool deny $(tools)
	cargo deny --all-features check bans licenses sources

compat: toolchain ## Check the wire format against the schemas of the last release tag
	cargo run --quiet --locked -p xtask --features compat -- compat

advisories: toolchain ## Check the dependencies against the RustSec advisories (needs github.com)
	@scripts/install-tool deny $(tools)
	cargo deny --all-features check advisories

bench: toolchain servers ## Run the benchmarks briefly
	cargo bench --locked -p tdlib -p publisher --bench '*' --no-run
	scripts/isolated cargo bench --offline --locked -p tdlib -p publisher --bench '*' -- --warm-up-time 1 --measurement-time 3

figures: toolchain tdlib servers ## Measure throughput and latency on real parts, and write docs/figures.md
	cargo bench --locked -p tdfleet --all-features --bench figures --no-run
	TDFLEET_TDLIB_LIBRARY=$(library) scripts/isolated cargo bench --offline --locked -p tdfleet --all-features --bench figures
	cargo xtask figures

# A debug build, as below. FUZZ_SECONDS is for each target; FUZZ_SEED continues where an earlier run ended.
fuzz: toolchain tools ## Fuzz every reader of outside input, each for FUZZ_SECONDS (default 60)
	TDFLEET_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) TDFLEET_FUZZ_SEED=$(or $(FUZZ_SEED),1) \
		cargo nextest run --profile fuzz $(tested) -E 'binary(fuzz) | test(/(^|::)fuzz::/)'

# A debug build, so that an overflow or a failed assertion aborts the process.
chaos: toolchain tdlib servers ## Inject faults into a fleet under load, and prove that nothing is lost (CHAOS='--seed 7')
	cargo bench --profile dev --locked -p tdfleet --all-features --bench chaos --no-run
	TDFLEET_TDLIB_LIBRARY=$(library) scripts/isolated cargo bench --profile dev --offline --locked \
		-p tdfleet --all-features --bench chaos -- $(CHAOS)

mutants: toolchain tdlib servers ## Prove that chaos detects a broken fence, ledger and order
	@scripts/install-packages patch=patch
	TDFLEET_TDLIB_LIBRARY=$(library) scripts/run-mutants

release: toolchain ## Build target/release/tdfleet, without the sandbox
	cargo build --release --locked -p tdfleet

clean: ## Remove everything that was built or downloaded
	cargo clean
	rm -rf .tdlib

toolchain:
	@command -v cargo >/dev/null || { \
		echo "Rust is missing: install rustup (https://rustup.rs); it installs the version in rust-toolchain.toml" >&2; exit 1; }
	@scripts/install-packages cc=gcc cc=libc6-dev

servers:
	@scripts/install-packages /usr/lib/rabbitmq/bin/rabbitmq-server=rabbitmq-server redis-server=redis-server \
		unshare=util-linux ip=iproute2
	@scripts/isolated true

tools: toolchain
	@scripts/install-tool nextest $(tools)
