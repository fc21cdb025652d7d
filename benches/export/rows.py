#!/usr/bin/env python3
"""Prints the cells of a table of users as JSON lines, sorted: rows.py ROWS.

A row has a key of 14 bytes and four cells: name, text of about 20 bytes; score, a double; text, 100 bytes of text, of
which half are random; visits, a long.
"""

import random
import struct
import sys

rows = int(sys.argv[1])
draw = random.Random(1)
escaped = [f"\\\\x{byte:02X}" for byte in range(256)]
names = [draw.choice("Ada Ben Cleo Dan Eve Finn Gina Hugo".split()) + " " + f"{draw.getrandbits(48):012x}"[: 3 + i % 10]
         for i in range(4096)]
halves = [f"{draw.getrandbits(200):050x}" for _ in range(65536)]
time = 1_700_000_000_000


def number(packed):
    return "".join(escaped[byte] for byte in packed)


def cell(row, qualifier, value):
    return (f'{{"row":"user-{row:09d}","family":"f","qualifier":"{qualifier}","timestamp":{time},'
            f'"type":"Put","value":"{value}"}}\n')


write = sys.stdout.write
for row in range(rows):
    bits = draw.getrandbits(64)
    half = halves[bits & 0xFFFF]
    write(cell(row, "name", names[bits >> 16 & 4095] + f" {row:07x}")
          + cell(row, "score", number(struct.pack(">d", (bits >> 28 & 0xFFFFF) / 64)))
          + cell(row, "text", half + half)
          + cell(row, "visits", number(struct.pack(">q", bits >> 48 & 0xFFF))))
