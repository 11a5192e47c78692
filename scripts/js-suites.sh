#!/bin/sh
# Runs the mocha suites of socketcluster-client and socketcluster-server, and
# the tests of the bridge itself, against this library, over the bridge in the
# directory BRIDGE.
#
#   js-suites.sh BRIDGE [SUITE...]
#
# Prints what did not pass, and the counts. The status is 1 if a test failed.
# SUITE is client, server, or a mocha file of the bridge's such as selftest.js;
# all three by default. The variables that the bridge's run.sh reads, such
# as GREP and BRIDGE_NPM, work here too. -race in GOFLAGS builds a host that
# looks for data races.
set -eu

# Some tests of the suites allow 10 to 50 ms, which a busy machine exceeds.
export RETRIES="${RETRIES:-5}"

[ -x "${1:-}/run.sh" ] || { sed -n '6s/^# *//p' "$0" >&2; exit 2; }
compat=$(cd "$(dirname "$0")/../internal/compat" && pwd)
bridge=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- client server selftest.js

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
(cd "$compat" && go build -o "$dir/bridgehost" ./bridgehost)

status=0
for suite; do
	(cd "$bridge" && ./run.sh "$suite" "exec '$dir/bridgehost'") >"$dir/log" 2>&1 || status=1
	grep -Ev '^PASSED|^ *$|^ +NOTICE|^ +Make sure' "$dir/log" | sed '$d'
	printf '%s: %s\n' "$suite" "$(tail -n 1 "$dir/log")"
done
exit $status
