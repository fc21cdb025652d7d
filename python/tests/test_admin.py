"""Regions, checks of files, snapshots, bulk loads, recoveries, and limits of memory."""

import os
import shutil
import subprocess
import warnings

import hregion
import pytest
from golden import DATA

HALVES = DATA / "region" / "split-references" / "root"


def keys(scan):
    return [row.key for row in scan]


def test_the_bounds_of_regions_cover_a_table(tmp_path):
    with hregion.create(tmp_path / "root", "t", "cf", splits=["g", "p"]) as table:
        for row in ("a", "g", "k", "z"):
            table.put(row, {"cf:q": row})
        assert table.regions() == [(b"", b"g"), (b"g", b"p"), (b"p", b"")]
        parts = [keys(table.scan(start, stop)) for start, stop in table.regions()]
        assert parts == [[b"a"], [b"g", b"k"], [b"z"]]
    info = next(HALVES.glob("data/default/halves/*/.regioninfo"))
    [bounds] = hregion.open(info.parent).regions()
    assert bounds in hregion.open(HALVES, "halves").regions()
    assert hregion.open(DATA / "golden" / "small-none-row.hfile").regions() == [(b"", b"")]


def test_a_compaction_that_is_not_major_leaves_few_files(tmp_path):
    root = tmp_path / "root"
    files = lambda: len(list(root.glob("data/default/t/*/cf/*")))
    with hregion.create(root, "t", "cf") as table:
        for row in ("a", "b"):
            table.put(row, {"cf:q": row})
            table.flush()
        table.compact(major=False)
        assert files() == 2
        table.compact()
        assert files() == 1
        assert keys(table.scan()) == [b"a", b"b"]


def test_verify_returns_the_faults_of_all_files(tmp_path):
    assert hregion.open(HALVES, "halves").verify() == []
    info = next(HALVES.glob("data/default/halves/*/.regioninfo"))
    assert hregion.open(info.parent).verify() == []
    sound = DATA / "golden" / "small-none-row.hfile"
    assert hregion.open(sound).verify() == []

    root = tmp_path / "root"
    with hregion.create(root, "t", "cf", splits=["m"]) as table:
        for row in ("a", "z"):
            table.put(row, {"cf:q": row * 100})
    files = list(root.glob("data/default/t/*/cf/*"))
    assert len(files) == 2
    for file in files:
        data = bytearray(file.read_bytes())
        data[40] ^= 1
        file.write_bytes(data)
    faults = hregion.open(root, "t").verify()
    assert {type(fault) for fault in faults} == {hregion.CorruptError}
    for file in files:
        assert any(str(file) in str(fault) for fault in faults)
    of_file = hregion.open(files[0]).verify()
    assert of_file and all(fault.kind == "Corrupt" and str(files[0]) in str(fault) for fault in of_file)
    assert hregion.open(files[0].parents[1]).verify()


def test_a_snapshot_is_read_cloned_and_removed(tmp_path):
    root = tmp_path / "root"
    with hregion.create(root, "t", {"cf": 2}, splits=["m"]) as table:
        table.put("a", {"cf:q": "1"})
        table.snapshot("before")
        table.put("a", {"cf:q": "2"})
        with pytest.raises(hregion.Error, match="before"):
            table.snapshot("before")
    assert hregion.snapshots(root) == ["before"]
    damaged = root / ".hbase-snapshot" / "a" / ".snapshotinfo"
    damaged.parent.mkdir()
    damaged.write_text("x")
    with pytest.warns(UserWarning, match="snapshotinfo") as issued:
        assert hregion.snapshots(root) == ["before"]
    assert [warning.filename for warning in issued] == [__file__]
    damaged.unlink()
    damaged.parent.rmdir()
    assert hregion.open(root, snapshot="before").get("a")["cf:q"] == b"1"
    hregion.clone_snapshot(root, "before", "ns:copy")
    with hregion.open(root, "ns:copy", writable=True) as copy:
        assert copy.get("a")["cf:q"] == b"1"
        assert copy.regions() == [(b"", b"m"), (b"m", b"")]
    hregion.delete_snapshot(root, "before")
    assert hregion.snapshots(root) == []
    for missing in (
        lambda: hregion.delete_snapshot(root, "before"),
        lambda: hregion.clone_snapshot(root, "before", "other"),
        lambda: hregion.open(root, snapshot="before"),
    ):
        with pytest.raises(hregion.NotFoundError, match="before"):
            missing()
    region = next(root.glob("data/default/t/*/.regioninfo")).parent
    with hregion.open(region, writable=True) as alone:
        with pytest.raises(ValueError, match="needs a table"):
            alone.snapshot("of-a-region")
    with pytest.raises(ValueError, match="writing"):
        hregion.open(root, "t").snapshot("of-what-is-read")


