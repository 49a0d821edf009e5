#!/usr/bin/env bash
# Installs what the peer tests drive, at the versions pinned here, without root:
#   every folder with a package.json     its own node_modules
#   python/NAME.txt                      a Python environment, installed/python/NAME
#   debian.txt (name=version, a line)    unpacked into installed/debian
# What is installed already and has not changed is left alone.
set -euo pipefail
cd "$(dirname "$0")"

# Runs the command after the stamp's name unless these files are as they were when it last succeeded.
once() {
  local stamp="installed/stamps/$1" inputs="$2"
  shift 2
  local now
  # shellcheck disable=SC2086
  now=$(cat $inputs | sha256sum)
  if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then return; fi
  "$@"
  mkdir -p installed/stamps
  echo "$now" >"$stamp"
}

# Not `npm ci`: it refuses where a registry lacks the optional packages of other platforms.
npm_packages() { (cd "$1" && npm install --no-save --no-audit --no-fund --ignore-scripts); }

python_environment() {
  local environment="installed/python/$1"
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "python/$1.txt"
}

debian_packages() {
  rm -rf installed/debian
  mkdir -p installed/debian/archives
  (cd installed/debian/archives && xargs apt-get download <../../../debian.txt)
  for archive in installed/debian/archives/*.deb; do dpkg -x "$archive" installed/debian; done
}

while read -r manifest; do
  folder=$(dirname "$manifest")
  once "npm-${folder//\//_}" "$folder/package.json $folder/package-lock.json" npm_packages "$folder"
done < <(find . -name package.json -not -path '*/node_modules/*' -not -path './installed/*')

for list in python/*.txt; do
  [ -e "$list" ] || continue
  name=$(basename "$list" .txt)
  once "python-$name" "$list" python_environment "$name"
done

if [ -e debian.txt ]; then once debian debian.txt debian_packages; fi
