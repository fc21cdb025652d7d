"""Makes golden files: HFiles, dumps and a manifest from lists of cells and settings.

A plan is a list of Item. run() writes every item's cells to a work folder, lets `hb batch` write
the HFile, dump it and inspect it, compares the dump with the cells that went in, and writes
manifest.json.
"""

import gzip
import hashlib
import json
import os
import random
import shlex
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
HB = os.path.join(HERE, "hb")
TYPE_CODES = {"Put": 4, "Delete": 8, "DeleteFamilyVersion": 10, "DeleteColumn": 12,
              "DeleteFamily": 14}


def show(b):
    """Returns the form of HBase's Bytes.toStringBinary."""
    return "".join(chr(c) if 32 <= c <= 126 and c != 92 else "\\x%02X" % c for c in b)


def cell(row, family, qualifier, ts, kind="Put", value=b"", seq=0, tags=()):
    """Returns a cell with its sort key (cell comparator, mvcc descending)."""
    key = (row, family, qualifier, -ts, -TYPE_CODES[kind], -seq)
    return key, dict(row=row, family=family, qualifier=qualifier, timestamp=ts, type=kind,
                     value=value, sequence_id=seq, tags=list(tags))


def to_json(c, mvcc, tags):
    o = {"row": show(c["row"]), "family": show(c["family"]), "qualifier": show(c["qualifier"]),
         "timestamp": c["timestamp"], "type": c["type"], "value": show(c["value"])}
    if mvcc:
        o["sequence_id"] = c["sequence_id"]
    if tags and c["tags"]:
        o["tags"] = [{"type": t, "value": show(v)} for t, v in c["tags"]]
    return o


class Item:
    """One golden file. `cells` is a list of (sort key, cell); `args` are settings of `hb write`."""

    def __init__(self, name, purpose, cells, args, sort=True):
        self.name, self.purpose, self.args = name, purpose, list(args)
        self.cells = [c for _, c in (sorted(cells, key=lambda p: p[0]) if sort else cells)]
        self.meta = "meta" in self.args

    def lines(self, mvcc, tags):
        return [json.dumps(to_json(c, mvcc, tags), separators=(",", ":")) for c in self.cells]


def through_region(name, purpose, cells, args, out, version):
    """Makes files by flushes and compactions of a region. Their bytes differ from run to run (times)."""
    out = os.path.abspath(out)
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "cells.jsonl")
        with open(path, "w") as f:
            for _, c in cells:
                f.write(json.dumps(to_json(c, False, True)) + "\n")
        subprocess.run([HB, "region", "--root", os.path.join(work, "root"), "--out",
                        os.path.join(out, name), "--cells", path] + args, check=True,
                       stdout=subprocess.DEVNULL)
    entries = []
    for step in ("flush1", "flush2", "flush3", "minor", "major"):
        base = os.path.join(out, "%s-%s" % (name, step))
        subprocess.run([HB, "dump", base + ".hfile", "--to", base + ".cells.jsonl.gz"], check=True)
        subprocess.run([HB, "inspect", base + ".hfile", "--to", base + ".inspect.json"], check=True)
        with gzip.open(base + ".cells.jsonl.gz", "rt") as f:
            count = len(f.readlines())
        entries.append({"file": os.path.basename(base) + ".hfile", "for": purpose + ": " + step,
                        "hbase": version, "made": shlex.join(["hb", "region"] + args),
                        "cells": count, "size": os.path.getsize(base + ".hfile"),
                        "sha256": sha256(base + ".hfile")})
    with open(os.path.join(out, "manifest.json")) as f:
        manifest = json.load(f)
    manifest["files"] = [e for e in manifest["files"] if not e["file"].startswith(name + "-")]
    manifest["files"] += entries
    with open(os.path.join(out, "manifest.json"), "w") as f:
        json.dump(manifest, f, indent=1)
        f.write("\n")


def shuffled(cells, seed):
    cells = list(cells)
    random.Random(seed).shuffle(cells)
    return cells


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for part in iter(lambda: f.read(1 << 20), b""):
            h.update(part)
    return h.hexdigest()


def canonical(line):
    return json.dumps(json.loads(line), separators=(",", ":"))


READ_OPTIONS = ("--master-key", "--zstd-dictionary", "--conf")


def read_args(args):
    """Returns the settings that a reader also needs."""
    out = []
    for i, a in enumerate(args):
        if a in READ_OPTIONS:
            out += [a, args[i + 1]]
    return out


def run(items, out, version, note=""):
    """Makes every file of the plan in the folder `out`; returns the number of failures."""
    out = os.path.abspath(out)
    os.makedirs(out, exist_ok=True)
    failures = 0
    entries = []
    with tempfile.TemporaryDirectory() as work:
        plan = os.path.join(work, "plan.jsonl")
        with open(plan, "w") as p:
            for it in items:
                cells = os.path.join(work, it.name + ".jsonl")
                with open(cells, "w") as f:
                    f.write("\n".join(it.lines("--mvcc" in it.args, "--tags" in it.args)))
                hfile = os.path.join(out, it.name + ".hfile")
                write = ["write", "--out", hfile, "--cells", cells] + it.args
                if it.meta:
                    write.append("--sort")
                base = os.path.join(out, it.name)
                for line in (write,
                             ["dump", hfile, "--to", base + ".cells.jsonl.gz"] + read_args(it.args),
                             ["inspect", hfile, "--to", base + ".inspect.json"] + read_args(it.args)):
                    p.write(json.dumps(line) + "\n")
        subprocess.run([HB, "batch", plan], check=False, cwd=out)
        for it in items:
            base = os.path.join(out, it.name)
            if not os.path.exists(base + ".inspect.json"):
                print("FAILED", it.name)
                for suffix in (".hfile", ".cells.jsonl.gz"):
                    if os.path.exists(base + suffix):
                        os.remove(base + suffix)
                failures += 1
                continue
            with gzip.open(base + ".cells.jsonl.gz", "rt") as f:
                got = [canonical(l) for l in f]
            want = it.lines("--mvcc" in it.args, "--tags" in it.args)
            if it.meta:
                got, want = sorted(got), sorted(want)
            if got != want:
                print("DIFFERS", it.name, len(got), len(want))
                failures += 1
            entries.append({
                "file": it.name + ".hfile", "for": it.purpose, "hbase": version,
                "made": shlex.join(["hb", "write"] + it.args),
                "cells": len(got), "size": os.path.getsize(base + ".hfile"),
                "sha256": sha256(base + ".hfile")})
    with open(os.path.join(out, "manifest.json"), "w") as f:
        json.dump({"note": note, "files": entries}, f, indent=1)
        f.write("\n")
    return failures
