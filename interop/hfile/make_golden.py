#!/usr/bin/env python3
"""Makes golden files with HBase 2.6.4. Usage: make_golden.py OUT_DIR [NAME_PART | regions]"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # keeps the source tree clean
from golden import HB, Item, cell, run, shuffled, through_region, to_json

VERSION = "2.6.4-hadoop3"
ENCODINGS = ["NONE", "PREFIX", "DIFF", "FAST_DIFF", "ROW_INDEX_V1"]
CODECS = ["NONE", "GZ", "SNAPPY", "LZ4", "ZSTD"]
BLOOMS = ["NONE", "ROW", "ROWCOL", "ROWPREFIX_FIXED_LENGTH:5"]
DELETES = ["Delete", "DeleteColumn", "DeleteFamily", "DeleteFamilyVersion"]
WORDS = b"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()


def text(rnd, n):
    """Returns n bytes that compress well."""
    out = b""
    while len(out) < n:
        out += rnd.choice(WORDS) + b" "
    return out[:n]


def some_tags(rnd):
    if rnd.random() < 0.5:
        return []
    choices = [(8, struct.pack(">q", rnd.choice([1000, 60000, 86400000]))),
               (1, rnd.choice([b"user", b"group", b"\x00\x04admin"])),
               (2, b"secret&!public"), (64, bytes(rnd.randrange(256) for _ in range(5))),
               (7, b"")]
    return rnd.sample(choices, rnd.randrange(1, 4))


def table(seed, rows, deletes=0.15, family=b"cf", value=40, mvcc=True, seq_max=5000):
    """Returns rows of one to four columns, one to three versions each, with all delete types."""
    rnd = random.Random(seed)
    out = []
    for r in range(rows):
        row = b"row-%05d" % (r * 3)
        for q in range(rnd.randrange(1, 5)):
            qualifier = b"col%d" % q
            for v in range(rnd.randrange(1, 4)):
                ts = 1600000000000 + rnd.randrange(10 ** 9) - v
                seq = rnd.randrange(1, seq_max) if mvcc else 0
                out.append(cell(row, family, qualifier, ts, "Put",
                                text(rnd, rnd.randrange(value)), seq, some_tags(rnd)))
                if rnd.random() < deletes:
                    kind = rnd.choice(DELETES)
                    name = b"" if kind.startswith("DeleteFamily") else qualifier
                    out.append(cell(row, family, name, ts, kind, b"", seq, some_tags(rnd)))
    return out


def puts(seed, n, key=b"k%08d", value=20, family=b"f", qualifier=b"q", step=1):
    rnd = random.Random(seed)
    return [cell(key % (i * step), family, qualifier, 1000 + i, "Put", text(rnd, value), i + 1)
            for i in range(n)]


def matrix():
    """All encodings with all codecs; Bloom type, tags and mvcc in turn."""
    tag_modes = [[], ["--tags"], ["--tags", "--compress-tags"]]
    n = 0
    for e in ENCODINGS:
        for c in CODECS:
            bloom, tags = BLOOMS[n % 4], tag_modes[n % 3]
            mvcc = ["--mvcc"] if n % 2 == 0 else []
            yield Item("matrix-%s-%s" % (e.lower(), c.lower()),
                       "encoding %s with codec %s, bloom %s" % (e, c, bloom),
                       table(100 + n, 220),
                       ["--encoding", e, "--compression", c, "--bloom", bloom,
                        "--blocksize", str([2048, 8192, 1024][n % 3])] + tags + mvcc)
            n += 1
    for e in ENCODINGS:
        for t, tags in enumerate(tag_modes):
            for m, mvcc in enumerate([[], ["--mvcc"], ["--mvcc"]]):
                yield Item("cells-%s-tags%d-mvcc%d" % (e.lower(), t, m),
                           "cell layout: %s, tags mode %d, mvcc mode %d (2 = all zero)" % (e, t, m),
                           table(200 + n, 60, mvcc=m == 1, deletes=0.4),
                           ["--encoding", e, "--blocksize", "700", "--bloom", BLOOMS[n % 4]]
                           + tags + mvcc)
                n += 1


def checksums():
    for kind, size in [("NULL", 16384), ("CRC32", 512), ("CRC32", 65536), ("CRC32C", 512),
                       ("CRC32C", 1000), ("CRC32C", 4096), ("CRC32C", 65536)]:
        yield Item("checksum-%s-%d" % (kind.lower(), size),
                   "checksum type and chunk size; blocks of 16 KB",
                   puts(300 + size, 900, value=60),
                   ["--checksum", kind, "--bytes-per-checksum", str(size),
                    "--blocksize", "16384", "--mvcc"])
    # onDiskDataSizeWithHeader a multiple of the chunk size, and one byte to either side
    for d in (-1, 0, 1):
        one = [cell(b"r", b"f", b"q", 1, "Put", b"x" * (1024 - 33 - 8 - 12 - 1 - 1 - 1 + d - 1), 0)]
        yield Item("checksum-edge%+d" % d, "data block around a multiple of the checksum chunk",
                   one, ["--bytes-per-checksum", "512", "--mvcc"])


def indexes():
    for levels, n, chunk in [(1, 300, 131072), (2, 600, 1024), (3, 3000, 512), (5, 3000, 64)]:
        yield Item("index-levels-%d" % levels, "index of several levels (chunk %d)" % chunk,
                   puts(400 + levels, n, value=30),
                   ["--blocksize", "256", "--index-chunk", str(chunk), "--bloom", "ROW", "--mvcc"]
                   + (["--index-min-entries", "4"] if levels == 5 else []))
    yield Item("index-min-entries-2", "hfile.index.block.min.entries 2",
               puts(410, 800), ["--blocksize", "300", "--index-chunk", "100",
                                "--index-min-entries", "2"])
    yield Item("index-min-entries-64", "hfile.index.block.min.entries 64",
               puts(411, 1500), ["--blocksize", "300", "--index-chunk", "100",
                                 "--index-min-entries", "64"])
    yield Item("index-levels-gz-diff", "three index levels, compressed",
               puts(412, 3000), ["--blocksize", "512", "--index-chunk", "256", "--encoding",
                                 "DIFF", "--compression", "GZ", "--bloom", "ROWCOL"])
    for e in ENCODINGS:
        yield Item("block-1m-%s" % e.lower(), "block size 1 MiB, Snappy in more than one chunk",
                   puts(420, 5000, value=60), ["--blocksize", "1048576", "--compression", "SNAPPY",
                                               "--encoding", e, "--bloom", "ROW"])
        yield Item("block-256-%s" % e.lower(), "block size 256",
                   table(421, 120), ["--blocksize", "256", "--encoding", e, "--mvcc", "--tags"])


def blooms():
    for kind in BLOOMS[1:]:
        yield Item("bloom-chunks-%s" % kind.split(":")[0].lower(),
                   "Bloom filter of several chunks, with a delete-family filter of several",
                   table(500, 700, value=8),
                   ["--bloom", kind, "--bloom-chunk", "256", "--blocksize", "4096", "--mvcc"])
    for h in ("jenkins", "murmur", "murmur3"):
        yield Item("bloom-hash-%s" % h, "hash function",
                   table(510, 800, value=8),
                   ["--bloom", "ROW", "--hash", h, "--bloom-chunk", "256", "--blocksize", "4096"])
    for rate in ("0.3", "0.001"):
        yield Item("bloom-error-%s" % rate, "error rate",
                   puts(520, 2000, value=4), ["--bloom", "ROW", "--bloom-error", rate,
                                              "--bloom-chunk", "1024"])
    yield Item("bloom-prefix-longer-than-rows", "prefix length above most row lengths",
               puts(530, 300, key=b"%d"), ["--bloom", "ROWPREFIX_FIXED_LENGTH:12"])
    deletes = [cell(b"r%04d" % i, b"f", b"", 10 + i, DELETES[2 + i % 2], b"", i)
               for i in range(500)]
    yield Item("bloom-delete-family-only", "only family deletes; no general filter",
               deletes, ["--bloom", "NONE", "--bloom-chunk", "128", "--mvcc"])
    yield Item("bloom-high-bytes", "rows with bytes over 0x7f (signed tail of murmur)",
               [cell(bytes([i % 256, 255 - i % 256, 0x80 | i % 128] + [0xfe] * (i % 5)) +
                     struct.pack(">H", i), b"f", b"q", 1, "Put", b"v", 0) for i in range(2000)],
               ["--bloom", "ROW"])
    yield Item("bloom-fills-exactly", "a chunk that becomes full with the last key",
               puts(540, 218, value=4), ["--bloom", "ROW", "--bloom-chunk", "256"])


def shapes():
    rnd = random.Random(600)
    for e in ENCODINGS:
        low = e.lower()
        enc = ["--encoding", e]
        yield Item("shape-one-cell-%s" % low, "one cell", puts(601, 1), enc + ["--bloom", "ROW"])
        yield Item("shape-big-cell-%s" % low, "cells bigger than a block",
                   puts(602, 3, value=200) + puts(603, 2, key=b"m%08d", value=70000)
                   + puts(604, 3, key=b"z%08d", value=10), enc + ["--blocksize", "1024"])
        edge = [cell(b"a", b"f", b"", 0, "Put", b"", 1), cell(b"a", b"f", b"q", 5, "Put", b"", 2),
                cell(b"b", b"f", b"q", 2 ** 63 - 1, "Put", b"latest", 3),
                cell(b"b", b"f", b"q", 1, "Put", b"", 4), cell(b"b", b"f", b"q", 0, "Put", b"x", 5),
                cell(b"b", b"f", b"q", 2 ** 63 - 2, "Put", b"nearly", 6),
                cell(b"b", b"f", b"q", 2 ** 40, "DeleteColumn", b"", 8),
                cell(b"c\x00", b"f", b"\x00", 7, "Put", b"\x00\xff", 9),
                cell(b"c\x00\x00", b"f", b"\xff", 7, "Put", b"\xff", 2 ** 62),
                cell(b"\xff" * 20, b"f", b"\xff" * 200, 7, "Put", b"end", 0)]
        yield Item("shape-edges-%s" % low,
                   "empty values and qualifiers, odd timestamps, zero and ff bytes, huge mvcc",
                   edge, enc + ["--mvcc", "--bloom", "ROWCOL"])
        if e in ("PREFIX", "DIFF", "FAST_DIFF"):
            yield Item("shape-negative-time-%s" % low,
                       "negative timestamps: HBase scans them in delta encodings only, and cannot copy them",
                       [cell(b"b", b"f", b"q", t, "Put", b"v%d" % t, 6)
                        for t in (-2 ** 63 + 1, -10 ** 12, -256, -255, -1, 0, 1, 300, 10 ** 12)],
                       enc)
        long_rows = [cell(b"L" * 32766 + bytes([65 + i]), b"f", b"q%d" % j, 9, "Put", b"v", 1)
                     for i in range(4) for j in range(3)]
        yield Item("shape-row-32767-%s" % low, "rows of 32767 bytes that differ in the last one",
                   long_rows, enc + ["--blocksize", "40000", "--bloom", "ROW", "--compression",
                                     "GZ"])
        same = [cell(b"p" * 60 + bytes([i]), b"f", b"qualifier-is-the-same", 77, "Put",
                     b"same", 3) for i in range(256)]
        yield Item("shape-last-byte-%s" % low, "keys that share all but the last byte", same,
                   enc + ["--blocksize", "2000", "--mvcc", "--bloom", "ROWPREFIX_FIXED_LENGTH:60"])
        versions = [cell(b"row", b"f", b"q", 10 ** 6 - i, "Put", text(rnd, 20), i + 1)
                    for i in range(600)]
        yield Item("shape-versions-%s" % low,
                   "600 versions of one column over many blocks (index keys with timestamps)",
                   versions, enc + ["--blocksize", "1000", "--mvcc", "--index-chunk", "400"])
        wide = [cell(b"row%d" % r, b"f", b"q%05d" % i, 5, "Put", b"v%d" % i, 0)
                for r in range(3) for i in range(400)]
        yield Item("shape-wide-rows-%s" % low, "rows that straddle blocks", wide,
                   enc + ["--blocksize", "1500", "--bloom", "ROWCOL", "--bloom-chunk", "256"])
        equal = [cell(b"row%d" % (i // 90), b"f", b"q", 5, "Put", b"v%d" % i, 1000 - i)
                 for i in range(270)]
        yield Item("shape-equal-keys-%s" % low, "runs of equal keys that differ only in mvcc",
                   equal, enc + ["--blocksize", "500", "--mvcc"])
    yield Item("shape-empty", "no cells", [], ["--bloom", "ROW"])
    yield Item("shape-empty-gz-diff", "no cells, compressed and encoded", [],
               ["--bloom", "ROWCOL", "--encoding", "DIFF", "--compression", "GZ", "--mvcc",
                "--tags"])
    for c in ("SNAPPY", "LZ4", "ZSTD"):
        yield Item("shape-empty-%s" % c.lower(), "no cells, compressed index and file info", [],
                   ["--compression", c])
    yield Item("shape-empty-family", "empty family and qualifier (as Hudi writes)",
               [cell(b"key%05d" % i, b"", b"", 2 ** 63 - 1, "Put", b"record %d" % i, 0)
                for i in range(2000)],
               ["--writer", "hfile", "--compression", "GZ", "--meta-block",
                "bloomFilter=not a filter", "--meta-block", "aFirst=\\x00\\x01",
                "--info", "hudi_min_record_key=key00000"])
    yield Item("shape-big-tags", "tag area of 30000 bytes",
               [cell(b"r%d" % i, b"f", b"q", 1, "Put", b"v", 0, [(64 + i, b"t" * 10000)] * 3)
                for i in range(5)], ["--tags", "--encoding", "FAST_DIFF", "--compress-tags"])
    yield Item("shape-tag-dictionary", "more than 127 distinct tags in a block",
               [cell(b"r%05d" % i, b"f", b"q", 1, "Put", b"v", 0,
                     [(64, b"tag%d" % rnd.randrange(200)), (65, b"tag%d" % (i % 5))])
                for i in range(2000)],
               ["--tags", "--encoding", "PREFIX", "--compress-tags", "--blocksize", "65536"])
    rows = [b"t%d,%s,%d.%032x." % (t, k, 1500000000000 + t, t) for t in range(40)
            for k in (b"", b"a", b"a,b", b"m\x00", b"zz")]
    metas = [cell(r, b"info", q, 1600000000000, "Put", b"v", 3) for r in rows
             for q in (b"regioninfo", b"server", b"serverstartcode")]
    yield Item("shape-meta", "hbase:meta order", metas,
               ["--comparator", "meta", "--blocksize", "1024", "--index-chunk", "600",
                "--bloom", "ROWCOL", "--mvcc"])


def writers():
    yield Item("writer-hfile", "HFile writer alone: no store-file keys",
               table(700, 300), ["--writer", "hfile", "--mvcc", "--tags"])
    yield Item("writer-store-major", "major compaction flag, sequence id",
               table(701, 300), ["--major", "--seqid", "987654321", "--mvcc"])
    yield Item("5a3c0e9f7b1d4c2e8f6a0b9c8d7e6f54_SeqId_321_", "bulk load, sequence id in the name",
               table(702, 200, mvcc=False), ["--bulkload", "--mvcc", "--tags", "--bloom", "ROW"])
    yield Item("bulkload-skip-reset", "bulk load that keeps its cells' mvcc",
               table(703, 200), ["--bulkload", "--skip-reset-seqid", "--mvcc"])
    yield Item("encoded-ratio", "hbase.writer.unified.encoded.blocksize.ratio 0.5",
               table(704, 600), ["--encoding", "FAST_DIFF", "--encoded-ratio", "0.5",
                                 "--blocksize", "4096"])
    yield Item("encrypted-aes", "AES; master key 00..0f, cell key 10..1f",
               table(705, 300),
               ["--encrypt", "101112131415161718191a1b1c1d1e1f", "--master-key",
                "000102030405060708090a0b0c0d0e0f", "--compression", "GZ", "--encoding",
                "FAST_DIFF", "--blocksize", "4096", "--bloom", "ROW"])


def codecs():
    base = "org.apache.hadoop."
    air = base + "hbase.io.compress.aircompressor."
    variants = [
        ("snappy-hadoop", "SNAPPY", base + "io.compress.SnappyCodec"),
        ("snappy-xerial", "SNAPPY", base + "hbase.io.compress.xerial.SnappyCodec"),
        ("snappy-air", "SNAPPY", air + "SnappyCodec"),
        ("lz4-hadoop", "LZ4", base + "io.compress.Lz4Codec"),
        ("lz4-java", "LZ4", base + "hbase.io.compress.lz4.Lz4Codec"),
        ("lz4-air", "LZ4", air + "Lz4Codec"),
        ("zstd-jni", "ZSTD", base + "hbase.io.compress.zstd.ZstdCodec"),
        ("zstd-air", "ZSTD", air + "ZstdCodec"),
        ("zstd-bare", "ZSTD", "hregion.oracle.BareZstdCodec"),
        ("lzo-air", "LZO", air + "LzoCodec"),
        ("brotli", "BROTLI", base + "hbase.io.compress.brotli.BrotliCodec"),
        ("bzip2", "BZIP2", "hregion.oracle.PlainBzip2Codec"),
        ("gz-hadoop", "GZ", base + "io.compress.GzipCodec"),
    ]
    for name, codec, klass in variants:
        args = ["--compression", codec, "--codec", klass, "--conf",
                "hbase.io.compress.%s.codec=%s" % (codec.lower(), klass)]
        yield Item("codec-%s" % name, "codec class " + klass, table(800, 300),
                   args + ["--blocksize", "8192", "--bloom", "ROW", "--mvcc"])
        yield Item("codec-%s-large" % name, "blocks above the codec's buffer, and random bytes",
                   puts(801, 2, value=300000)
                   + [cell(b"random%d" % i, b"f", b"q", 1, "Put",
                           random.Random(5).randbytes(40000), 1) for i in range(1)],
                   args + ["--blocksize", "1048576"])
    yield Item("codec-zstd-dictionary", "ZSTD with a dictionary (zstd.dict beside it)",
               table(802, 300), ["--compression", "ZSTD", "--blocksize", "4096",
                                 "--zstd-dictionary", "zstd.dict"])


def dictionary(out):
    """Trains a Zstandard dictionary on cells of the same kind."""
    os.makedirs(out, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        for _, c in table(999, 600):
            f.write(json.dumps(to_json(c, True, True)) + "\n")
        f.flush()
        subprocess.run([HB, "train", "--cells", f.name, "--out", os.path.join(out, "zstd.dict"),
                        "--size", "2048"], check=True)


def regions(out):
    through_region("region-a", "real region, FAST_DIFF, SNAPPY, ROWCOL, 2 versions",
                   shuffled(table(4321, 400, deletes=0.2), 2),
                   ["--encoding", "FAST_DIFF", "--bloom", "ROWCOL", "--blocksize", "4096",
                    "--compression", "SNAPPY", "--versions", "2", "--compress-tags"], out, VERSION)
    through_region("region-b", "real region, defaults but for the block size",
                   shuffled(table(4322, 500, deletes=0.1), 3),
                   ["--bloom", "ROW", "--blocksize", "2048", "--index-chunk", "1000"], out, VERSION)


def main(argv):
    if not argv or argv[0].startswith("-"):
        print(__doc__)
        return 2
    part = argv[1] if len(argv) > 1 else ""
    if part == "regions":
        return regions(argv[0])
    dictionary(argv[0])
    items = [i for g in (matrix, checksums, indexes, blooms, shapes, writers, codecs)
             for i in g() if part in i.name]
    if run(items, argv[0], VERSION, "Made by interop/hfile/make_golden.py."):
        return 1
    return regions(argv[0]) if not part else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
