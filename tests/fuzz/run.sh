#!/usr/bin/env bash
# Fuzzes every target for so many seconds: run.sh SECONDS [TARGET...]. What is found stays in target/fuzz/found.
# The flags are those of `cargo fuzz run --sanitizer none`, which works in this folder too: the host has no unsafe code, and
# so the stable compiler will do.
set -euo pipefail
seconds=$1
shift
targets=("$@")
[ $# -gt 0 ] || targets=(events otlp_grpc otlp_json otlp_protobuf)
cd "$(dirname "$0")"
seeds="$PWD/../../target/fuzz/seeds"
# The seeds come from the tests' workspace, whose libraries are built already where tests run.
(cd ../.. && cargo run --quiet --release --locked -p kit --bin fuzz-seeds -- "$seeds")
export CARGO_TARGET_DIR="$PWD/../../target/fuzz"
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16"
# With a target named, build scripts and macros are compiled without the flags.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --locked --target "$host" --bin events --bin otlp_grpc --bin otlp_json --bin otlp_protobuf
built="$CARGO_TARGET_DIR/$host/release"
mkdir -p "$CARGO_TARGET_DIR/found"
for target in "${targets[@]}"; do
  mkdir -p "$CARGO_TARGET_DIR/corpus/$target"
  "$built/$target" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$CARGO_TARGET_DIR/found/$target-" "$CARGO_TARGET_DIR/corpus/$target" "$seeds/$target"
done
