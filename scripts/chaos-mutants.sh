#!/usr/bin/env bash
# Shows that the checker of internal/compat/chaos sees faults: it applies each patch of its
# testdata to a copy of the project, and runs the checker on that. The name of a patch
# begins with the promise that the checker must find broken. MUTANT chooses one.
set -euo pipefail
cd "$(dirname "$0")/.."

for=${FOR:-90s}
seed=${SEED:-1}
patches="$PWD/internal/compat/chaos/testdata"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd internal/compat && go build -o "$copy/checker" ./chaos)
missed=0
for patch in "$patches"/${MUTANT:-*}.patch; do
  name=$(basename "$patch" .patch)
  rule=${name%%-*}
  rm -rf "$copy/project"
  mkdir "$copy/project"
  git ls-files -z | xargs -0 cp --parents -t "$copy/project"
  (cd "$copy/project" && patch -s -p1 <"$patch" && cd internal/compat && go build -o "$copy/contract" ./contract)
  echo "== $name"
  if (cd internal/compat && "$copy/checker" -contract "$copy/contract" -for "$for" -seed "$seed") >"$copy/out" 2>&1; then
    echo "the checker finds nothing"
    missed=1
  elif ! grep "^BROKEN $rule" "$copy/out"; then
    echo "the checker finds something else:"
    grep -E "^(BROKEN|chaos:)" "$copy/out" || tail -20 "$copy/out"
    missed=1
  fi
done
exit $missed
