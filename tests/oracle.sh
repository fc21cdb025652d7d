#!/usr/bin/env bash
# Asks HBase for the result of every seek and for every block header of the golden files in a folder.
# tests/suite/seeks.rs compares with the answers (OUT/seek/NAME.jsonl.gz, OUT/blocks/NAME.json.gz).
#
# usage: tests/oracle.sh GOLDENS OUT [CELLS]
#   GOLDENS   a folder of HFiles with their cells and a manifest.json
#   OUT       the folder for the answers
#   CELLS     the number of cells of a file, evenly spread, for which keys are made (1500)
# It needs Java and Maven, for interop/hfile/hb.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$2"
absolute() { (cd "$1" && pwd); }
HREGION_GOLDEN=$(absolute "$1")
HREGION_EXPECT=$(absolute "$2")
export HREGION_GOLDEN HREGION_EXPECT HREGION_SEEK_CELLS=${3:-1500}
cd "$(dirname "$0")/.."
exec cargo test --workspace --all-features --test suite -- --ignored --nocapture oracle::
