#!/usr/bin/env bash
# Measures hregion's HFile reader against HBase's and hudi-core's, in one interleaved run:
#
#   benches/measure/run.sh HARNESS [--n ROWS] [--passes N] ...
#
# With other `--parts`, also measures its regions and its writer against HBase's and other engines':
#
#   benches/measure/run.sh HARNESS --debian --features rocksdb7,fjall,redb,lmdb,hregion \
#     --parts writes,runs5,hot,wide,versions
#
# HARNESS is the folder of the measuring harness (with `hbase/`, `peers/` and `run`). The script patches a
# copy of it and leaves the original unchanged. Further arguments are passed to the harness's `run`. Needs
# JDK 17, Maven, Rust, Python 3.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
harness=$(cd "${1:?folder of the harness}" && pwd)
shift
copy=${HREGION_MEASURE_DIR:-${TMPDIR:-/tmp}/hregion-measure}
mkdir -p "$copy"
cp -r "$harness/." "$copy/"
chmod -R u+w "$copy"

# replaces the harness's own file, which is older than the crate
cp "$root/benches/measure/hregion.rs" "$copy/peers/src/engines/hregion.rs"
(cd "$copy/peers" && HREGION_PATH="$root" ./hregion-on)
cargo info hudi-core@0.5.0 >/dev/null 2>&1 || true # fetches the source of hudi-core's reader

export HBASE_TARGET=${HBASE_TARGET:-$copy/target-hbase}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$copy/target-peers}
exec "$copy/run" --quick --parts hfile --features hudi,hregion "$@"
