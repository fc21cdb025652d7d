#!/usr/bin/env python3
"""Creates damaged HFiles and records the cells that HBase reads from them. Usage: make_corrupt.py OUT_DIR"""

import copy
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True  # keeps the source tree clean
import make_golden
from corrupt import HEADER, Image, cells, root_entries, varint
from golden import HB, cell, to_json

DATA, ENCODED, LEAF = b"DATABLK*", b"DATABLKE", b"IDXLEAF2"
ROOT, INFO, CHUNK, META = b"IDXROOT2", b"FILEINF2", b"BLMFBLK2", b"BLMFMET2"
INTERMEDIATE = b"IDXINTE2"
BASES = {
    "plain": ["--bloom", "ROW", "--bloom-chunk", "128", "--index-chunk", "300", "--mvcc"],
    "deep": ["--index-chunk", "120", "--index-min-entries", "4", "--mvcc"],
    "gz": ["--compression", "GZ", "--mvcc"],
    "gzbig": ["--compression", "GZ", "--mvcc"],
    "snappy": ["--compression", "SNAPPY", "--mvcc"],
    "diff": ["--encoding", "DIFF", "--mvcc"],
    "prefix": ["--encoding", "PREFIX", "--mvcc"],
    "rowindex": ["--encoding", "ROW_INDEX_V1", "--mvcc"],
    "tags": ["--tags"],
}


class Case:
    """name, what, kind of error expected, when: open, scan, seek, filter, verify, accept."""

    def __init__(self, name, what, kind, when, base, change):
        self.name, self.what, self.kind, self.when = name, what, kind, when
        self.base, self.change = base, change


def flip(magic, n, where):
    """Changes a stored byte and leaves the checksum."""
    def change(img):
        block = img.of(magic, n)
        at = img.offset(block) + HEADER + where
        data = bytearray(img.encode())
        data[at] ^= 0x10
        return bytes(data)
    return change


def on_block(magic, n, f):
    """Changes a block and its checksums."""
    def change(img):
        f(img.of(magic, n), img)
        return img.encode()
    return change


def put(fmt, at, value):
    def f(block, img):
        struct.pack_into(fmt, block.payload, at, value)
    return f


def header(name, value):
    def f(block, img):
        setattr(block, name, value(block) if callable(value) else value)
    return f


def trailer(number, value):
    def change(img):
        img.field(number, value(img) if callable(value) else value)
        return img.encode()
    return change


def cut(size):
    return lambda img: img.encode()[:size(img)]


def third_cell(f):
    def g(block, img):
        start, end = cells(block.payload)[2]
        f(block, start, end)
    return g


def swap_cells(block, img):
    spans = cells(block.payload)
    (a, b), (c, d) = spans[3], spans[4]
    p = bytes(block.payload)
    block.payload[a:d] = p[c:d] + p[a:b]


def root_entry(n, offset=None, size=None):
    def f(block, img):
        start, _ = root_entries(block.payload, img.field(5))[n]
        if offset is not None:
            struct.pack_into(">q", block.payload, start, offset(img))
        if size is not None:
            struct.pack_into(">i", block.payload, start + 8, size)
    return f


def leaf_entry(n, offset):
    def f(block, img):
        count = struct.unpack_from(">i", block.payload)[0]
        mark = struct.unpack_from(">i", block.payload, 4 + 4 * n)[0]
        struct.pack_into(">q", block.payload, 4 * (count + 2) + mark, offset(img, block))
    return f


def root_vint(block, img):
    start, _ = root_entries(block.payload, img.field(5))[1]
    block.payload[start + 12] = 0x87  # a negative length of two bytes


def info_replace(old, new):
    def f(block, img):
        at = bytes(block.payload).index(old)
        assert len(old) == len(new)
        block.payload[at:at + len(old)] = new
    return f


def bomb(size, plain):
    """Replaces a payload by a gzip member of the same length whose content is very large: zeros. The
    file name in its header fills the remaining length."""
    def f(block, img):
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        raw = deflate.compress(bytes(size)) + deflate.flush()
        tail = struct.pack("<II", zlib.crc32(bytes(size)), size)
        room = len(block.payload) - 10 - 1 - len(raw) - len(tail)
        block.payload = bytearray(b"\x1f\x8b\x08\x08\0\0\0\0\0\0" + b"x" * room + b"\0" + raw + tail)
        block.plain = plain
    return f


