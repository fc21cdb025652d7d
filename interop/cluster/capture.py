#!/usr/bin/env python3
"""Captures golden files from a running HBase: table directories, catalog, znodes, RPC, WALs.

    capture.py --params FILE --out DIR [--root DIR] [--only tables,wal-plain,...]

FILE (params.json) defines tables, rows and settings. The same file gives the same operations, but HBase's
names, times and ports differ from run to run. DIR/manifest.json lists the results, and how they were made.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """An error of HBase's client."""


class Client:
    """One hb-client process."""

    def __init__(self, root, record=None, settings=()):
        argv = [HERE / "hb-client", "--ready", root / "ready.json"]
        if record:
            argv += ["--record", record]
        for s in settings:
            argv += ["-D", s]
        self.log = open(root / "client.log", "a")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )

    def answer(self, op, **args):
        """Returns the answer, which may be an error."""
        print(json.dumps({"op": op, **args}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"client died at {op}")
        return json.loads(line)

    def __call__(self, op, **args):
        got = self.answer(op, **args)
        if "error" in got:
            raise Failed(f"{op} {args}: {got['error']}")
        return got["ok"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.log.close()


class Cluster:
    """One hb-cluster process and a client for it."""

    def __init__(self, root, fresh=True, servers=1, hold=False, settings=()):
        self.root = root
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
        argv = [HERE / "hb-cluster", "start", "--root", root, "--servers", str(servers)]
        argv += ["--hold"] if hold else []
        for s in settings:
            argv += ["-D", s]
        self.about = json.loads(subprocess.check_output(argv, timeout=120))
        self.client = Client(root)

    def end(self, how):
        self.client.close()
        subprocess.run([HERE / "hb-cluster", how, "--root", self.root], check=True, timeout=120)

    def hold(self, on):
        (self.root / "hold").touch() if on else (self.root / "hold").unlink()


def shorten(variant, log):
    """Removes the entries that are also in the reading of the undamaged log from torn-read."""
    whole = (variant / "read" / f"{log}.jsonl").read_text().splitlines()
    entries = [line for line in whole if '"cells"' in line]
    for path in (variant / "torn-read").iterdir():
        lines = path.read_text().splitlines()
        last = json.loads(lines[-1])
        if lines[1:-1] and lines[1:-1] == entries[: last["entries"]]:
            path.write_text(f"{lines[0]}\n{json.dumps({**last, 'entries_as': log})}\n")


class Capture:
    def __init__(self, params, out, root):
        self.p = params
        self.out = out
        self.root = root
        self.random = random.Random(params["seed"])
        self.made = []

    # ------------------------------------------------------------ helpers

    def note(self, path, text, **more):
        self.made.append({"path": path, "what": text, **more})

    def json_lines(self, path, rows):
        path = self.out / path
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as f:
            for r in rows:
                f.write(json.dumps(r) + "\n")

    def copy(self, what, to):
        """Copies paths below the root directory of HBase to the same relative paths."""
        for w in what:
            src = self.root / "hbase" / w
            if src.exists():
                dst = self.out / to / w
                dst.parent.mkdir(parents=True, exist_ok=True)
                if src.is_dir():
                    shutil.copytree(src, dst, dirs_exist_ok=True)
                else:
                    shutil.copy(src, dst)

    @staticmethod
    def home(table):
        ns, _, q = table.rpartition(":")
        return f"data/{ns or 'default'}/{q}"

    def stage(self, c, name, tables, what, extra=()):
        """Copies directories and dumps cells of tables, whose memstores must be empty."""
        at = f"tables/{name}"
        regions = {}
        for t in tables:
            d = self.home(t)
            self.copy([d, f"archive/{d}"], f"{at}/root")
            regions[t] = c("dump", table=t, out=str(self.out / at / "cells"))
        self.copy(extra, f"{at}/root")
        self.json_lines(f"{at}/regions.jsonl", [r for t in tables for r in regions[t]])
        self.note(at, what, tables=tables)

    def meta(self, c, name, what):
        self.json_lines(f"meta/{name}.jsonl", c("meta", versions=3))
        self.note(f"meta/{name}.jsonl", what)

    def row(self, i):
        return self.p["row"].format(i)

    def value(self, n=None):
        n = self.random.randint(0, 60) if n is None else n
        return "".join(self.random.choice(self.p["value_alphabet"]) for _ in range(n))

    def cells(self, families, rows, ts, qualifiers=3, every=1):
        """Returns puts for a range of rows, with known timestamps."""
        return [
            {"row": self.row(i), "family": f, "qualifier": f"{self.p['qualifier']}{q}",
             "timestamp": ts + q, "value": self.value()}
            for i in range(rows[0], rows[1], every) for f in families for q in range(qualifiers)
        ]

    def deletes(self, families, rows, ts):
        """Returns delete markers, of each kind in turn."""
        kinds = ["Delete", "DeleteColumn", "DeleteFamily", "DeleteFamilyVersion"]
        got = []
        for n, i in enumerate(rows):
            kind = kinds[n % 4]
            c = {"row": self.row(i), "family": families[n % len(families)], "type": kind,
                 "timestamp": ts + n % 3}
            if "Column" in kind or kind == "Delete":
                c["qualifier"] = f"{self.p['qualifier']}{n % 3}"
            got.append(c)
        return got

    # ------------------------------------------------------------ tables, meta, znodes, RPC

    def tables(self):
        k = Cluster(self.root, servers=2)
        c = k.client
        c("balancer_switch", on=False)
        c("catalog_janitor", on=False)
        c("compaction_switch", on=False)
        t = self.p["tables"]
        self.meta(c, "00-empty", "a fresh cluster: only hbase:namespace")

        for ns in sorted({n.split(":")[0] for n in t.values() if ":" in n}):
            c("create_namespace", namespace=ns)

        # Families of every kind.
        fams = self.p["families"]
        names = [f["name"] for f in fams]
        c("create", table=t["kinds"], families=fams, splits=self.p["splits"]["kinds"],
          attributes=self.p.get("attributes", {}))
        n = self.p["rows"]
        c("mutate", table=t["kinds"], cells=self.cells(names, (0, n), 1000))
        c("flush", table=t["kinds"])
        c("mutate", table=t["kinds"], cells=self.cells(names, (0, n), 2000, every=3))
        c("mutate", table=t["kinds"], cells=self.deletes(names, range(0, n, 5), 1000))
        c("mutate", table=t["kinds"], cells=self.cells(names[:1], (n, n + 9), 3000), ttl=10**11)
        c("flush", table=t["kinds"])
        self.stage(c, "kinds-flushed", [t["kinds"]], "two flushes, markers, cell TTL tags")
        self.meta(c, "01-normal", "after creating a pre-split table")
        c("compaction_switch", on=True)
        c("compact", table=t["kinds"], major=False)
        c("mutate", table=t["kinds"], cells=self.cells(names, (0, n), 4000, every=7))
        c("flush", table=t["kinds"])
        c("compact", table=t["kinds"], major=True)
        c("compaction_switch", on=False)
        self.stage(c, "kinds-compacting", [t["kinds"]], "just after a major compaction: the files "
                   "compacted away are still beside their replacement")
        self.discharge()
        self.stage(c, "kinds-compacted", [t["kinds"]], "some seconds later: they are in the "
                   "archive")

        # Split: References before, plain files after compaction.
        s = t["split"]
        c("create", table=s, families=names[:2])
        c("mutate", table=s, cells=self.cells(names[:2], (0, n), 1000))
        c("flush", table=s)
        c("mutate", table=s, cells=self.cells(names[:1], (0, n // 3), 2000))
        c("flush", table=s)
        c("mutate", table=s, cells=self.deletes(names[:2], range(0, n, 4), 1000))
        self.meta(c, "02-before-split", "one region")
        k.hold(True)
        c("split", table=s, row=self.row(n // 2), wait=False)
        self.wait(lambda: any(r["qualifier"] == "state" and r["decoded"] == "OPENING"
                              for r in c("meta") if r["row"].startswith(s + ",")))
        self.meta(c, "03-mid-split", "daughters in the catalog, not open (held)")
        k.hold(False)
        c("wait_assigned", table=s)
        time.sleep(1)
        self.meta(c, "04-after-split", "parent row with splitA and splitB, daughters open")
        self.stage(c, "split-references", [s], "daughters hold References (and HFileLinks for "
                   "files with cells of one side only); the parent's directory still exists")
        c("compaction_switch", on=True)
        c("compact", table=s, major=True)
        c("compaction_switch", on=False)
        self.discharge()
        self.stage(c, "split-compacted", [s], "daughters after a major compaction")

        # Merge.
        m = t["merge"]
        c("create", table=m, families=names[:2], splits=[self.row(n // 4), self.row(n // 2)])
        c("mutate", table=m, cells=self.cells(names[:2], (0, n), 1000))
        c("flush", table=m)
        c("mutate", table=m, cells=self.deletes(names[:2], range(0, n, 6), 1000))
        c("flush", table=m)
        first, second, _ = [r["encoded"] for r in c("regions", table=m)]
        c("merge", regions=[first, second])
        c("wait_assigned", table=m)
        time.sleep(1)
        self.meta(c, "05-after-merge", "merged row with merge0000 and merge0001")
        self.stage(c, "merge-references", [m], "merged region holds References to whole files")

        # Bulk load between two flushes; equal cells differ in sequence id only.
        b = t["bulk"]
        c("create", table=b, families=names[:2])
        c("mutate", table=b, cells=self.cells(names[:2], (0, n // 2), 1000))
        c("flush", table=b)
        load = self.root / "bulk"
        src = self.root / "hbase" / self.home(s)
        for f in names[:2]:
            (load / f).mkdir(parents=True)
        for region in c("regions", table=s):
            for f in names[:2]:
                for hfile in (src / region["encoded"] / f).iterdir():
                    if hfile.is_file() and "." not in hfile.name and "-" not in hfile.name:
                        shutil.copy(hfile, load / f / hfile.name)
        shutil.copytree(load, self.out / "bulkload/input", dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "a+rwX", load], check=True)
        self.note("bulkload/input", "the directory given to the bulk load of bulk-loaded")
        c("bulkload", table=b, dir=str(load))
        c("mutate", table=b, cells=self.cells(names[:2], (n // 3, n), 1000, every=2))
        c("flush", table=b)
        self.stage(c, "bulk-loaded", [b], "flush, bulk load (_SeqId_ files), flush; the cells "
                   "overlap with equal timestamps")

        # FILE tracker, with a split.
        f = t["tracked"]
        c("create", table=f, families=names[:2],
          attributes={"hbase.store.file-tracker.impl": "FILE"})
        c("mutate", table=f, cells=self.cells(names[:2], (0, n), 1000))
        c("flush", table=f)
        c("mutate", table=f, cells=self.cells(names[:2], (0, n), 2000, every=2))
        c("flush", table=f)
        self.stage(c, "tracked-flushed", [f], "FILE store file tracker")
        c("split", table=f, row=self.row(n // 2))
        c("wait_assigned", table=f)
        time.sleep(1)
        self.stage(c, "tracked-split", [f], "FILE store file tracker, References after a split")
        c("compaction_switch", on=True)
        c("compact", table=f, major=True)
        c("compaction_switch", on=False)
        self.discharge()
        self.stage(c, "tracked-compacted", [f], "FILE store file tracker, after compaction")

        # Namespace and binary keys.
        c("create", table=t["binary"], families=names[:1], splits=self.p["splits"]["binary"])
        c("mutate", table=t["binary"],
          cells=[{"row": r, "family": names[0], "qualifier": q, "timestamp": 7, "value": r}
                 for r in self.p["binary_rows"] for q in ["", "q", "\\x00"]])
        c("flush", table=t["binary"])
        self.stage(c, "binary", [t["binary"]], "namespace, start keys with commas, 0x00, 0xff")

        # Snapshots and clones: of a region with References, and of one with plain files, which is
        # then compacted away under its clone; the clone is split.
        first, second = self.p["snapshots"]
        c("snapshot", table=m, name=first)
        c("clone_snapshot", name=first, table=t["clone"])
        self.stage(c, "clone-references", [t["clone"], m], "clone of a region that held "
                   "References: References to HFileLinks", [f".hbase-snapshot/{first}"])
        snap = [f".hbase-snapshot/{second}"]
        c("snapshot", table=s, name=second)
        c("clone_snapshot", name=second, table=t["clone2"])
        self.stage(c, "clone", [t["clone2"], s], "clone of a snapshot: HFileLinks", snap)
        c("mutate", table=s, cells=self.cells(names[:1], (0, n), 9000, every=9))
        c("flush", table=s)
        c("compaction_switch", on=True)
        c("compact", table=s, major=True)
        c("compaction_switch", on=False)
        self.discharge()
        c("split", table=t["clone2"], row=self.row(n // 8))
        c("wait_assigned", table=t["clone2"])
        time.sleep(1)
        self.stage(c, "clone-split", [t["clone2"], s], "the source written to and compacted, the "
                   "files of the snapshot now in the archive; the clone split", snap)

        # Catalog: disabled, dropped.
        c("disable", table=t["binary"])
        self.meta(c, "06-disabled", f"{t['binary']} disabled: info:server stays")
        k.hold(True)
        c("enable", table=t["binary"], wait=False)
        self.wait(lambda: any(r["qualifier"] == "state" and r["decoded"] == "OPENING"
                              for r in c("meta") if r["row"].startswith(t["binary"] + ",")))
        self.meta(c, "07-in-transition", f"{t['binary']} on its way to ENABLED: regions OPENING")
        k.hold(False)
        c("wait_assigned", table=t["binary"])
        time.sleep(1)
        self.locating(k, t, names, n)
        self.rpc(k, t, names, n)
        self.meta(c, "08-end", "at the end, with every version")
        self.json_lines("meta/08-end.raw.jsonl", c("meta", raw=True))
        self.json_lines("znodes/running.jsonl", c("znodes"))
        self.note("znodes/running.jsonl", "every znode of the running cluster")
        c("flush", table="hbase:meta")
        self.copy(["data/hbase/meta"], "meta/root")
        self.json_lines("meta/root.cells.jsonl", c("scan", table="hbase:meta", raw=True))
        self.note("meta/root", "the catalog's own directory after a flush; meta/root.cells.jsonl "
                  "is a raw scan of it")
        k.end("stop")

    @staticmethod
    def discharge():
        time.sleep(11)

    @staticmethod
    def wait(done, seconds=40):
        end = time.time() + seconds
        while not done():
            if time.time() > end:
                raise Failed(f"not reached in {seconds} s")
            time.sleep(0.1)

    def locating(self, k, t, names, n):
        """Records the answers of HBase's two locators while regions split, merge, move and are dropped."""
        quick = ["hbase.client.retries.number=1", "hbase.client.pause=50",
                 "hbase.client.meta.operation.timeout=3000",
                 "hbase.client.operation.timeout=3000"]
        watcher = Client(self.root, settings=quick)
        log = []
        table = t["locate"]

        def do(op, **args):
            log.append({"command": {"op": op, **args}, **k.client.answer(op, **args)})

        def look(rows, tb=table):
            for row in rows:
                for client in ["sync", "async"]:
                    for reload in [False, True]:
                        args = {"table": tb, "row": row, "client": client, "reload": reload}
                        got = watcher.answer("locate", **args)
                        log.append({"command": {"op": "locate", **args}, **got})

        keys = self.p["splits"]["locate"]
        rows = [self.row(1)] + keys + [keys[0] + "\\x00", "\\x00", "\\xFF\\xFF\\xFF"]
        look(rows[:1])
        do("create", table=table, families=names[:1], splits=keys)
        do("mutate", table=table,
           cells=[{"row": r, "family": names[0], "qualifier": "q", "timestamp": 1, "value": r}
                  for r in rows])
        look(rows)
        do("regions", table=table)
        regions = [r["encoded"] for r in k.client("regions", table=table)]
        do("move", region=regions[1])
        look(keys[:1])
        log.append({"command": {"op": "get", "table": table, "row": keys[0]},
                    **watcher.answer("get", table=table, row=keys[0])})
        look(keys[:1])
        do("split", table=table, row=keys[0] + "\\x01")
        do("wait_assigned", table=table)
        look([keys[0], keys[0] + "\\x01", keys[0] + "\\x02"])
        do("merge", regions=regions[-2:])
        do("wait_assigned", table=table)
        look(rows[-1:] + keys[-2:])
        log.append({"command": {"op": "get", "table": table, "row": keys[-1]},
                    **watcher.answer("get", table=table, row=keys[-1])})
        look(keys[-1:])
        k.hold(True)
        do("move", region=regions[0], wait=False)
        time.sleep(2)
        look(["\\x00"])
        log.append({"command": {"op": "get", "table": table, "row": "\\x00"},
                    **watcher.answer("get", table=table, row="\\x00")})
        k.hold(False)
        do("wait_assigned", table=table)
        look(["\\x00"])
        do("disable", table=table)
        look(keys[:1])
        log.append({"command": {"op": "get", "table": table, "row": keys[0]},
                    **watcher.answer("get", table=table, row=keys[0])})
        do("enable", table=table)
        look(keys[:1])
        do("drop", table=table)
        look(keys[:1])
        look(self.p["binary_rows"], t["binary"])
        look(["x"], "hbase:meta")
        watcher.close()
        self.json_lines("locator/script.jsonl", log)
        self.note("locator/script.jsonl", "commands in order, each with its answer; locate was "
                  "asked of one long-lived blocking client and one async client, cached and "
                  "reloading", settings=quick)

    def rpc(self, k, t, names, n):
        """Records the bytes of a client's session."""
        raw = self.root / "session"
        servers = ",".join(":".join(s.split(",")[:2]) for s in k.about["servers"])
        r = Client(self.root, record=raw, settings=[
            "hbase.client.registry.impl=org.apache.hadoop.hbase.client.RpcConnectionRegistry",
            f"hbase.client.bootstrap.servers={servers}",
            "hbase.client.bootstrap.initial_refresh_delay_secs=1",
            "hbase.client.bootstrap.min_secs_between_refreshes=1",
            "hbase.client.retries.number=3", "hbase.client.pause=100"])
        c = k.client
        tb, f = t["rpc"], names[0]
        c("create", table=tb, families=names[:1], splits=[self.row(n // 2)])
        c("mutate", table=tb, cells=self.cells(names[:1], (0, n), 1000, qualifiers=2))
        mid = [self.row(n // 2 - 1), self.row(n // 2)]
        asked = [
            ("locate", {"table": tb, "row": mid[0]}),
            ("get", {"table": tb, "row": mid[0]}),
            ("get", {"table": tb, "row": "nothing"}),
            ("get", {"table": tb, "row": mid[1], "columns": [f"{f}:{self.p['qualifier']}1"]}),
            ("multi_get", {"table": tb, "rows": mid + [self.row(3)]}),
            ("put", {"table": tb, "row": mid[0], "family": f, "qualifier": "new", "value": "v"}),
            ("mutate", {"table": tb, "batch": True,
                        "cells": self.cells(names[:1], (n // 2 - 2, n // 2 + 2), 3000)}),
            ("increment", {"table": tb, "row": mid[0], "family": f, "qualifier": "n"}),
            ("scan", {"table": tb, "start": self.row(2), "limit": 5}),
            ("scan", {"table": tb, "caching": 20}),
            ("scan", {"table": tb, "caching": 30, "reversed": True}),
            ("scan", {"table": tb, "max_result_size": 600, "limit": 12, "allow_partial": True}),
            ("scan", {"table": tb, "start": self.row(1), "stop": self.row(8), "read_type": "PREAD",
                      "filter": "ValueFilter(=,'substring:no such value')"}),
            ("scan", {"table": "hbase:meta", "reversed": True, "start": tb + ",,99999999999999",
                      "stop": t["binary"], "columns": ["info"], "caching": 2, "limit": 5}),
            ("get", {"table": "no_such_table", "row": "x"}),
            ("get", {"table": tb, "row": mid[0], "columns": ["nofamily"]}),
            ("list_tables", {}),
            ("locate", {"table": tb, "row": mid[1], "client": "async"}),
            ("sleep", {"ms": 2500}),
        ]
        answers = [{"command": {"op": op, **a}, **r.answer(op, **a)} for op, a in asked]

        def ask(op, **a):
            answers.append({"command": {"op": op, **a}, **r.answer(op, **a)})

        regions = [x["encoded"] for x in c("regions", table=tb)]
        c("move", region=regions[0])
        ask("get", table=tb, row=mid[0])
        c("split", table=tb, row=self.row(n // 4))
        c("wait_assigned", table=tb)
        ask("multi_get", table=tb, rows=[self.row(1), mid[0], mid[1]])
        c("split", table=tb, row=self.row(3 * n // 4))
        c("wait_assigned", table=tb)
        ask("scan", table=tb, caching=40)
        k.hold(True)
        c("move", region=c("regions", table=tb)[0]["encoded"], wait=False)
        time.sleep(2)
        ask("get", table=tb, row=self.row(1))
        k.hold(False)
        c("wait_assigned", table=tb)
        ask("get", table=tb, row=self.row(1))
        c("disable", table=tb)
        ask("get", table=tb, row=self.row(1))
        ask("scan", table=tb, limit=3)
        c("enable", table=tb)
        r.close()
        subprocess.run([HERE / "annotate-rpc", raw, self.out / "rpc"], check=True, timeout=60)
        self.json_lines("rpc/answers.jsonl", answers)
        self.note("rpc", "bytes of one client session, per connection and direction; frames.jsonl "
                  "cuts and explains them, with the client's commands in between; answers.jsonl is "
                  "what the client made of them")

    # ------------------------------------------------------------ WAL

    def wal(self, name):
        v = self.p["wal"][name]
        at = f"wal/{name}"
        settings = [f"{key}={val}" for key, val in v["settings"].items()]
        k = Cluster(self.root, settings=settings)
        c = k.client
        one, two = v["tables"]
        n = self.p["wal_rows"]
        c("compaction_switch", on=False)
        c("create", table=one, families=[{"name": "a", "VERSIONS": "3", "REPLICATION_SCOPE": "1"},
                                         "b"], splits=[self.row(n // 2)])
        c("create", table=two, families=["a"])
        c("mutate", table=one, cells=self.cells(["a", "b"], (0, n), 1000))
        c("flush", table=one)
        c("mutate", table=one, cells=self.cells(["a"], (0, n), 2000, every=2))
        c("flush", table=one)
        c("compaction_switch", on=True)
        c("compact", table=one, major=True)
        c("compaction_switch", on=False)
        c("roll_wal")
        load = self.root / "bulk/a"
        load.mkdir(parents=True)
        region = c("regions", table=one)[0]["encoded"]
        for hfile in (self.root / "hbase" / self.home(one) / region / "a").iterdir():
            if hfile.is_file():
                shutil.copy(hfile, load / hfile.name)
        subprocess.run(["chmod", "-R", "a+rwX", load.parent], check=True)
        c("bulkload", table=two, dir=str(load.parent))
        # From here on nothing is flushed, except by the split.
        c("mutate", table=two, cells=self.cells(["a"], (0, n), 3000), batch=True)
        c("split", table=two, row=self.row(n // 3))
        c("wait_assigned", table=two)
        c("mutate", table=one, cells=self.cells(["a", "b"], (0, n), 4000, every=2))
        c("mutate", table=one, cells=self.deletes(["a", "b"], range(0, n, 3), 1000))
        for i in range(3):
            c("increment", table=one, row=self.row(i), family="b", qualifier="count", by=i + 1)
            c("append", table=one, row=self.row(i), family="b", qualifier="log", value=f"+{i}")
        c("mutate", table=one, cells=self.cells(["b"], (n, n + 3), 5000), ttl=10**11)
        c("put", table=one, row=self.row(0), family="b", qualifier="big", timestamp=1,
          value=self.value(v["big"]))
        c("put", table=one, row=self.row(1), family="b", qualifier="unlogged", timestamp=1,
          value="lost", durability="SKIP_WAL")
        c("mutate", table=two, cells=self.cells(["a"], (0, n), 6000, every=4))
        self.json_lines(f"{at}/before-crash.jsonl",
                        c("scan", table=one, raw=True) + c("scan", table=two, raw=True))
        k.end("kill")
        self.copy(["WALs", "oldWALs", self.home(one), self.home(two)], f"{at}/crashed")
        # Reads every file, and parts of the largest.
        logs = [p for p in (self.out / at / "crashed").rglob("*")
                if p.is_file() and ("WALs" in str(p)) and p.stat().st_size]
        user = max((p for p in logs if "/WALs/" in str(p) and not p.name.endswith(".meta")),
                   key=lambda p: p.stat().st_size)
        self.check_wals(logs, f"{at}/read")
        self.note(f"{at}/crashed", "WALs, oldWALs and table directories right after kill -9; "
                  "read/<file>.jsonl is what HBase's reader says of each WAL",
                  settings=v["settings"], torn=user.name)
        self.torn(user, at)
        # Recovery, stopped before the regions open.
        settings.append("hbase.regionserver.compaction.enabled=false")
        k = Cluster(self.root, fresh=False, hold=True, settings=settings)
        edits = self.root / "hbase"
        home = [self.home(one), self.home(two)]
        self.wait(lambda: all(any(p.name.isdigit() for p in (edits / h).rglob("recovered.edits/*"))
                              for h in home), 60)
        time.sleep(3)
        self.copy(home, f"{at}/split")
        found = [p for p in (self.out / at / "split").rglob("recovered.edits/*")
                 if p.name.isdigit()]
        for p in found:
            self.check_wals([p], f"{at}/split-read/{p.parent.parent.name}")
        self.note(f"{at}/split", "the same directories after log splitting and before the regions "
                  "open: recovered.edits; split-read/<region>/<file>.jsonl reads them")
        k.hold(False)
        for t in (one, two):
            k.client("wait_assigned", table=t)
        time.sleep(1)
        rows = []
        for t in (one, two):
            rows += k.client("dump", table=t, out=str(self.out / at / "recovered/cells"))
        self.json_lines(f"{at}/recovered/regions.jsonl", rows)
        self.copy(home, f"{at}/recovered/root")
        self.note(f"{at}/recovered", "after replay: directories, and each region's cells by scan")
        k.end("stop")

    def check_wals(self, files, to):
        subprocess.run([HERE / "check-wal", "--out", self.out / to, *files], check=True,
                       timeout=120)

    def torn(self, wal, at):
        """Cuts a WAL around the ends of its entries, and damages its tail in other ways."""
        ends = []
        with open(self.out / at / "read" / (wal.name + ".jsonl")) as f:
            ends = [e["end"] for e in map(json.loads, f) if "cells" in e]
        data = wal.read_bytes()
        to = self.out / at / "torn"
        to.mkdir(parents=True)
        last, before = ends[-1], ends[-2]
        middle = ends[len(ends) // 2]
        cuts = {0, 2, 4, 9, ends[0] - 3, ends[0], ends[0] + 1, middle + 2, middle + 7,
                middle + 40, before, before + 1, before + 5, before + (last - before) // 2,
                last - 1, last}
        made = []
        for cut in sorted(x for x in cuts if 0 <= x <= len(data)):
            made.append(to / f"cut-{cut:07d}")
            made[-1].write_bytes(data[:cut])
        made.append(to / "zeros-after-last")
        made[-1].write_bytes(data[:last] + bytes(4096))
        made.append(to / "zeros-in-last")
        made[-1].write_bytes(data[: before + 9] + bytes(last - before - 9))
        made.append(to / "flipped-length-in-middle")
        made[-1].write_bytes(data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :])
        self.check_wals(made, f"{at}/torn-read")
        shorten(self.out / at, wal.name)
        replayed = self.out / at / "replayed"
        replayed.mkdir(parents=True)
        tried = [wal, to / f"cut-{middle + 40:07d}", to / "zeros-after-last"]
        for w in tried:
            with open(replayed / f"{w.name}.jsonl", "w") as f:
                subprocess.run([HERE / "replay-wal", w], stdout=f, timeout=120)
        self.note(f"{at}/replayed", "replay-wal on the whole WAL and on some of the damaged ones: "
                  "split by HBase, then replayed into empty regions")
        self.note(f"{at}/torn", "cut-N is the first N bytes of the WAL named above, the others "
                  "have a damaged tail or entry; torn-read/ is HBase's reader on each")

    def run(self, only):
        steps = {"tables": self.tables}
        steps.update({f"wal-{w}": (lambda w=w: self.wal(w)) for w in self.p["wal"]})
        manifest = self.out / "manifest.json"
        for name, step in steps.items():
            if only and name not in only:
                continue
            began = time.time()
            self.made = []
            for d in (["tables", "meta", "znodes", "rpc", "locator", "bulkload"]
                      if name == "tables" else [f"wal/{name[4:]}"]):
                shutil.rmtree(self.out / d, ignore_errors=True)
            try:
                step()
            except BaseException:
                if (self.root / "ready.json").exists():
                    subprocess.run([HERE / "hb-cluster", "kill", "--root", self.root])
                raise
            known = json.loads(manifest.read_text()) if manifest.exists() else {}
            known[name] = self.made
            manifest.write_text(json.dumps(known, indent=1) + "\n")
            print(f"{name}: {time.time() - began:.0f} s", file=sys.stderr)


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--params", required=True, type=Path)
    a.add_argument("--out", required=True, type=Path)
    a.add_argument("--root", default=Path("/tmp/hbase-root"), type=Path)
    a.add_argument("--only", default="")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    params = json.loads(o.params.read_text())
    Capture(params, o.out, o.root).run([x for x in o.only.split(",") if x])


if __name__ == "__main__":
    main()
