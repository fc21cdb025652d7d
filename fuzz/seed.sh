#!/bin/sh
# Fills FOLDER/TARGET (without an argument: fuzz/corpus/TARGET) with seeds cut out of testdata:
#
#   fuzz/seed.sh [FOLDER]
#   cargo +nightly fuzz run TARGET -- -max_total_time=60
set -eu
exec cargo run --quiet --manifest-path "$(dirname "$0")/Cargo.toml" --example seed -- "$@"
