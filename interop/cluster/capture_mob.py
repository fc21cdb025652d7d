#!/usr/bin/env python3
"""Captures a table with large values in MOB files, as written and read by HBase.

    capture_mob.py --out DIR [--root DIR]

DIR gets a folder for each stage, as capture.py makes them: `root/`, `regions.jsonl`, `cells/`; and
`scans.jsonl`, scans with HBase's answers. Names and times differ from run to run.
"""

import argparse
import json
import shutil
from pathlib import Path

from capture import Capture, Cluster

TABLE, CLONE = "mob", "copy"
PARAMS = {"seed": 7, "row": "row-{:03}", "qualifier": "q", "value_alphabet": "abcdefghij0123456789"}
FAMILIES = [
    # Values of more than 40 bytes are large.
    {"name": "m", "IS_MOB": "true", "MOB_THRESHOLD": "40", "VERSIONS": "3", "DATA_BLOCK_ENCODING": "FAST_DIFF"},
    {"name": "n", "IS_MOB": "true", "MOB_THRESHOLD": "0", "COMPRESSION": "GZ"},
    {"name": "p", "VERSIONS": "2"},
]
SCANS = [
    {},
    {"versions": 5},
    {"raw": True},
    {"reversed": True, "versions": 5},
    {"columns": ["m:q1"], "versions": 2},
    {"start": "row-003", "stop": "row-007", "versions": 5},
    {"time_range": [1000, 1002], "versions": 5},
    {"filter": "KeyOnlyFilter()"},
    # In place of a large value, a filter gets the store file's cell.
    {"filter": "ValueFilter(=, 'substring:a')", "versions": 5},
    {"filter": "ValueFilter(>, 'binary:\\x00\\x00\\x00\\x01')", "versions": 5},
    {"filter": "SingleColumnValueFilter('m', 'q1', =, 'substring:a', true, true)"},
    {"filter": "FirstKeyOnlyFilter()"},
    {"filter": "ColumnPaginationFilter(2, 1)"},
]


class MobCapture(Capture):
    def large(self, every, ts):
        """Returns puts of values on both sides of the thresholds."""
        sizes = [0, 1, 39, 40, 41, 60, 300]
        return [
            {"row": self.row(i), "family": f, "qualifier": f"q{q}", "timestamp": ts + q,
             "value": self.value(sizes[(i * 3 + q + ts) % len(sizes)])}
            for i in range(0, 12, every) for f in "mnp" for q in range(3)
        ]

    def stage(self, c, name, tables, what):
        super().stage(c, name, tables, what)
        at = f"tables/{name}/root"
        mob = [f"{top}/data/default/{t}" for t in (TABLE, CLONE) for top in ("mobdir", "archive")]
        self.copy([*mob, ".hbase-snapshot"], at)
        rows = []
        for table in tables:
            for scan in SCANS:
                rows.append({"table": table, "scan": scan, "cells": c("scan", table=table, **scan)})
        self.json_lines(f"tables/{name}/scans.jsonl", rows)

    def run(self):
        k = Cluster(self.root)
        c = k.client
        c("balancer_switch", on=False)
        c("catalog_janitor", on=False)
        c("compaction_switch", on=False)
        c("create", table=TABLE, families=FAMILIES, splits=["row-006"])
        c("mutate", table=TABLE, cells=self.large(1, 1000))
        c("flush", table=TABLE)
        c("mutate", table=TABLE, cells=self.large(2, 2000))
        c("mutate", table=TABLE, cells=self.deletes(["m", "n"], range(0, 12, 3), 1000))
        c("mutate", table=TABLE, ttl=10**11, cells=[
            {"row": "row-005", "family": "m", "qualifier": "q9", "timestamp": 3000, "value": self.value(99)}])
        c("mutate", table=TABLE, cells=[
            {"row": "row-\\x00\\xFF", "family": "m", "qualifier": "", "timestamp": 3000, "value": self.value(77)}])
        c("flush", table=TABLE)
        self.stage(c, "mob-flushed", [TABLE], "two flushes of a table with MOB families")
        c("snapshot", table=TABLE, name="shot")
        c("clone_snapshot", table=CLONE, name="shot")
        c("mutate", table=CLONE, cells=self.large(4, 4000))
        c("flush", table=CLONE)
        # The clone's cells lead to files of the first table, which are in the archive after its removal.
        c("drop", table=TABLE)
        self.stage(c, "mob-cloned", [CLONE], "a clone of a snapshot, after the table was dropped")
        c("compaction_switch", on=True)
        c("compact", table=CLONE, major=True)
        self.stage(c, "mob-compacted", [CLONE], "the same after a major compaction")
        k.end("stop")
        self.json_lines("manifest.jsonl", self.made)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--root", type=Path, default=Path("/tmp/hbase-mob"))
    args = args.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    MobCapture(PARAMS, args.out.resolve(), args.root).run()


if __name__ == "__main__":
    main()
