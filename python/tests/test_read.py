"""Reads tables and files written by HBase, and compares them with the cells that HBase read."""

import json
import pickle
import threading
import types
from collections.abc import Mapping

import hregion
import hregion._convert
import pandas
import polars
import pyarrow
import pytest
import tqdm.auto
from golden import DATA, cells

ROOT = DATA / "region" / "split-references" / "root"


def table(**options):
    return hregion.open(ROOT, "halves", **options)


def test_rows_and_record_batches_have_the_same_cells():
    scan = table().scan()
    expected = cells(scan)
    assert len(expected) > 100
    read = scan.to_arrow()
    assert read.column_names == ["row", "family", "qualifier", "timestamp", "type", "value"]
    assert list(zip(*(column.to_pylist() for column in read.columns))) == expected
    assert read.num_rows == sum(batch.num_rows for batch in scan.to_batches())
    small = table().scan(batch_rows=7)
    assert max(batch.num_rows for batch in small.to_batches()) == 7
    assert small.to_arrow().equals(read)


def test_pandas_and_polars_have_the_rows():
    scan = table().scan(limit=20)
    frame = scan.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["row"]) == [cell[0] for cell in cells(scan)]
    for progress in (False, True):
        polar = scan.to_polars(progress=progress)
        assert isinstance(polar, polars.DataFrame)
        assert polar["value"].to_list() == list(frame["value"])
    assert pyarrow.table(scan).num_rows == len(frame)


def test_gets_agree_with_scans():
    opened = table(cache=1 << 20)
    rows = [row for row in opened.scan(limit=50)]
    many = opened.get_many([row.key for row in rows] + [b"no such row"])
    assert many[-1] is None and opened.get("no such row") is None
    for row, read in zip(rows, many):
        alone = opened.get(row.key)
        assert alone.to_dict() == row.to_dict() == read.to_dict()
        assert dict(alone.items()) == alone.to_dict()
        assert list(alone) == alone.keys() and len(alone) == len(alone.keys())
        column = alone.keys()[0]
        assert alone[column] == alone.get(column) == alone.values()[0]
        assert column in alone and "p:none" not in alone
        assert alone.get("p:none", 7) == 7
        with pytest.raises(KeyError):
            alone["p:none"]


def test_bounds_prefix_limit_and_direction():
    keys = [row.key for row in table().scan()]
    assert keys == sorted(keys)
    low, high = keys[10], keys[30]
    assert [row.key for row in table().scan(low, high)] == keys[10:30]
    assert [row.key for row in table().scan(low.decode(), limit=3)] == keys[10:13]
    assert [row.key for row in table().scan(reversed=True)] == keys[::-1]
    prefix = keys[0][:-1]
    assert [row.key for row in table().scan(prefix=prefix)] == [k for k in keys if k.startswith(prefix)]
    filtered = table().scan(filter=f"PrefixFilter('{prefix.decode()}')")
    assert [row.key for row in filtered] == [k for k in keys if k.startswith(prefix)]
    with pytest.raises(ValueError):
        table().scan(low, prefix=prefix)
    # for HBase, 0 means no limit
    with pytest.raises(ValueError, match="limit"):
        table().scan(limit=0)
    with pytest.raises(ValueError, match="rows"):
        table().infer(rows=0)


def test_mapped_columns_have_types():
    mapping = json.loads(table().infer(50))
    columns = [column["column"] for column in mapping["columns"]]
    read = table().scan(mapping=mapping).to_arrow()
    assert set(columns) <= set(read.column_names)
    for given in (json.dumps(mapping), types.MappingProxyType(mapping)):
        assert table().scan(mapping=given).to_arrow().equals(read)
    typed = table().scan(columns={columns[0]: "binary@"}, row_key="utf8").to_arrow()
    assert typed.column_names == ["row", columns[0], columns[0] + "_timestamp"]
    assert typed.schema.field("row").type == pyarrow.string()
    wrong = table().scan(columns={columns[0]: "decimal(3.1)"})
    for read_all in (wrong.to_arrow, wrong.to_pandas, wrong.to_polars, lambda: list(wrong.to_batches())):
        with pytest.raises(hregion.ValueMismatchError, match="row") as error:
            read_all()
        assert isinstance(error.value, hregion.Error)
        assert error.value.kind == "ValueMismatch"
    nulls = table().scan(columns={columns[0]: "decimal(3.1)"}, invalid="null").to_arrow()
    assert nulls[columns[0]].null_count == nulls.num_rows
    with pytest.raises(ValueError):
        table().scan(columns={columns[0]: "no such type"})
    with pytest.raises(ValueError, match="columns is empty"):
        table().scan(columns=[])


