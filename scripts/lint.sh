#!/usr/bin/env bash
# Formatting, go vet and staticcheck over all modules. The linters' versions
# are pinned in tools/go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
  echo "not formatted with gofmt:" "$unformatted" >&2
  exit 1
fi
tools="$PWD/tools/go.mod"
for module in . examples internal/compat internal/compat/bench/centrifuge internal/compat/wall/goclients; do
  echo "== vet and staticcheck in $module"
  (cd "$module" && go vet ./... && go tool -modfile="$tools" staticcheck ./...)
done
GOOS=darwin go vet ./...
go vet -tags slow,socketcluster_elections ./cluster
