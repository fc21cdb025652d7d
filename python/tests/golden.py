"""Files written by HBase, and the cells that it read from them."""

import gzip
import json
import pathlib
import re

DATA = pathlib.Path(__file__).resolve().parents[2] / "testdata"


def unescaped(text):
    """Returns the bytes of a text of HBase's `Bytes.toStringBinary`."""
    return re.sub(rb"\\x([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode("latin-1"))


def golden_cells(name):
    with gzip.open(DATA / "golden" / f"{name}.cells.jsonl.gz", "rt") as lines:
        yield from cells_of_json(lines)


def cells_of_json(lines):
    for cell in map(json.loads, lines):
        row, family, qualifier, value = (unescaped(cell[n]) for n in ("row", "family", "qualifier", "value"))
        yield row, family, qualifier, cell["timestamp"], cell["type"], value


def cells(scan):
    return [
        (cell.row, cell.family, cell.qualifier, cell.timestamp, cell.type, cell.value)
        for row in scan
        for cell in row.cells
    ]