def test_rows_of_a_scan_with_types_have_its_columns():
    scanned = cells(table().scan(versions=0))
    column = (scanned[0][1], scanned[0][2])
    expected = [cell for cell in scanned if cell[1:3] == column]
    assert len({cell[1:3] for cell in scanned}) > 1
    name = b":".join(column).decode()
    mapping = {"columns": [{"column": name, "type": "binary", "versions": True}]}
    for scan in (table().scan(columns={name: "binary[]"}), table().scan(mapping=mapping)):
        assert cells(scan) == expected
        assert len(list(scan)) == scan.to_arrow().num_rows
    newest = table().scan(columns={name: "binary"})
    assert [list(row.items()) for row in newest] == [
        [(name.encode(), value)] for value in newest.to_arrow()[name].to_pylist()
    ]


def test_files_and_regions_are_opened_by_their_paths():
    file = hregion.open(DATA / "golden" / "small-none-row.hfile")
    assert len(cells(file.scan())) == file.scan().to_arrow().num_rows > 0
    info = next(ROOT.glob("data/default/halves/*/.regioninfo"))
    region = hregion.open(info.parent)
    assert region.name == "halves"
    of_dir = hregion.open(ROOT / "data" / "default" / "halves")
    assert cells(of_dir.scan()) == cells(table().scan())
    keys = {row.key for row in of_dir.scan()}
    assert {row.key for row in region.scan()} <= keys


def test_errors_have_kinds():
    with pytest.raises(hregion.NotFoundError) as error:
        hregion.open(ROOT, "none")
    assert error.value.kind == "TableNotFound"
    with pytest.raises(hregion.NotFoundError):
        hregion.open(ROOT / "none")
    with pytest.raises(hregion.UnsupportedError) as error:
        hregion.open("ftp://host/hbase", "t")
    assert error.value.kind == "Unsupported"
    with pytest.raises(ValueError):
        hregion.open(ROOT, "halves", snapshot="s")
    assert hregion.snapshots(ROOT) == []
    with pytest.raises(hregion.NotFoundError):
        hregion.snapshots(ROOT / "none")
    with pytest.raises(ValueError, match="a root directory needs a table or a snapshot"):
        hregion.open(ROOT)
    closed = table()
    closed.close()
    with pytest.raises(hregion.ClosedError):
        closed.get("row")


def test_errors_of_other_processes_are_the_same():
    with pytest.raises(hregion.NotFoundError) as error:
        hregion.open(ROOT, "none")
    for kind in (hregion.Error, hregion.CorruptError, hregion.ClosedError, hregion.ValueMismatchError):
        assert pickle.loads(pickle.dumps(kind)) is kind
    read = pickle.loads(pickle.dumps(error.value))
    assert type(read) is hregion.NotFoundError
    assert (str(read), read.kind) == (str(error.value), "TableNotFound")


def test_damaged_files_are_errors(tmp_path):
    sound = (DATA / "golden" / "small-none-row.hfile").read_bytes()
    expected = cells(hregion.open(DATA / "golden" / "small-none-row.hfile").scan())
    path, failed = tmp_path / "damaged", 0
    for at in range(0, len(sound), 61):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        try:
            assert cells(hregion.open(path).scan()) == expected
        except hregion.Error as error:
            assert str(path) in str(error)
            failed += 1
    assert failed > 10
    path.write_bytes(sound[:-100])
    with pytest.raises(hregion.Error):
        hregion.open(path).scan().to_arrow()


def test_rows_are_mappings_that_are_compared():
    opened = table()
    [first, second] = opened.scan(limit=2)
    assert first == opened.get(first.key) and first != second
    assert isinstance(first, Mapping)
    assert set(first.cells) == set(opened.get(first.key).cells)
    assert len({*first.cells, *second.cells}) == len(first.cells) + len(second.cells)


