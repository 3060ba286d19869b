#!/usr/bin/env bash
# Feeds readers with anything, led by what of the code an input reaches (libFuzzer, on stable Rust):
#
#     fuzz/run.sh SECONDS [TARGET…]      each target, or those that are named, for so many seconds
#
# Needs a C++ compiler. Builds into target/fuzz; what was learned stays in target/fuzz/corpus, and an
# input that breaks a reader is put into target/fuzz/found: make it a test, and mend the reader. Adds
# commit, target, inputs and verdict to target/fuzz/counts.csv. FEATURES=libfuzzer,engine adds state
# and weights, which need the tensor engine and a long build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET…]}
shift
place=${CARGO_TARGET_DIR:-target}/fuzz
commit=$(git rev-parse --short HEAD)
host=$(rustc -vV | sed -n 's/^host: //p')

cargo build --release -p pemm-fuzz --bin pemm-fuzz-seeds --no-default-features \
    --features "$(sed 's/libfuzzer,\?//' <<<"${FEATURES:-}")"
# The target is named so that build scripts, which know no fuzzer, are built without these.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --release -p pemm-fuzz --bin pemm-fuzz --no-default-features \
    --features "${FEATURES:-libfuzzer}" --target "$host" --target-dir "$place"

names=$("${CARGO_TARGET_DIR:-target}/release/pemm-fuzz-seeds" "$place/seeds")
[ $# -gt 0 ] && names=$*
# Inputs are written as files, thousands a second.
[ -d /dev/shm ] && export TMPDIR=/dev/shm
status=0
mkdir -p "$place/found"
for name in $names; do
    mkdir -p "$place/corpus/$name"
    log=$place/found/$name.log
    # The target's limit of memory is set in main.rs.
    if PEMM_FUZZ=$name "$place/$host/release/pemm-fuzz" "$place/corpus/$name" "$place/seeds/$name" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -max_len=8192 \
        -artifact_prefix="$place/found/$name-" -print_final_stats=1 >"$log" 2>&1; then
        verdict=sound
    else
        verdict="BROKEN, see $log"
        status=1
    fi
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-14s %10s inputs  %s\n' "$name" "${count:-?}" "$verdict"
    printf '%s,%s,%s,%s\n' "$commit" "$name" "${count:-0}" "${verdict%%,*}" >>"$place/counts.csv"
done
exit $status
