#!/usr/bin/env bash
# What cargo calls instead of rustc for the crates of the workspace: they are compiled for libFuzzer, their dependencies
# are not, so that the engine is compiled once for tests and fuzzer.
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16
