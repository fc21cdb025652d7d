#!/usr/bin/env python3
"""Checks a set of golden files made by capture.py: verify.py DIR [--online]

HBase must read from every table directory of DIR/tables the same cells that the client had read. check-region
opens the regions without a cluster, which is faster, or with --online in one. wal.py must find in every
WAL the entries that HBase found. Recovery must have lost only cells that were never logged. Compressed
values need the modules cramjam, lz4 and zstandard; logs that need a missing one are listed and skipped.
"""

import json
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # keeps the source tree clean
import wal

HERE = Path(__file__).resolve().parent


def cells(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def frozen(rows):
    return sorted(json.dumps(r, sort_keys=True) for r in rows)


def table(stage, directory, online):
    """Returns the cells that HBase reads from a copy of a table directory with a raw scan."""
    argv = [HERE / "check-region", directory, "--beside", stage / "root"]
    argv += [] if online else ["--offline"]
    out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300)
    got = [json.loads(line) for line in out.stdout.splitlines()]
    bad = [r for r in got if "error" in r]
    if bad:
        print(bad[0])
    rows = [r for r in got if "row" in r and "plain" not in r]
    for r in rows:
        r.pop("sequence", None)
    return rows


def tables(root, online):
    wrong = 0
    for stage in sorted((root / "tables").iterdir()):
        regions = cells(stage / "regions.jsonl")
        for name in sorted({r["table"] for r in regions}):
            ns, _, q = name.rpartition(":")
            want = []
            for r in regions:
                if r["table"] == name:
                    want += cells(stage / "cells" / f"{r['encoded']}.raw.jsonl")
            got = table(stage, stage / "root/data" / (ns or "default") / q, online)
            # A client's scan has no tags.
            for r in got:
                r.pop("tags", None)
            same = frozen(got) == frozen(want)
            wrong += not same
            print(f"{'ok ' if same else 'BAD'} {stage.name} {name}: {len(got)} of {len(want)} cells")
    return wrong


def logs(root):
    wrong = 0
    for variant in sorted((root / "wal").iterdir()):
        pairs = [(p, variant / "read") for p in (variant / "crashed/WALs").rglob("*")]
        pairs += [(p, variant / "torn-read") for p in (variant / "torn").iterdir()]
        pairs += [(p, variant / "split-read" / p.parent.parent.name)
                  for p in (variant / "split").rglob("recovered.edits/*") if p.name.isdigit()]
        seen = 0
        for path, answers in pairs:
            if path.is_file():
                try:
                    fault = wal.differs(path, answers / f"{path.name}.jsonl")
                except ImportError as e:
                    print(f"--- {path.name} not read: {e}")
                    continue
                seen += 1
                if fault:
                    wrong += 1
                    print(f"BAD {path}: {fault[:300]}")
        before = frozen(cells(variant / "before-crash.jsonl"))
        after = []
        for p in (variant / "recovered/cells").glob("*.raw.jsonl"):
            after += cells(p)
        lost = sorted(set(before) - set(frozen(after)))
        gained = sorted(set(frozen(after)) - set(before))
        fine = len(lost) == 1 and '"unlogged"' in lost[0] and not gained
        wrong += not fine
        print(f"{'ok ' if fine else 'BAD'} wal {variant.name}: {seen} files read; "
              f"{len(lost)} cells lost, {len(gained)} gained by the crash")
    return wrong


def main():
    root = Path(sys.argv[1])
    sys.exit(bool(logs(root) + tables(root, "--online" in sys.argv)))


if __name__ == "__main__":
    main()
