#!/usr/bin/env bash
# Shows that the checker of internal/compat/chaos sees faults: it applies each patch of its
# testdata to a copy of the project, and runs the checker on that. The name of a patch
# begins with the promise that the checker must find broken. Some faults need luck, such as a
# leader that is killed at the right moment, so it has TRIES rounds. MUTANT chooses a patch.
set -euo pipefail
cd "$(dirname "$0")/.."

for=${FOR:-90s}
seed=${SEED:-1}
tries=${TRIES:-8}
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
  found=0
  for ((try = 0; try < tries && !found; try++)); do
    (cd internal/compat && "$copy/checker" -contract "$copy/contract" -for "$for" -seed $((seed + try))) >"$copy/out" 2>&1 || true
    if grep "^BROKEN $rule" "$copy/out"; then
      found=1
    else
      echo "round $((try + 1)) shows nothing of it"
      grep -E "^(BROKEN|chaos:)" "$copy/out" || true
    fi
  done
  ((found)) || missed=1
done
exit $missed
