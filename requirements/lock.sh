#!/usr/bin/env bash
# Resolves what is needed into locks with hashes that hold for Python 3.11 to 3.14 on Linux and macOS:
# run (the server: pyproject.toml), build (the wheel), dev (checks and tests, on top of both), sdk2 (an environment of its own).
# The locks name no index, so that each installation uses the one it trusts.
set -euo pipefail
cd "$(dirname "$0")"
lock() {
  local output=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links "$@" --output-file "$output"
}
lock run.txt ../pyproject.toml
lock build.txt build.in
lock dev.txt ../pyproject.toml build.in dev.in
lock sdk2.txt sdk2.in
