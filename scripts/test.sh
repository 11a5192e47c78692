#!/usr/bin/env bash
# Runs all tests of all modules under the race detector, and those of the
# browser client on Node.js.
set -euo pipefail
cd "$(dirname "$0")/.."

# A program with the race detector sleeps for a second before it exits, so that
# goroutines can report races meanwhile. The servers of the tests are drained by
# then.
export GORACE="${GORACE:-atexit_sleep_ms=50}"

scripts/need.sh
for module in . examples internal/compat; do
  echo "== go test -race ./... in $module"
  (cd "$module" && go test -race -timeout 8m ./...)
done
echo "== node --test in browser"
(cd browser && node --test)