def test_a_directory_of_files_is_loaded(tmp_path):
    root, out, splits = tmp_path / "root", tmp_path / "out", tmp_path / "splits"
    cells = tmp_path / "cells.tsv"
    cells.write_text("a\tAda\nz\tZoe\n")
    splits.write_text("")
    arguments = ["--regions", splits, "--out", out, "--columns", "HBASE_ROW_KEY,cf:name"]
    subprocess.run([os.environ["HREGION_TOOL"], "bulkload", cells, *arguments], check=True)
    (out / "_SUCCESS").write_text("")
    with hregion.create(root, "t", "cf", splits=["m"]) as table:
        # one file, whose rows are in two regions
        assert table.bulk_load(out) == (2, [out / "_SUCCESS"])
        assert [row.to_dict() for row in table.scan()] == [{b"cf:name": b"Ada"}, {b"cf:name": b"Zoe"}]
        with pytest.raises(hregion.NotFoundError):
            table.bulk_load(tmp_path / "none")


def test_the_logs_of_a_server_are_recovered(tmp_path):
    root, name = tmp_path / "root", "ff10d8df297af2b68f9e71712013bc7f"
    shutil.copytree(DATA / "wal" / "plain" / "split", root)
    server = root / "WALs" / "h,1,2"
    server.mkdir(parents=True)
    for number, edits in enumerate(sorted(root.glob("data/*/*/*/recovered.edits/*"))):
        if edits.name.isdigit():
            edits.rename(server / f"h%2C1%2C2.{number}")
    logs = sorted(server.iterdir())
    assert logs
    planned = hregion.recover(root, dry_run=True)
    assert sorted(planned.logs) == logs == sorted(server.iterdir())
    done = hregion.recover(root)
    assert done.logs == planned.logs and done.torn == [] and not any(server.glob("*"))
    replayed = {region.region: region for region in done.regions}
    region = replayed[name]
    assert (region.table, region.outcome, region.warnings) == ("w2", "replayed", [])
    assert region.cells > region.skipped and region.edits > 0 and region.flushed
    assert "parent" in {region.outcome for region in done.regions}
    counted = lambda recovery: [(r.table, r.region, r.outcome, r.edits, r.cells) for r in recovery.regions]
    assert counted(planned) == counted(done)
    assert sum(len(row.cells) for row in hregion.open(root, "w2").scan(versions=0)) > 0
    with pytest.raises(hregion.UnsupportedError, match="not a root directory"):
        hregion.recover(root / "data")
    with pytest.raises(hregion.NotFoundError, match="none"):
        hregion.recover(root / "none")
    again = hregion.recover(root)
    assert again.logs == [] and "0 logs" in repr(again)


def test_logs_that_are_not_read_are_warned_of(tmp_path):
    root = tmp_path / "root"
    with hregion.create(root, "t", "cf") as table:
        table.put("r", {"cf:q": "v"})
        table.snapshot("s")
    [info] = root.glob("data/default/t/*/.regioninfo")
    [file] = root.glob("data/default/t/*/cf/*")
    server = root / "WALs" / "h,1,2"
    server.mkdir(parents=True)
    opened = lambda *path, **options: keys(hregion.open(*path, **options).scan())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(root, "t") == [b"r"]
    (server / "h%2C1%2C2.1000").write_text("log")
    read = [(root, "t"), (info.parent.parent,), (info.parent,)]
    for path in read:
        with pytest.warns(UserWarning, match="WALs: logs of servers may have writes that are not") as issued:
            assert opened(*path) == [b"r"]
        assert [warning.filename for warning in issued] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="hregion.recover"):
            hregion.open(root, "t")
        # its regions were flushed
        assert opened(root, snapshot="s") == opened(file) == [b"r"]
        # a region with edits in logs would not be opened
        hregion.open(root, "t", writable=True).close()
    shutil.rmtree(root / "WALs")
    (root / "WALs").write_text("a file")
    with pytest.warns(UserWarning, match="WALs.*only in logs of servers are not read"):
        assert opened(root, "t") == [b"r"]


def test_blocks_that_leave_memory_enter_the_second_tier(tmp_path):
    root, tier = tmp_path / "root", tmp_path / "tier"
    with hregion.create(root, "t", "cf") as table:
        for row in range(500):
            table.put(f"{row:04}", {"cf:q": b"%d" % row * 500})
    expected = keys(hregion.open(root, "t").scan())
    opened = hregion.open(root, "t", cache=200_000, second_tier=(tier, 4 << 20))
    blocks = tier / "block-cache"
    assert blocks.stat().st_size == 4 << 20
    for _ in range(4):
        assert [opened.get(key).key for key in expected] == expected == keys(opened.scan())
    # only one table at a time can use it
    with pytest.raises(hregion.Error, match="second_tier"):
        hregion.open(root, "t", cache=200_000, second_tier=(tier, 4 << 20))
    # the file is removed with the table
    opened.close()
    del opened
    assert not blocks.exists()
    with pytest.raises(ValueError, match="second_tier needs a cache"):
        hregion.open(root, "t", second_tier=(tier, 1 << 20))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(hregion.Error, match="second_tier") as error:
        hregion.open(root, "t", cache=1 << 20, second_tier=(blocked, 1 << 20))
    assert error.value.kind == "Io"


def test_what_is_not_flushed_takes_bounded_memory(tmp_path):
    root = tmp_path / "root"
    written = lambda: len(list(root.glob("data/default/t/*/cf/*")))
    with hregion.create(root, "t", "cf", memstore_bytes=1 << 20) as table:
        for row in range(40):
            table.put(f"{row:02}", {"cf:q": bytes(200_000)})
        # without a separate limit, nothing would be in files
        assert written() > 0
        assert len(keys(table.scan())) == 40
