"""Writes an embedded table, and reads it after opening it again."""

import datetime
import gc
import os
import shutil
import threading
import time
import types

import hregion
import pytest


def test_a_table_keeps_what_was_written(tmp_path):
    root = tmp_path / "root"
    with hregion.create(root, "ns:people", {"cf": 3, b"g": 1}, splits=["m"]) as table:
        table.put("ada", {"cf:name": "Ada", "cf:born": b"\x00\x01"})
        table.put("zoe", {b"cf:name": b"Zoe"}, timestamp=5)
        for visits in (1, 2, 3):
            assert table.increment("ada", "g:visits") == visits
        assert table.increment("ada", "g:visits", -10) == -7
        table.put("gone", {"cf:name": "x"})
        table.delete("gone")
        table.put("short", {"cf:name": "x"}, ttl=datetime.timedelta(days=1))
        table.flush()
        table.put("ada", {"cf:name": "Ada L."})
    with pytest.raises(hregion.ClosedError):
        table.put("ada", {"cf:name": "late"})

    table = hregion.open(root, "ns:people", writable=True)
    assert table.name == "ns:people"
    row = table.get("ada", versions=2)
    assert row["cf:name"] == b"Ada L."
    assert [cell.value for cell in row.cells if cell.qualifier == b"name"] == [b"Ada L.", b"Ada"]
    assert table.get("zoe").cells[0].timestamp == 5
    assert table.get("gone") is None
    assert [row.key for row in table.scan()] == [b"ada", b"short", b"zoe"]
    table.delete("ada", ["cf:born", "g"])
    table.compact()
    assert table.get("ada").to_dict() == {b"cf:name": b"Ada L."}
    counted = table.scan(columns={"cf:name": "utf8[]"}, row_key="utf8").to_arrow()
    assert counted["row"].to_pylist() == ["ada", "short", "zoe"]
    assert counted["cf:name"].to_pylist()[0] == ["Ada L.", "Ada"]
    table.close()


def test_mappings_that_are_no_dicts_have_values_too(tmp_path):
    mapping = types.MappingProxyType
    with hregion.create(tmp_path / "root", "t", mapping({"cf": 3})) as table:
        for timestamp, value in enumerate(("a", "b")):
            table.put("row", mapping({"cf:q": value}), timestamp=timestamp)
        table.put("copy", table.get("row"))
        assert table.get("copy").to_dict() == {b"cf:q": b"b"}
        table.delete("copy")
        table.compact()
        assert [cell.value for cell in table.get("row", versions=0).cells] == [b"b", b"a"]
        typed = table.scan(columns=mapping({"cf:q": "utf8"}), row_key="utf8").to_arrow()
        assert typed.to_pylist() == [{"row": "row", "cf:q": "b"}]


def test_delete_markers_are_cells_but_no_values(tmp_path):
    with hregion.create(tmp_path / "root", "t", {"cf": 3}) as table:
        table.put("row", {"cf:a": "1", "cf:b": "2"}, timestamp=5)
        table.put("row", {"cf:b": "3"}, timestamp=9)
        table.delete("row", ["cf:a", "cf:c"], timestamp=7)
        [row] = table.scan(raw=True, versions=0)
        types = [(cell.qualifier, cell.type, cell.value) for cell in row.cells]
        assert types == [
            (b"a", "DeleteColumn", b""),
            (b"a", "Put", b"1"),
            (b"b", "Put", b"3"),
            (b"b", "Put", b"2"),
            (b"c", "DeleteColumn", b""),
        ]
        values = {b"cf:a": b"1", b"cf:b": b"3"}
        assert row.to_dict() == dict(row.items()) == values
        assert (row.keys(), row.values(), len(row)) == (list(values), list(values.values()), 2)
        assert row["cf:a"] == row.get("cf:a") == b"1"
        assert "cf:c" not in row and row.get("cf:c", 7) == 7
        with pytest.raises(KeyError):
            row["cf:c"]
        # a row with only markers
        table.delete("gone", "cf:a", timestamp=7)
        [gone, _] = table.scan(raw=True)
        assert [cell.type for cell in gone.cells] == ["DeleteColumn"] and gone.to_dict() == {}


