#!/bin/sh
# Breaks the worker on purpose, one promise at a time, and demands that a run of chaos objects.
#
#   tests/chaos/mutants.sh [ARGUMENT OF CHAOS...]
#
# Each patch in mutations/ begins with a sentence that says what it breaks. They are applied to a copy,
# one after the other; the first build takes minutes.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || set -- --seed 1 --accounts 24 --workers 2 --rate 4 --faults freeze-worker,kill-worker,kill-redis
: "${TDFLEET_TDLIB_LIBRARY:=$root/.tdlib/libtdjson.so.1.8.61}"
export TDFLEET_TDLIB_LIBRARY
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/mutants
export CARGO_TARGET_DIR

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# What a run keeps goes with the copy.
mkdir "$copy/kept"
export TMPDIR="$copy/kept"
cd "$root"
# With new times, so that nothing of an earlier mutant is taken for built.
git ls-files -z | xargs -0 cp --parents -t "$copy"
cd "$copy"

missed=0
for mutation in "$root"/tests/chaos/mutations/*.patch; do
    name=$(basename "$mutation" .patch)
    echo "mutants: $name: $(head -n 1 "$mutation")"
    patch --quiet -p1 < "$mutation"
    cargo bench --quiet --profile dev --locked -p tdfleet --all-features --bench chaos --no-run
    if .ci/alone cargo bench --quiet --profile dev --offline --locked -p tdfleet --all-features \
        --bench chaos -- "$@" > "$copy/said" 2>&1; then
        echo "mutants: $name: nobody objected"
        missed=1
    else
        grep '^violation: ' "$copy/said" | sed -n "1,3s/^/mutants: $name: /p"
        grep -q '^violation: ' "$copy/said" || { cat "$copy/said"; missed=1; }
    fi
    patch --quiet -R -p1 < "$mutation"
done
exit $missed
