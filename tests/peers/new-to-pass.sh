#!/usr/bin/env bash
# Seconds from an empty directory to an exporter that was built, tested and passes `mastra-host test`, for each language given, or
# all, and the CPU time of it, which tells more where others use the machine. `new-to-pass.sh HOST [LANGUAGE ...]`; HOST is the
# built mastra-host. Rust starts with an empty cargo home, and only with the registry of the given one.
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

# CPU seconds of what has run here so far: the times of children that have ended, in ticks.
ticks=$(getconf CLK_TCK)
cpu() {
  local stat
  read -r -a stat <"/proc/$$/stat"
  awk -v ticks="$ticks" -v all="$((stat[15] + stat[16]))" 'BEGIN { print all / ticks }'
}

given_cargo_home=${CARGO_HOME:-$HOME/.cargo}
printf '| language | new and build | test | mastra-host test | all, s | CPU of the three | all, CPU-s |\n|---|--:|--:|--:|--:|--:|--:|\n'
for language in "${languages[@]}"; do
  if [ "$language" = rust ]; then
    export CARGO_HOME="$folder/cargo-home"
    mkdir -p "$CARGO_HOME"
    if [ -e "$given_cargo_home/config.toml" ]; then cp "$given_cargo_home/config.toml" "$CARGO_HOME"; fi
  fi
  times=("$(date +%s.%N)")
  costs=("$(cpu)")
  after() { times+=("$(date +%s.%N)") && costs+=("$(cpu)"); }
  step "$host" new acme-board --lang "$language" --signals traces,logs
  step make -C acme-board
  after
  step make -C acme-board test
  after
  step "$host" test acme-board/acme-board.wasm
  after
  awk -v language="$language" -v times="${times[*]}" -v costs="${costs[*]}" 'BEGIN {
    split(times, t, " "); split(costs, c, " ")
    printf "| %s | %.1f | %.1f | %.1f | %.1f | %.1f, %.1f, %.1f | %.1f |\n", language,
      t[2] - t[1], t[3] - t[2], t[4] - t[3], t[4] - t[1], c[2] - c[1], c[3] - c[2], c[4] - c[3], c[4] - c[1]
  }'
  rm -rf acme-board
done
