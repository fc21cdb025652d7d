#!/usr/bin/env python3
"""A reader of HBase's write-ahead logs, according to docs/spec/wal.md, without HBase's classes.

    wal.py FILE...                 prints the entries, as check-wal does
    wal.py --against DIR FILE...   compares with DIR/NAME.jsonl of check-wal and prints differences

Values compressed with GZ are read; other value codecs only if their Python module is installed.
"""

import argparse
import json
import struct
import sys
import zlib
from collections import OrderedDict
from pathlib import Path

CODES = {4: "Put", 8: "Delete", 10: "DeleteFamilyVersion", 12: "DeleteColumn", 14: "DeleteFamily"}


class Torn(Exception):
    """The file ends inside an entry, or without a trailer. The entries before the end are valid."""


class Broken(Exception):
    """Bytes that cannot be an entry."""


class Bytes:
    """A cursor that distinguishes the end of the file from bytes that cannot be an entry."""

    def __init__(self, data, pos=0):
        self.data, self.pos = data, pos

    def take(self, n):
        if n < 0 or self.pos + n > len(self.data):
            raise Torn
        self.pos += n
        return self.data[self.pos - n : self.pos]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def varint(self):
        value = shift = 0
        while True:
            b = self.take(1)[0]
            value |= (b & 0x7F) << shift
            if b < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise Broken

    def message(self):
        """Reads the fields of a protobuf message: number -> list of values."""
        fields = {}
        while self.pos < len(self.data):
            tag = self.varint()
            kind = tag & 7
            if kind == 0:
                value = self.varint()
            elif kind == 1:
                value = int.from_bytes(self.take(8), "little")
            elif kind == 2:
                value = self.take(self.varint())
            elif kind == 5:
                value = int.from_bytes(self.take(4), "little")
            else:
                raise Broken
            fields.setdefault(tag >> 3, []).append(value)
        return fields


