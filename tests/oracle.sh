#!/usr/bin/env bash
# Asks HBase for the result of every seek and for every block header of the golden files in a folder.
# tests/seeks.rs compares with the answers (OUT/seek/NAME.jsonl.gz, OUT/blocks/NAME.json.gz).
#
# usage: HBASE_ORACLE=DIR tests/oracle.sh GOLDENS OUT [CELLS]
#   HBASE_ORACLE  the folder of the oracle's program hb; it needs a JVM and Maven
#   GOLDENS       a folder of HFiles with their cells and a manifest.json
#   OUT           the folder for the answers
#   CELLS         the number of cells of a file, evenly spread, for which keys are made (1500)
set -euo pipefail
if [ $# -lt 2 ] || [ -z "${HBASE_ORACLE:-}" ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$2"
absolute() { (cd "$1" && pwd); }
HBASE_ORACLE=$(absolute "$HBASE_ORACLE")
HREGION_GOLDEN=$(absolute "$1")
HREGION_EXPECT=$(absolute "$2")
export HBASE_ORACLE HREGION_GOLDEN HREGION_EXPECT HREGION_SEEK_CELLS=${3:-1500}
cd "$(dirname "$0")/.."
exec cargo test --quiet --all-features --test oracle -- --ignored --nocapture
