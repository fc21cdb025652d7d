"""Tables, snapshots and files in HDFS. `HREGION_HDFS` is the URL of a directory with the roots written by
HBase, each in a directory with its name, as created by `.ci/run python`."""

import os
import uuid

import hregion
import pytest
from golden import DATA, cells
from written import make_table

HDFS = os.environ.get("HREGION_HDFS")
HALVES, CLONES = "split-references", "clone-references"

pytestmark = pytest.mark.skipif(not HDFS, reason="HREGION_HDFS is not set")


def local(name):
    return DATA / "region" / name / "root"


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
    make_table(root)
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