def last_cell(f):
    def g(block, img):
        start, end = cells(block.payload)[-1]
        f(block, start, end)
    return g


def cases():
    yield Case("trailer-magic", "trailer magic damaged", "trailer", "open", "plain",
               lambda img: setattr(img, "magic", b"TRABLK\"%") or img.encode())
    yield Case("trailer-version-9", "major version 9", "version", "open", "plain",
               lambda img: setattr(img, "version", b"\x03\0\0\x09") or img.encode())
    yield Case("trailer-version-2", "claims to be v2.3; the trailer is then looked for elsewhere",
               "trailer", "open", "plain",
               lambda img: setattr(img, "version", b"\x03\0\0\x02") or img.encode())
    yield Case("trailer-minor-77", "minor version 77 (hregion warns, and reads)", "version", "accept",
               "plain", lambda img: setattr(img, "version", b"\x4d\0\0\x03") or img.encode())
    yield Case("trailer-protobuf", "garbage in place of the message", "trailer", "open", "plain",
               lambda img: setattr(img, "trailer_body", varint(60) + b"\xff" * 60) or img.encode())
    yield Case("trailer-protobuf-length", "message longer than the trailer", "trailer", "open",
               "plain",
               lambda img: setattr(img, "trailer_body", varint(1 << 30) + b"\0" * 90)
               or img.encode())
    yield Case("trailer-codec-42", "codec ordinal 42", "codec", "open", "plain", trailer(12, 42))
    yield Case("trailer-comparator", "unknown comparator class (hregion warns, and scans)",
               "comparator", "accept", "plain", trailer(11, b"com.example.NoSuchComparator"))
    yield Case("trailer-load-on-open", "load-on-open offset outside the file", "trailer", "open",
               "plain", trailer(2, lambda img: 1 << 40))
    yield Case("trailer-load-on-open-data", "load-on-open offset at a data block", "block-type",
               "open", "plain", trailer(2, 0))
    yield Case("trailer-index-count", "more root entries than there are", "index", "open", "plain",
               trailer(5, lambda img: img.field(5) + 1000000))
    yield Case("trailer-levels", "index levels 5 where there are 2", "index", "seek", "plain",
               trailer(8, 5))
    yield Case("trailer-entry-count", "entry count too large by one", "count", "verify", "plain",
               trailer(7, lambda img: img.field(7) + 1))
    yield Case("trailer-last-block", "last data block offset at the first block", "trailer",
               "verify", "plain", trailer(10, 0))
    yield Case("cut-trailer", "last 100 bytes missing", "trailer", "open", "plain",
               cut(lambda img: len(img.encode()) - 100))
    yield Case("cut-half", "second half missing", "trailer", "open", "plain",
               cut(lambda img: len(img.encode()) // 2))
    yield Case("cut-50", "50 bytes in all", "truncated", "open", "plain", cut(lambda img: 50))
    yield Case("cut-empty", "no bytes", "truncated", "open", "plain", cut(lambda img: 0))

    def hole(img):
        data, at = img.encode(), img.offset(img.of(INFO))
        return data[:at + 100] + data[at + 200:]
    yield Case("hole-file-info", "100 bytes missing inside FILE_INFO", "block-header", "open",
               "plain", hole)

    yield Case("flip-data", "one bit in a data block", "checksum", "scan", "plain",
               flip(DATA, 3, 50))
    yield Case("flip-leaf", "one bit in a leaf index block", "checksum", "seek", "plain",
               flip(LEAF, 1, 20))
    yield Case("flip-root", "one bit in the root index", "checksum", "open", "plain",
               flip(ROOT, 0, 20))
    yield Case("flip-info", "one bit in FILE_INFO", "checksum", "open", "plain", flip(INFO, 0, 30))
    yield Case("flip-chunk", "one bit in a Bloom chunk", "checksum", "filter", "plain",
               flip(CHUNK, 1, 5))
    yield Case("flip-gz", "one bit in a compressed block", "checksum", "scan", "gz",
               flip(DATA, 2, 40))

    yield Case("block-magic", "unknown block magic, checksum right", "block-magic", "scan", "plain",
               on_block(DATA, 2, header("magic", b"DATABLK?")))
    yield Case("block-type", "a data block that says it is a Bloom chunk", "block-type", "verify",
               "plain", on_block(DATA, 2, header("magic", CHUNK)))
    yield Case("block-size-negative", "on-disk size negative", "block-header", "scan", "plain",
               on_block(DATA, 2, header("on_disk", -5)))
    yield Case("block-size-huge", "on-disk size 2^31-1", "block-header", "scan", "plain",
               on_block(DATA, 2, header("on_disk", 0x7fffffff)))
    yield Case("block-size-more", "on-disk size 16 too large", "block-header", "scan", "plain",
               on_block(DATA, 2, header("on_disk", lambda b: b.on_disk + 16)))
    yield Case("block-plain-size", "plain size 100 too large, no compression", "block-header",
               "scan", "plain", on_block(DATA, 2, header("plain", lambda b: b.plain + 100)))
    yield Case("block-data-size", "onDiskDataSizeWithHeader too small", "block-header", "scan",
               "plain", on_block(DATA, 2, header("data_size", 40)))
    yield Case("block-checksum-type", "checksum type 9", "block-header", "scan", "plain",
               on_block(DATA, 2, header("checksum_type", 9)))
    yield Case("block-prev-self", "previous block is itself", "block-header", "verify", "plain",
               on_block(DATA, 4, lambda b, img: setattr(b, "prev", img.offset(b))))

    yield Case("cell-key-length", "key length -1", "cell", "scan", "plain",
               on_block(DATA, 2, third_cell(lambda b, s, e: struct.pack_into(">i", b.payload, s, -1))))
    yield Case("cell-value-length", "value length 2^31-1", "cell", "scan", "plain",
               on_block(DATA, 2, third_cell(
                   lambda b, s, e: struct.pack_into(">i", b.payload, s + 4, 0x7fffffff))))
    yield Case("cell-row-length", "row length beyond the key", "cell", "scan", "plain",
               on_block(DATA, 2, third_cell(
                   lambda b, s, e: struct.pack_into(">h", b.payload, s + 8, 30000))))
    yield Case("cell-family-length", "family length beyond the key", "cell", "scan", "plain",
               on_block(DATA, 2, third_cell(
                   lambda b, s, e: b.payload.__setitem__(s + 10 + 9, 100))))
    yield Case("cell-type", "type code 99", "cell", "scan", "plain",
               on_block(DATA, 2, third_cell(lambda b, s, e: b.payload.__setitem__(
                   s + 8 + struct.unpack_from(">i", b.payload, s)[0] - 1, 99))))
    yield Case("cell-order", "two cells exchanged", "order", "verify", "plain",
               on_block(DATA, 2, swap_cells))
    yield Case("cell-mvcc", "mvcc of the last cell runs past the block", "cell", "scan", "plain",
               on_block(DATA, 2, lambda b, img: b.payload.__setitem__(-1, 0x88)))
    yield Case("cell-left-over", "three bytes after the last cell", "cell", "scan", "plain",
               on_block(DATA, 2, last_cell(lambda b, s, e: struct.pack_into(
                   ">i", b.payload, s + 4, struct.unpack_from(">i", b.payload, s + 4)[0] - 3))))

    yield Case("tags-length", "tag area longer than the block", "cell", "scan", "tags",
               on_block(DATA, 1, lambda b, img: struct.pack_into(
                   ">H", b.payload, 8 + sum(struct.unpack_from(">ii", b.payload)), 0x7fff)))
    yield Case("tags-zero", "a tag of length 0", "cell", "scan", "tags",
               on_block(DATA, 1, lambda b, img: struct.pack_into(
                   ">H", b.payload, 10 + sum(struct.unpack_from(">ii", b.payload)), 0)))

    yield Case("index-offset-outside", "root entry outside the file", "index", "seek", "plain",
               on_block(ROOT, 0, root_entry(1, offset=lambda img: 1 << 45)))
    yield Case("index-offset-negative", "root entry negative", "index", "seek", "plain",
               on_block(ROOT, 0, root_entry(1, offset=lambda img: -7)))
    yield Case("index-to-bloom", "root entry at a Bloom chunk", "index", "seek", "plain",
               on_block(ROOT, 0, root_entry(1, offset=lambda img: img.offset(img.of(CHUNK)))))
    yield Case("index-size", "root entry with another size", "index", "seek", "plain",
               on_block(ROOT, 0, root_entry(1, size=7)))
    yield Case("index-self", "intermediate entry that points at its own block", "index", "seek",
               "deep", on_block(INTERMEDIATE, 0, leaf_entry(1, lambda img, b: img.offset(b))))
    yield Case("index-backwards", "leaf entry that points at an earlier data block", "index",
               "verify", "plain", on_block(LEAF, 1, leaf_entry(2, lambda img, b: 0)))
    yield Case("index-count", "leaf with 2^30 entries", "index", "seek", "plain",
               on_block(LEAF, 1, put(">i", 0, 1 << 30)))
    yield Case("index-marks", "secondary index not ascending", "index", "seek", "plain",
               on_block(LEAF, 1, put(">i", 8, 100000)))
    yield Case("index-vint", "negative key length in the root", "index", "open", "plain",
               on_block(ROOT, 0, root_vint))

    yield Case("bloom-chunk-offset", "Bloom chunk list points at a data block", "bloom", "filter",
               "plain", on_block(META, 0, put(">q", 41, 0)))
    yield Case("bloom-hash-count", "hash count 0", "bloom", "filter", "plain",
               on_block(META, 0, put(">i", 12, 0)))
    yield Case("bloom-version", "filter version 9", "bloom", "filter", "plain",
               on_block(META, 0, put(">i", 0, 9)))
    yield Case("bloom-chunk-count", "2^31-1 chunks", "bloom", "filter", "plain",
               on_block(META, 0, put(">i", 36, 0x7fffffff)))

    yield Case("info-magic", "file info without its magic", "file-info", "open", "plain",
               on_block(INFO, 0, put(">i", 0, 0x50425556)))
    yield Case("info-encoding", "unknown encoding name", "encoding", "open", "diff",
               on_block(INFO, 0, info_replace(b"\x12\x04DIFF", b"\x12\x04DUFF")))
    yield Case("info-avg-missing", "AVG_KEY_LEN missing (hregion reads)", "file-info", "verify", "plain",
               on_block(INFO, 0, info_replace(b"hfile.AVG_KEY_LEN", b"hfile.AVG_KEY_LEM")))

    yield Case("encoding-id", "block with encoding id 99", "encoding", "scan", "diff",
               on_block(ENCODED, 1, put(">h", 0, 99)))
    yield Case("encoding-id-other", "PREFIX id in a DIFF file", "encoding", "scan", "diff",
               on_block(ENCODED, 1, put(">h", 0, 2)))
    yield Case("diff-value-length", "value length in DIFF that runs past the block", "cell", "scan",
               "diff", on_block(ENCODED, 1, lambda b, img: b.payload.__setitem__(
                   slice(10, 13), b"\xff\xff\x7f")))
    yield Case("prefix-common", "common prefix longer than the previous key", "cell", "scan",
               "prefix", on_block(ENCODED, 1, lambda b, img: b.payload.__setitem__(8, 120)))
    yield Case("rowindex-size", "ROW_INDEX_V1 cell area larger than the block", "cell", "scan",
               "rowindex", on_block(ENCODED, 1, lambda b, img: struct.pack_into(
                   ">i", b.payload, len(b.payload) - 4, 1 << 20)))
    yield Case("rowindex-offset", "row offset outside the cells", "cell", "seek", "rowindex",
               on_block(ENCODED, 1, lambda b, img: struct.pack_into(
                   ">i", b.payload, len(b.payload) - 8, 1 << 20)))

    yield Case("gz-bomb-hidden", "32 MB of zeros where the header promises 1000 bytes", "bomb",
               "scan", "gzbig", on_block(DATA, -1, bomb(32 << 20, 1000)))
    yield Case("gz-bomb-open", "32 MB of zeros, and the header promises 2^31-1", "bomb", "scan",
               "gzbig", on_block(DATA, -1, bomb(32 << 20, 0x7fffffff)))
    yield Case("snappy-chunk", "chunk longer than the payload", "codec", "scan", "snappy",
               on_block(DATA, 1, put(">i", 4, 1 << 20)))
    yield Case("snappy-group", "group length 2^31-1", "codec", "scan", "snappy",
               on_block(DATA, 1, put(">i", 0, 0x7fffffff)))
    yield Case("snappy-negative", "chunk length -1", "codec", "scan", "snappy",
               on_block(DATA, 1, put(">i", 4, -1)))


def base_cells(name, tags):
    rows = make_golden.puts(77, 220, key=b"row%06d", value=24)
    if name == "gzbig":
        rows = rows[:40] + [cell(b"z", b"f", b"q", 1, "Put", random.Random(3).randbytes(40000), 1)]
    if tags:
        return [cell(c["row"], b"f", b"q", 5, "Put", b"v", 1, [(8, b"\0" * 8), (1, b"user")])
                for _, c in rows]
    return rows


def write_bases(folder, bases, block_size):
    """Writes the sound files, with CRC32, which Python computes."""
    for name, settings in bases.items():
        path = os.path.join(folder, name)
        with open(path + ".jsonl", "w") as f:
            for _, c in base_cells(name, "--tags" in settings):
                f.write(json.dumps(to_json(c, "--mvcc" in settings, "--tags" in settings)) + "\n")
        subprocess.run([HB, "write", "--out", path + ".hfile", "--cells", path + ".jsonl",
                        "--checksum", "CRC32", "--blocksize", str(block_size)] + settings,
                       check=True, stderr=subprocess.DEVNULL)


def probe(todo, out, work, plan):
    """Runs hb probe, many files per process. A file that kills the process has no answer."""
    options = "-Xmx3g -XX:ErrorFile=%s/crash.log" % work
    while todo:
        with open(plan, "w") as p:
            for c in todo:
                p.write(json.dumps(["probe", os.path.abspath(os.path.join(out, c.name + ".hfile")),
                                    "--good", os.path.join(work, c.base + ".hfile"),
                                    "--timeout", "20",
                                    "--to", os.path.join(work, c.name + ".json")]) + "\n")
        subprocess.run([HB, "batch", plan], check=False, env=dict(os.environ, HB_JAVA_OPTS=options),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        left = [i for i, c in enumerate(todo)
                if not os.path.exists(os.path.join(work, c.name + ".json"))]
        todo = todo[left[0] + 1:] if left else []


def run(all_cases, bases, out, block_size=700):
    os.makedirs(out, exist_ok=True)
    expect = []
    with tempfile.TemporaryDirectory() as work:
        write_bases(work, bases, block_size)
        plan = os.path.join(work, "plan.jsonl")
        for name in bases:
            with open(os.path.join(work, name + ".hfile"), "rb") as f:
                good = f.read()
            assert Image(good).encode() == good, "the tools do not reproduce %s" % name
            with open(os.path.join(out, "sound-%s.hfile" % name), "wb") as f:
                f.write(good)
        for c in all_cases:
            with open(os.path.join(work, c.base + ".hfile"), "rb") as f:
                img = Image(f.read())
            with open(os.path.join(out, c.name + ".hfile"), "wb") as f:
                f.write(c.change(copy.deepcopy(img)))
        probe(all_cases, out, work, plan)
        for c in all_cases:
            result = os.path.join(work, c.name + ".json")
            hbase = {"open": "crash: the Java process dies"}
            if os.path.exists(result) and os.path.getsize(result):
                with open(result) as f:
                    hbase = json.load(f)
                del hbase["file"]
            expect.append({"file": c.name + ".hfile", "sound": "sound-%s.hfile" % c.base,
                           "what": c.what, "kind": c.kind, "rejected_at": c.when,
                           "hbase": {k: str(v) for k, v in hbase.items()}})
    with open(os.path.join(out, "expect.json"), "w") as f:
        json.dump(expect, f, indent=1)
        f.write("\n")
    for e in expect:
        print("%-26s %-8s %s" % (e["file"][:-6], e["rejected_at"],
                                 {k: str(v)[:70] for k, v in e["hbase"].items()}))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    run(list(cases()), BASES, sys.argv[1])
    sys.exit(0)