class Dictionary:
    """Assigns indexes in order; after the last one, reuses the index that was least recently used."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.used = OrderedDict()  # index -> entry, least recently used first

    def add(self, entry):
        if not entry:
            return
        if len(self.used) < self.capacity:
            self.used[len(self.used)] = entry
        else:
            index, _ = self.used.popitem(last=False)
            self.used[index] = entry

    def get(self, index):
        if index not in self.used:
            raise Broken
        self.used.move_to_end(index)
        return self.used[index]

    def read(self, b):
        first = b.take(1)[0]
        if first == 0xFF:
            entry = b.take(b.varint())
            self.add(entry)
            return entry
        return self.get(first << 8 | b.take(1)[0])


class Values:
    """Compressed values, each of which can be read separately."""

    def __init__(self, algorithm):
        self.algorithm = algorithm

    def read(self, b, length):
        piece = b.take(b.varint())
        if length == 0:
            return b""
        if self.algorithm == 1:
            out = zlib.decompress(piece, 31)
        else:
            out = self.blocks(Bytes(piece), length)
        if len(out) != length:
            raise Broken
        return out

    def blocks(self, b, length):
        out = b""
        while len(out) < length:
            whole, part = b.number(4), b""
            while len(part) < whole:
                part += self.block(b.take(b.number(4)), whole - len(part))
            out += part
        return out

    def block(self, data, most):
        if self.algorithm == 3:
            import cramjam

            return bytes(cramjam.snappy.decompress_raw(data))
        if self.algorithm == 4:
            import lz4.block

            return lz4.block.decompress(data, uncompressed_size=most)
        if self.algorithm == 6:
            import zstandard

            return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
        raise NotImplementedError(self.algorithm)


class Wal:
    def __init__(self, path):
        self.b = Bytes(Path(path).read_bytes())
        if self.b.take(4) != b"PWAL":
            raise Broken
        self.header = Bytes(self.b.take(self.b.varint())).message()
        self.compressed = self.flag(1)
        self.end = len(self.b.data)
        self.trailer = False
        if self.b.data[-4:] == b"LAWP":
            self.end -= 8 + int.from_bytes(self.b.data[-8:-4], "big")
            self.trailer = True
        if self.compressed:
            few = 1 if "recovered.edits" in str(path) else 32767
            self.region, self.table, self.row = Dictionary(few), Dictionary(few), Dictionary(32767)
            self.family, self.qualifier = Dictionary(127), Dictionary(127)
            self.tags = Dictionary(32767) if self.flag(3) else None
            self.values = Values(self.header[7][0]) if self.flag(6) else None

    def flag(self, number):
        return bool(self.header.get(number, [0])[0])

    def name(self, data, dictionary):
        return dictionary.read(Bytes(data)) if self.compressed else data

    def __iter__(self):
        b = self.b
        while not (self.trailer and b.pos == self.end):
            start = b.pos
            raw = b.take(b.varint())
            try:
                key = Bytes(raw).message()
                if not {1, 2, 3, 4} <= key.keys():
                    raise Broken
            except Torn:
                raise Broken from None
            entry = {
                "region": text(self.name(key[1][0], self.compressed and self.region)),
                "table": text(self.name(key[2][0], self.compressed and self.table)),
                "sequence": key[3][0],
                "write_time": key[4][0],
            }
            if 6 in key:
                scopes = {}
                for s in key[6]:
                    m = Bytes(s).message()
                    scopes[text(self.name(m[1][0], self.compressed and self.family))] = m[2][0]
                entry["scopes"] = scopes
            if 9 in key or 10 in key:
                entry["nonce_group"] = signed(key.get(9, [0])[0])
                entry["nonce"] = signed(key.get(10, [0])[0])
            cells = key.get(7, [0])[0]
            entry["cells"] = [self.small() if self.compressed else self.plain()
                              for _ in range(cells)]
            entry["end"] = b.pos
            entry["start"] = start
            yield entry

    def plain(self):
        cell = Bytes(self.b.take(self.b.number(4)))
        keys, values = cell.number(4), cell.number(4)
        k = Bytes(cell.take(keys))
        row = k.take(k.number(2))
        family = k.take(k.number(1))
        qualifier = k.take(keys - k.pos - 9)
        stamp, code = k.number(8), k.number(1)
        value = cell.take(values)
        tags = cell.take(cell.number(2)) if cell.pos < len(cell.data) else b""
        return show(row, family, qualifier, stamp, code, value, tags)

    def small(self):
        b = self.b
        keys, values, tagged = b.varint(), b.varint(), b.varint()
        row, family, qualifier = self.row.read(b), self.family.read(b), self.qualifier.read(b)
        if keys != len(row) + len(family) + len(qualifier) + 12:
            raise Broken
        stamp, code = b.number(8), b.number(1)
        value = self.values.read(b, values) if self.values else b.take(values)
        tags = b""
        if tagged and self.tags is None:
            tags = b.take(tagged)
        while len(tags) < tagged:
            tag = self.tags.read(b)
            tags += struct.pack(">H", len(tag)) + tag
        return show(row, family, qualifier, stamp, code, value, tags)


def signed(n):
    return n - (1 << 64) if n >= 1 << 63 else n


def text(data):
    return "".join(chr(c) if 32 <= c < 127 and c != 92 else f"\\x{c:02X}" for c in data)


def show(row, family, qualifier, stamp, code, value, tags):
    cell = {"row": text(row), "family": text(family), "qualifier": text(qualifier),
            "timestamp": signed(stamp), "type": CODES[code], "value": text(value)}
    if tags:
        b, cell["tags"] = Bytes(tags), []
        while b.pos < len(tags):
            t = b.take(b.number(2))
            cell["tags"].append({"type": t[0], "value": text(t[1:])})
    return cell


def read(path):
    entries, ended = [], "eof"
    try:
        for e in Wal(path):
            entries.append(e)
    except Torn:
        ended = "torn"
    except Broken:
        ended = "broken"
    return entries, ended


def differs(path, answer):
    """Returns the first difference between these entries and the output of check-wal."""
    lines = [json.loads(line) for line in answer.read_text().splitlines()]
    theirs, last = [x for x in lines if "cells" in x], lines[-1]
    if "entries_as" in last:
        whole = answer.parent.parent / "read" / f"{last['entries_as']}.jsonl"
        lines = [json.loads(line) for line in whole.read_text().splitlines()]
        theirs = [x for x in lines if "cells" in x][: last["entries"]]
    mine, ended = read(path)
    if len(mine) != len(theirs):
        return f"{len(mine)} entries here, {len(theirs)} there"
    for a, b in zip(mine, theirs):
        a.pop("start")
        for c in b["cells"]:
            c.pop("marker", None)
        if a != b:
            return f"entry with sequence {b['sequence']} differs: {a} {b}"
    error = last.get("error", {}).get("class", "")
    want = "eof" if not error else "torn" if "EOF" in error else "broken"
    return None if ended == want else f"ended {ended} here, {want} there"


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--against", type=Path)
    a.add_argument("files", nargs="+")
    o = a.parse_args()
    bad = 0
    for name in o.files:
        if o.against:
            wrong = differs(name, o.against / (Path(name).name + ".jsonl"))
            if wrong:
                bad += 1
                print(f"{name}: {wrong}"[:600])
        else:
            entries, ended = read(name)
            for e in entries:
                print(json.dumps(e))
            print(json.dumps({"ended": ended, "entries": len(entries)}))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
