"""Tables, snapshots and files in HDFS. `HREGION_HDFS` is the URL of a directory with the roots that HBase
wrote, each in one of its name, as `.ci/run python` makes it."""

import os
import uuid

import hregion
import pytest
from golden import DATA

HDFS = os.environ.get("HREGION_HDFS")
HALVES, CLONES = "split-references", "clone-references"

pytestmark = pytest.mark.skipif(not HDFS, reason="HREGION_HDFS is not set")


def local(name):
    return DATA / "region" / name / "root"


def cells(scan):
    return [
        (cell.row, cell.family, cell.qualifier, cell.timestamp, cell.type, cell.value)
        for row in scan
        for cell in row.cells
    ]


def test_hdfs_is_read_as_a_directory_is():
    here, there = hregion.open(local(HALVES), "halves"), hregion.open(f"{HDFS}/{HALVES}", "halves")
    expected = cells(here.scan())
    assert len(expected) > 100 and cells(there.scan()) == expected
    assert there.scan().to_arrow() == here.scan().to_arrow()
    keys = [row.key for row in here.scan()][::10]
    assert [row.key for row in there.get_many(keys)] == keys
    assert there.regions() == here.regions() and there.verify() == []


def test_a_url_is_a_region_or_a_file():
    root = local(HALVES)
    region = next(root.glob("data/default/halves/*/.regioninfo")).parent
    file = next(path for path in root.glob("data/default/halves/*/p/*") if "." not in path.name)
    for path in (region, file):
        there = hregion.open(f"{HDFS}/{HALVES}/{path.relative_to(root)}")
        assert cells(there.scan()) == cells(hregion.open(path).scan())


def test_snapshots_are_read():
    names = hregion.snapshots(local(CLONES))
    assert names and hregion.snapshots(f"{HDFS}/{CLONES}") == names
    for name in names:
        there = hregion.open(f"{HDFS}/{CLONES}", snapshot=name)
        assert cells(there.scan()) == cells(hregion.open(local(CLONES), snapshot=name).scan())


def test_a_table_is_created_written_and_recovered():
    root = f"{HDFS}/python-{uuid.uuid4().hex}"
    with hregion.create(root, "ns:t", {"cf": 2}, splits=["m"]) as table:
        table.put("a", {"cf:q": "1"})
        table.put("z", {"cf:q": "2"})
        assert table.increment("a", "cf:count") == 1
        table.flush()
        table.put("b", {"cf:q": "3"})
        table.compact()
        with pytest.raises(hregion.Error) as error:
            hregion.open(root, "ns:t", writable=True).get("a")
        assert error.value.kind == "Locked"
        table.snapshot("taken")
    with hregion.open(root, "ns:t", writable=True) as table:
        assert [row.to_dict()[b"cf:q"] for row in table.scan()] == [b"1", b"3", b"2"]
        table.delete("b")
    assert [row.key for row in hregion.open(root, "ns:t").scan()] == [b"a", b"z"]
    hregion.clone_snapshot(root, "taken", "ns:copy")
    for taken in (hregion.open(root, snapshot="taken"), hregion.open(root, "ns:copy")):
        assert [row.key for row in taken.scan()] == [b"a", b"b", b"z"]
    hregion.delete_snapshot(root, "taken")
    assert hregion.snapshots(root) == []
    recovered = hregion.recover(root)
    assert recovered.logs == [] and recovered.torn == []


def test_what_is_missing_is_named():
    for error, message, call in (
        (hregion.NotFoundError, "no table", lambda: hregion.open(f"{HDFS}/{HALVES}", "none")),
        (hregion.NotFoundError, "/none", lambda: hregion.open(f"{HDFS}/none")),
        (hregion.NotFoundError, "/none", lambda: hregion.snapshots(f"{HDFS}/none")),
    ):
        with pytest.raises(error, match=message):
            call()
