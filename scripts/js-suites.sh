#!/usr/bin/env bash
# Runs the mocha suites of socketcluster-server and socketcluster-client
# against this server. The argument is the folder of the bridge.
set -euo pipefail

bridge=${1:-}
if [ ! -x "$bridge/run.sh" ]; then
  echo "usage: make js-suites BRIDGE=folder-of-the-bridge (the one that holds run.sh)" >&2
  exit 2
fi
bridge=$(cd "$bridge" && pwd)
cd "$(dirname "$0")/../internal/compat"
host=$(mktemp -d)
trap 'rm -rf "$host"' EXIT
go build -o "$host/bridgehost" ./bridgehost
for suite in ${SUITES:-client server}; do
  echo "== suite of socketcluster-$suite"
  "$bridge/run.sh" "$suite" "exec $host/bridgehost"
done
