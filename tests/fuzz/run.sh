#!/usr/bin/env bash
# Fuzzes every target for so many seconds: run.sh SECONDS [TARGET...]. What is found stays in target/fuzz/found.
# The flags are those of `cargo fuzz run --sanitizer none`, which works in this folder too: the host has no unsafe code, and
# so the stable compiler will do.
set -euo pipefail
seconds=$1
shift
receivers=" events otlp_grpc otlp_json otlp_protobuf "
targets=("$@")
[ $# -gt 0 ] || targets=(events otlp_grpc otlp_json otlp_protobuf components settings)
cd "$(dirname "$0")"
seeds="$PWD/../../target/fuzz/seeds"
# The seeds come from the tests' workspace, whose libraries are built already where tests run.
(cd ../.. && cargo run --quiet --release --locked -p kit --bin fuzz-seeds -- "$seeds")
target="$PWD/../../target"
found="$target/fuzz/found"
mkdir -p "$found"
host=$(rustc -vV | sed -n 's/^host: //p')
# The receivers alone, without the engine. With a target named, build scripts and macros are compiled without the flags.
build_receivers() {
  CARGO_TARGET_DIR="$target/fuzz" RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16" \
    cargo build --release --locked --target "$host" --bin events --bin otlp_grpc --bin otlp_json --bin otlp_protobuf
}
# What is linked with the engine.
build_engine() {
  (cd ../.. && RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz-engine/instrument.sh" \
    cargo build --release --locked --workspace --bin components --bin settings)
}
for name in "${targets[@]}"; do
  case "$receivers" in *" $name "*) receivers_wanted=1 ;; *) engine_wanted=1 ;; esac
done
[ -z "${receivers_wanted:-}" ] || build_receivers
[ -z "${engine_wanted:-}" ] || build_engine
export FUZZ_COMPONENTS="$seeds/files"
for name in "${targets[@]}"; do
  case "$receivers" in
    *" $name "*) program="$target/fuzz/$host/release/$name" ;;
    *) program="$target/release/$name" ;;
  esac
  mkdir -p "$target/fuzz/corpus/$name" "$seeds/$name"
  "$program" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$found/$name-" "$target/fuzz/corpus/$name" "$seeds/$name"
done
