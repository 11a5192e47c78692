#!/usr/bin/env bash
# Runs every fuzz target for as many inputs or as long as the argument says.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:?such as 2000x or 30s}
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do
  for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/^func //' | sort -u); do
    echo "== $package $target"
    # From inside, as the package may belong to another module.
    (cd "$package" && go test . -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x </dev/null)
  done
done
