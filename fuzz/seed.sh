#!/bin/sh
# Fills FOLDER/TARGET (without an argument: fuzz/corpus/TARGET) with seeds extracted from testdata:
#
#   fuzz/seed.sh [FOLDER]
#   cargo +nightly fuzz run TARGET -- -max_total_time=60
set -eu
fuzz=$(cd "$(dirname "$0")" && pwd)
HREGION_SEEDS=${1:-$fuzz/corpus}
mkdir -p "$HREGION_SEEDS"
HREGION_SEEDS=$(cd "$HREGION_SEEDS" && pwd)
export HREGION_SEEDS
cd "$fuzz/.."
exec cargo test --workspace --all-features --test tool -- --ignored --nocapture seeds_are_written
