#!/usr/bin/env python3
"""Makes golden files with old releases of HBase. Usage: make_golden_old.py OUT_DIR [LINE...]"""

import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # keeps the source tree clean
import make_golden
from golden import HB, HERE, TYPE_CODES, sha256, show

HB_OLD = os.path.join(HERE, "old", "hb-old")
VERSIONS = {"3.0": "3.0.0-alpha-4", "2.4": "2.4.18", "1.7": "1.7.2", "1.4": "1.4.14",
            "0.98": "0.98.24-hadoop2", "0.96": "0.96.2-hadoop2", "0.94": "0.94.27"}
NAMES = {v: k for k, v in TYPE_CODES.items()}
V3 = "-Dhfile.format.version=3"
CHECKED = "-Dhbase.regionserver.checksum.verify=true"
SMALL_INDEX = "-Dhfile.index.block.max.size=400"
SMALL_BLOOM = "-Dio.storefile.bloom.block.size=256"


def serialized(c, tags):
    """Returns a cell as in an unencoded block, without mvcc; with a tag area only if it has tags."""
    key = (struct.pack(">H", len(c["row"])) + c["row"] + bytes([len(c["family"])]) + c["family"]
           + c["qualifier"] + struct.pack(">qB", c["timestamp"], TYPE_CODES[c["type"]]))
    out = struct.pack(">ii", len(key), len(c["value"])) + key + c["value"]
    area = b"".join(struct.pack(">HB", len(v) + 1, t) + v for t, v in c["tags"]) if tags else b""
    return out + (struct.pack(">H", len(area)) + area if area else b"")


def parse(line, mvcc):
    """Parses a line of a dump."""
    raw, seq = line.rstrip("\n").split("\t")
    b = bytes.fromhex(raw)
    klen, vlen = struct.unpack_from(">ii", b)
    key, value, rest = b[8:8 + klen], b[8 + klen:8 + klen + vlen], b[8 + klen + vlen:]
    rlen = struct.unpack_from(">H", key)[0]
    flen = key[2 + rlen]
    ts, kind = struct.unpack_from(">qB", key, klen - 9)
    o = {"row": show(key[2:2 + rlen]), "family": show(key[3 + rlen:3 + rlen + flen]),
         "qualifier": show(key[3 + rlen + flen:-9]), "timestamp": ts, "type": NAMES[kind],
         "value": show(value)}
    if mvcc:
        o["sequence_id"] = int(seq)
    tags, at = [], 2
    while at < len(rest):
        n = struct.unpack_from(">H", rest, at)[0]
        tags.append({"type": rest[at + 2], "value": show(rest[at + 3:at + 2 + n])})
        at += 2 + n
    if tags:
        o["tags"] = tags
    return o


def plan():
    """Yields (line, name, settings, seed, rows)."""
    every = [("none", "--blocksize=1000 --bloom=ROW --mvcc=1"),
             ("prefix-gz", "--blocksize=2000 --bloom=ROWCOL --encoding=PREFIX --compression=GZ"),
             ("diff", "--blocksize=1000 --encoding=DIFF --mvcc=1 " + SMALL_BLOOM + " --bloom=ROW"),
             ("fast_diff-index", "--blocksize=300 --encoding=FAST_DIFF " + SMALL_INDEX),
             ("none-index", "--blocksize=300 --mvcc=1 --bloom=ROW " + SMALL_INDEX)]
    tagged = [("tags", "--tags=1 --mvcc=1 --blocksize=1000"),
              ("tags-prefix", "--tags=1 --compress-tags=1 --encoding=PREFIX --blocksize=1000")]
    seed = 1000
    for line in VERSIONS:
        for name, settings in every:
            seed += 1
            yield line, name, settings, seed, 150
        extra = []
        if line in ("1.4", "1.7", "2.4", "3.0"):
            extra += tagged + [("row_index", "--encoding=ROW_INDEX_V1 --blocksize=700 --mvcc=1")]
        if line in ("2.4", "3.0"):
            extra += [("rowprefix", "--bloom=ROWPREFIX_FIXED_LENGTH "
                       "-DRowPrefixBloomFilter.prefix_length=6 --blocksize=1000")]
        if line in ("1.4", "1.7"):
            extra += [("prefix_tree-refused", "--encoding=PREFIX_TREE --blocksize=1000")]
        if line == "0.98":
            extra += [(n + "-v3", s + " " + V3) for n, s in every[:3] + tagged]
        if line == "0.94":
            extra += [(n + "-checked", s + " " + CHECKED) for n, s in every]
        for name, settings in extra:
            seed += 1
            yield line, name, settings, seed, 150


def make(item, out, work, entries):
    line, name, settings, seed, rows = item
    args = settings.split()
    tags, mvcc = "--tags=1" in args, "--mvcc=1" in args
    cells = [c for _, c in sorted(make_golden.table(seed, rows), key=lambda p: p[0])]
    if line == "0.94":
        cells = [c for c in cells if c["type"] != "DeleteFamilyVersion"]
    tsv = os.path.join(work, "cells.tsv")
    with open(tsv, "w") as f:
        for c in cells:
            f.write("%s\t%d\n" % (serialized(c, tags).hex(), c["sequence_id"] if mvcc else 0))
    base = os.path.join(out, "%s-%s" % (line, name))
    subprocess.run([HB_OLD, line, "write", tsv, base + ".hfile"] + args, check=True,
                   stderr=subprocess.DEVNULL)
    dump = subprocess.run([HB_OLD, line, "dump", base + ".hfile"] + args, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    got = [parse(l, mvcc) for l in dump.splitlines()]
    with gzip.GzipFile(base + ".cells.jsonl.gz", "wb", mtime=0) as f:
        for c in got:
            f.write((json.dumps(c, separators=(",", ":")) + "\n").encode())
    entries.append({"file": os.path.basename(base) + ".hfile", "hbase": VERSIONS[line],
                    "for": "file of an older line", "made": " ".join(["hb-old", line, "write"] + args),
                    "cells": len(got), "complete": len(got) == len(cells),
                    "size": os.path.getsize(base + ".hfile"), "sha256": sha256(base + ".hfile")})


def inspect_all(out, entries):
    """Inspects the files with HBase 2.6.4, which refuses some."""
    for e in entries:
        base = os.path.join(out, e["file"][:-6])
        done = subprocess.run([HB, "inspect", base + ".hfile", "--to", base + ".inspect.json"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        e["read_by_2.6.4"] = done.returncode == 0
        if done.returncode and os.path.exists(base + ".inspect.json"):
            os.remove(base + ".inspect.json")


def run(items, out, note):
    os.makedirs(out, exist_ok=True)
    entries, failed = [], 0
    with tempfile.TemporaryDirectory() as work:
        for item in items:
            try:
                make(item, os.path.abspath(out), work, entries)
            except (subprocess.CalledProcessError, ValueError, struct.error) as e:
                print("FAILED", item, e)
                failed += 1
    inspect_all(os.path.abspath(out), entries)
    with open(os.path.join(out, "manifest.json"), "w") as f:
        json.dump({"note": note, "files": entries}, f, indent=1)
        f.write("\n")
    return failed


def main(argv):
    if not argv or argv[0].startswith("-"):
        print(__doc__)
        return 2
    items = [i for i in plan() if len(argv) == 1 or i[0] in argv[1:]]
    return 1 if run(items, argv[0], "Made by interop/hfile/make_golden_old.py.") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
