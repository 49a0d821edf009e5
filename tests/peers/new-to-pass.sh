#!/usr/bin/env bash
# Seconds from an empty directory to an exporter that was built, tested and passes `mastra-host test`, for each language given, or
# all. `new-to-pass.sh HOST [LANGUAGE ...]`; HOST is the built mastra-host. Rust starts with an empty cargo home.
set -euo pipefail
host=$(realpath "$1")
shift
languages=("$@")
[ ${#languages[@]} -gt 0 ] || languages=(rust js python go c)
# shellcheck source=toolchains/environment.sh
source "$(dirname "$0")/toolchains/environment.sh"

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder" && rm -rf "$folder"' EXIT
cd "$folder"
# Nothing that an earlier run has compiled.
export GOCACHE="$folder/go-cache" XDG_CACHE_HOME="$folder/cache"

# What the language did, with its log only when it failed.
step() { "$@" >log 2>&1 || { cat log >&2; exit 1; }; }

printf '| language | new and build | test | mastra-host test | all, s |\n|---|--:|--:|--:|--:|\n'
for language in "${languages[@]}"; do
  if [ "$language" = rust ]; then export CARGO_HOME="$folder/cargo-home"; fi
  started=$(date +%s.%N)
  step "$host" new acme-board --lang "$language" --signals traces,logs
  step make -C acme-board
  built=$(date +%s.%N)
  step make -C acme-board test
  tested=$(date +%s.%N)
  step "$host" test acme-board/acme-board.wasm
  ended=$(date +%s.%N)
  awk -v language="$language" -v a="$started" -v b="$built" -v c="$tested" -v d="$ended" \
    'BEGIN { printf "| %s | %.1f | %.1f | %.1f | %.1f |\n", language, b - a, c - b, d - c, d - a }'
  rm -rf acme-board
done