def test_bytes_have_several_types_but_are_no_lists_of_numbers():
    opened = table()
    key = next(iter(opened.scan())).key
    for given in (key, key.decode(), bytearray(key), memoryview(key)):
        assert opened.get(given).key == key
        assert [row.key for row in opened.scan(prefix=given)] == [key]
    families = [opened.get(key, family) for family in (b"p", "p", bytearray(b"p"), memoryview(b"p"))]
    assert families == [families[0]] * 4 and {cell.family for cell in families[0].cells} == {b"p"}
    for given, kind in ((list(key), "list"), (tuple(key), "tuple"), (3, "int"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"expected bytes or str, not {kind}"):
            opened.get(given)


def test_filters_have_any_bytes(tmp_path):
    with hregion.create(tmp_path / "root", "t", "cf") as written:
        written.put("a", {"cf:q": b"\xff\xfe"})
        written.put("b", {"cf:q": "ä"})
        keys = lambda filter: [row.key for row in written.scan(filter=filter)]
        assert keys(b"ValueFilter(=, 'binary:\xff\xfe')") == [b"a"]
        assert keys("ValueFilter(=, 'binary:ä')") == [b"b"]
        rows = written.get_many(["a", "b"], filter="ValueFilter(=, 'binary:ä')")
        assert [row and row.key for row in rows] == [None, b"b"]
        late = written.get_many(["a", "b"], time_range=(0, 5))
        assert late == [None, None]


def test_batches_do_not_end_with_an_error(tmp_path):
    with hregion.create(tmp_path, "t", "cf") as made:
        for row, value in ((b"a", bytes(8)), (b"b", b"no long")):
            made.put(row, {"cf:n": value})
    scan = hregion.open(tmp_path, "t").scan(columns={"cf:n": "long"}, batch_rows=1)
    batches = scan.to_batches()
    assert batches.read_next_batch().num_rows == 1
    with pytest.raises(hregion.ValueMismatchError):
        batches.read_next_batch()
    for _ in range(2):
        with pytest.raises(ValueError, match="scan again"):
            batches.read_next_batch()
    batches = pyarrow.RecordBatchReader.from_stream(scan)
    assert batches.read_next_batch().num_rows == 1
    for message in ("not of type", "scan again", "scan again"):
        with pytest.raises((pyarrow.ArrowException, OSError), match=message):
            batches.read_next_batch()
    # another use of the scan begins again
    assert scan.to_batches().read_next_batch().num_rows == 1


class Stop(Exception):
    """Raised where the handler of a signal could raise an exception."""


def test_batches_do_not_go_on_after_one_that_was_lost(monkeypatch):
    converted = hregion._convert._record_batch
    batches = table().scan(batch_rows=7).to_batches
    all_batches = list(batches())
    assert len(all_batches) > 3

    def stops(batch):
        """Converts the second batch, and is then interrupted."""
        read.append(converted(batch))
        if len(read) == 2:
            raise Stop
        return read[-1]

    read = []
    monkeypatch.setattr("hregion._convert._record_batch", stops)
    reader = batches()
    assert reader.read_next_batch().equals(all_batches[0])
    with pytest.raises(Stop):
        reader.read_next_batch()
    for _ in range(2):
        with pytest.raises(ValueError, match="scan again"):
            reader.read_next_batch()
    assert len(read) == 2 and read[1].equals(all_batches[1])


def test_the_number_of_rows_is_not_shown_after_an_interruption(monkeypatch):
    bars = []

    class Bar(tqdm.auto.tqdm):
        is_open = True

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            bars.append(self)

        def close(self):
            super().close()
            self.is_open = False

    def stops(batch):
        raise Stop

    scan = table().scan()
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    rows = scan.to_arrow(progress=True).num_rows
    assert [(bar.is_open, bar.n) for bar in bars] == [(False, rows)]
    monkeypatch.setattr("hregion._convert._record_batch", stops)
    # the exception has the frames in which it was raised
    with pytest.raises(Stop) as stopped:
        scan.to_arrow(progress=True)
    assert stopped.value.__traceback__ is not None
    assert [(bar.is_open, bar.n) for bar in bars] == [(False, rows), (False, 0)]


def test_errors_of_batches_have_no_control_characters(tmp_path):
    with hregion.create(tmp_path, "t", "cf") as made:
        made.put("no long", {"cf:n": "value"})
    row, column = {"name": "k\x1b", "type": "long"}, {"column": "cf:n", "type": "utf8"}
    scan = hregion.open(tmp_path, "t").scan(mapping={"row": row, "columns": [column]})
    with pytest.raises(hregion.ValueMismatchError, match=r"k\\x1B"):
        scan.to_arrow()
    with pytest.raises((pyarrow.ArrowException, OSError), match=r"k\\x1B"):
        pyarrow.RecordBatchReader.from_stream(scan).read_next_batch()


def test_threads_read_at_once():
    opened, expected, seen = table(cache=1 << 20), cells(table().scan()), []
    threads = [threading.Thread(target=lambda: seen.append(cells(opened.scan()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 4