def test_what_cannot_be_written_is_refused(tmp_path):
    root = tmp_path / "root"
    with hregion.create(root, "t", "cf") as table:
        with pytest.raises(hregion.Error) as error:
            table.put("row", {"none:q": "x"})
        assert error.value.kind == "NoSuchFamily"
        with pytest.raises(ValueError):
            table.put("row", {"cf": "x"})
        with pytest.raises(ValueError):
            table.put("", {"cf:q": "x"})
        for value in (1, None, [65, 66]):
            with pytest.raises(TypeError, match="expected bytes or str"):
                table.put("row", {"cf:q": value})
        table.put("row", {"cf:q": "x"})
        with pytest.raises(hregion.Error) as error:
            table.increment("row", "cf:q")
        assert error.value.kind == "NotALong"
        assert table.get("row").to_dict() == {b"cf:q": b"x"}
        with pytest.raises(hregion.Error):
            hregion.create(root, "t", "cf")
    read_only = hregion.open(root, "t")
    with pytest.raises((hregion.Error, ValueError)):
        read_only.put("row", {"cf:q": "y"})
    assert read_only.get("row")["cf:q"] == b"x"


def test_values_are_appended_and_written_on_conditions(tmp_path):
    with hregion.create(tmp_path / "root", "t", "cf") as table:
        assert table.append("row", "cf:log", "a") == b"a"
        assert table.append("row", b"cf:log", b"\x00b", durability="SYNC_WAL") == b"a\x00b"
        assert table.get("row")["cf:log"] == b"a\x00b"
        with pytest.raises(ValueError, match="family:qualifier"):
            table.append("row", "cf", "x")

        assert table.check_and_put("row", "cf:owner", None, {"cf:owner": "ada"}, timestamp=5)
        assert not table.check_and_put("row", "cf:owner", None, {"cf:owner": "zoe"})
        assert not table.check_and_put("row", "cf:owner", "zoe", {"cf:owner": "x"})
        assert table.check_and_put("row", "cf:owner", b"ada", {"cf:owner": "zoe", "cf:was": "ada"})
        assert table.get("row", "cf:owner", versions=0).to_dict() == {b"cf:owner": b"zoe"}
        assert not table.check_and_delete("row", "cf:owner", "ada")
        assert table.check_and_delete("row", "cf:owner", "zoe", ["cf:owner"])
        assert table.get("row").keys() == [b"cf:log", b"cf:was"]
        assert table.check_and_delete("row", "cf:owner", None)
        assert table.get("row") is None
        with pytest.raises(hregion.Error) as error:
            table.check_and_put("row", "none:q", None, {"cf:q": "x"})
        assert error.value.kind == "NoSuchFamily"


def test_other_threads_run_while_a_table_that_was_not_closed_is_dropped(tmp_path):
    table = hregion.create(tmp_path / "root", "t", "cf")
    for row in range(200):
        table.put(f"row{row}", {"cf:q": b"x" * 100_000})
    ticks, ended = [], threading.Event()

    def tick():
        while not ended.is_set():
            ticks.append(None)
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    before = len(ticks)
    # its MemStore is flushed
    del table
    during = len(ticks) - before
    ended.set()
    thread.join()
    assert during > 3
    assert hregion.open(tmp_path / "root", "t").get("row199")["cf:q"] == b"x" * 100_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("flush", [False, True])
def test_a_forked_process_reads_and_changes_nothing(tmp_path, flush):
    root = tmp_path / "root"
    table = hregion.create(root, "t", "cf", splits=["m"])
    table.put("a", {"cf:q": "1"})
    if flush:
        table.flush()
        table.put("a", {"cf:q": "2"})
    last = b"2" if flush else b"1"

    child = os.fork()
    if child == 0:
        is_right = False
        try:
            refused = []
            for change in (
                lambda: table.put("b", {"cf:q": "lost"}),
                lambda: table.put("z", {"cf:q": "lost"}),
                lambda: table.delete("a"),
                table.flush,
                table.compact,
            ):
                with pytest.raises(hregion.Error) as error:
                    change()
                refused.append(str(error.value))
            is_right = table.get("a")["cf:q"] == last and any("forked" in message for message in refused)
            with pytest.raises(hregion.Error):
                table.close()
            del table
            gc.collect()
        finally:
            os._exit(0 if is_right else 1)
    # Entries that are appended while the other process runs, and after it.
    for number in range(100):
        table.put(f"a{number:02}", {"cf:q": "kept"})
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    table.put("n", {"cf:q": "kept"})

    # Another process, as after a crash of this one: only the log has these writes.
    copied = tmp_path / "copied"
    shutil.copytree(root, copied)
    rows = [row.key for row in hregion.open(copied, "t", writable=True).scan()]
    assert rows == [b"a", *(b"a%02d" % number for number in range(100)), b"n"]
    table.close()
    assert len(list(hregion.open(root, "t").scan())) == 102
