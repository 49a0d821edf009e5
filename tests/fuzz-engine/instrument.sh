#!/usr/bin/env bash
# What cargo calls instead of rustc for the crates of the workspace: the host and the targets are compiled for libFuzzer.
# Build scripts and the host's dependencies are not, so that the engine is compiled once for tests and fuzzer.
case " $* " in
  *" --crate-name mastra_host "* | *" --crate-name components "* | *" --crate-name settings "*)
    exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16
    ;;
  *) exec "$@" ;;
esac
