"""Reads the output of `hregion export` with pyarrow, and compares it with the cells that HBase read."""

import json
import os
import subprocess

import hregion
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from golden import DATA, golden_cells

HALVES = DATA / "region" / "split-references" / "root" / "data" / "default" / "halves"
FILES = ["small-none-row", "cells-fast_diff-tags1-mvcc0", "cells-prefix-tags2-mvcc1", "3.0-prefix-gz"]
COLUMNS = ["row", "family", "qualifier", "timestamp", "type", "value"]


def export(target, out, form, *options):
    """Exports with the tool. Returns the manifest's list of files, and the files."""
    arguments = [os.environ["HREGION_TOOL"], "export", str(target), "--to", form, "--out", str(out)]
    subprocess.run([*arguments, *options], check=True)
    manifest = json.loads((out / "manifest.json").read_text())
    read = pyarrow.parquet.read_table if form == "parquet" else lambda path: pyarrow.ipc.open_file(path).read_all()
    return manifest["files"], [read(out / file["file"]) for file in manifest["files"]]


def cells(table):
    return list(zip(*(table.column(name).to_pylist() for name in COLUMNS)))


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_exports_of_a_table_have_its_cells(form, tmp_path):
    files, tables = export(HALVES, tmp_path / "out", form)
    assert len(tables) > 1 and all(table.column_names == COLUMNS for table in tables)
    assert [table.num_rows for table in tables] == [file["cells"] for file in files]
    assert [len(set(table["row"].to_pylist())) for table in tables] == [file["rows"] for file in files]
    scanned = cells(hregion.open(HALVES).scan().to_arrow())
    assert cells(pyarrow.concat_tables(tables)) == scanned and len(scanned) > 100


@pytest.mark.parametrize("name", FILES)
def test_exports_of_a_file_have_the_cells_that_hbase_read(name, tmp_path):
    path = DATA / "golden" / f"{name}.hfile"
    _, [read] = export(path, tmp_path / "out", "parquet", "--raw", "--versions", "all")
    assert cells(read) == list(golden_cells(name))


def test_mapped_columns_are_those_of_a_scan(tmp_path):
    opened = hregion.open(HALVES)
    mapping = opened.infer(50)
    (tmp_path / "mapping.json").write_text(mapping)
    options = ["--mapping", str(tmp_path / "mapping.json")]
    files, tables = export(HALVES, tmp_path / "out", "parquet", *options)
    assert [table.num_rows for table in tables] == [file["rows"] for file in files]
    assert pyarrow.concat_tables(tables).equals(opened.scan(mapping=mapping).to_arrow())
