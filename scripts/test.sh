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

# The tests of internal/compat wait for browsers and other processes half of the time.
# So those of the other modules run meanwhile. They run programs that Go's cache of test
# results does not know of, which -count=1 leaves out.
output=$(mktemp)
(cd internal/compat && go test -race -count=1 -timeout 8m -p 3 ./...) >"$output" 2>&1 &
compat=$!
trap 'kill "$compat" 2>/dev/null || true; rm -f "$output"' EXIT
failed=0
for module in . examples; do
  echo "== go test -race ./... in $module"
  (cd "$module" && go test -race -timeout 8m ./...) || failed=1
done
echo "== node --test in browser"
(cd browser && node --test) || failed=1
echo "== go test -race ./... in internal/compat"
wait "$compat" || failed=1
cat "$output"
exit "$failed"
