"""The options to open tables: dictionaries, keys, limits, durability."""

import shutil

import hregion
import pytest
from golden import DATA, cells_of_json, golden_cells

GOLDEN = DATA / "golden"
ENCRYPTED_LOGS = DATA / "wal" / "encrypted"
PLAIN = GOLDEN / "small-none-row.hfile"
MASTER_KEY = bytes(range(16))


def cells(table):
    return [
        (cell.row, cell.family, cell.qualifier, cell.timestamp, cell.type, cell.value)
        for row in table.scan(raw=True, versions=0)
        for cell in row.cells
    ]


def test_a_dictionary_is_given_as_bytes_or_by_its_path():
    path, dictionary = GOLDEN / "codec-zstd-dictionary.hfile", GOLDEN / "zstd.dict"
    expected = list(golden_cells("codec-zstd-dictionary"))
    for given in (dictionary, str(dictionary), dictionary.read_bytes()):
        assert cells(hregion.open(path, zstd_dictionary=given)) == expected
    with pytest.raises(hregion.UnsupportedError, match="dictionary"):
        cells(hregion.open(path))
    with pytest.raises(hregion.NotFoundError, match="no-such-file"):
        hregion.open(path, zstd_dictionary=GOLDEN / "no-such-file")
    with pytest.raises(hregion.UnsupportedError, match="local file system"):
        hregion.open(path, zstd_dictionary="s3://bucket/zstd.dict")


def test_encrypted_files_are_read_with_a_master_key():
    path, expected = GOLDEN / "small-encrypted.hfile", list(golden_cells("small-encrypted"))
    assert cells(hregion.open(path, master_key=MASTER_KEY)) == expected
    changed = {"master_key": b"x" * 32, "alternate_master_key": MASTER_KEY}
    assert cells(hregion.open(path, **changed)) == expected
    with pytest.raises(hregion.UnsupportedError, match="master key"):
        hregion.open(path)
    with pytest.raises(hregion.Error, match="not the master key"):
        hregion.open(path, master_key=b"x" * 32)
    with pytest.raises(ValueError, match="needs a master_key"):
        hregion.open(path, alternate_master_key=MASTER_KEY)
    secret = "00010203"
    for wrong, kind in ((secret.encode(), ValueError), (secret, TypeError)):
        with pytest.raises(kind) as error:
            hregion.open(path, master_key=wrong)
        assert "bytes" in str(error.value) and secret not in str(error.value)


def test_encrypted_logs_are_recovered_with_a_master_key(tmp_path):
    root, [answer] = tmp_path / "root", ENCRYPTED_LOGS.glob("recovered/cells/*.raw.jsonl")
    shutil.copytree(ENCRYPTED_LOGS / "split", root)
    shutil.copytree(ENCRYPTED_LOGS / "crashed", root, dirs_exist_ok=True)
    # only the log of the server has the edits
    [edits] = root.glob("data/default/secret/*/recovered.edits/0*")
    edits.unlink()
    for dry_run in (True, False):
        with pytest.raises(hregion.UnsupportedError, match="master key"):
            hregion.recover(root, dry_run=dry_run)
        with pytest.raises(hregion.CorruptError, match="not the master key"):
            hregion.recover(root, dry_run=dry_run, master_key=b"x" * 32)
    with pytest.raises(ValueError, match="needs a master_key"):
        hregion.recover(root, alternate_master_key=MASTER_KEY)
    planned = hregion.recover(root, dry_run=True, master_key=MASTER_KEY)
    done = hregion.recover(root, master_key=b"x" * 32, alternate_master_key=MASTER_KEY)
    assert len(done.logs) == 1 and done.logs == planned.logs and done.torn == []
    assert [(region.table, region.outcome) for region in done.regions] == [("secret", "replayed")]
    expected = sorted(cells_of_json(answer.read_text().splitlines()))
    # the recovered files need no key
    assert sorted(cells(hregion.open(root, "secret"))) == expected


def test_tables_are_made_beside_encrypted_logs_with_a_master_key(tmp_path):
    root, key = tmp_path / "root", {"master_key": MASTER_KEY}
    with hregion.create(root, "t", "cf") as table:
        table.put("r", {"cf:q": "v"})
        table.snapshot("s")
    shutil.copytree(ENCRYPTED_LOGS / "crashed", root, dirs_exist_ok=True)
    with pytest.raises(hregion.UnsupportedError, match="master key"):
        hregion.clone_snapshot(root, "s", "clone")
    with pytest.raises(hregion.UnsupportedError, match="master key"):
        hregion.create(root, "without-key", "cf").put("r", {"cf:q": "v"})
    hregion.clone_snapshot(root, "s", "clone", **key)
    hregion.create(root, "new", "cf", **key).close()
    for name in ("clone", "new"):
        with hregion.open(root, name, writable=True, **key) as table:
            table.put("w", {"cf:q": "w"})
            assert [row.key for row in table.scan()] == ([b"r", b"w"] if name == "clone" else [b"w"])
    with hregion.create(root, "newer", "cf", master_key=b"x" * 32, alternate_master_key=MASTER_KEY) as table:
        table.put("w", {"cf:q": "w"})


@pytest.mark.parametrize("limit", ["limit_block_bytes", "limit_memory_bytes", "limit_row_bytes"])
def test_what_exceeds_a_limit_is_an_error(limit):
    assert cells(hregion.open(PLAIN, **{limit: 1 << 20})) == list(golden_cells("small-none-row"))
    with pytest.raises(hregion.Error) as error:
        cells(hregion.open(PLAIN, **{limit: 10}))
    assert error.value.kind == "Limit"


def test_filters_have_memory_of_their_own(tmp_path):
    table = hregion.open(PLAIN, cache=1 << 20, filter_cache=1 << 20)
    for _ in range(2):
        assert table.get(b"no such row") is None
        assert cells(table) == list(golden_cells("small-none-row"))
    for opened in (
        lambda: hregion.open(PLAIN, filter_cache=1 << 20),
        lambda: hregion.create(tmp_path / "root", "t", "cf", filter_cache=1 << 20),
    ):
        with pytest.raises(ValueError, match="filter_cache needs a cache"):
            opened()
    assert not (tmp_path / "root").exists()


def test_writes_that_skip_the_log_are_lost_with_the_process(tmp_path):
    root, copied = tmp_path / "root", tmp_path / "copied"
    options = {"cache": 1 << 20, "filter_cache": 1 << 20, "limit_row_bytes": 1 << 20}
    with hregion.create(root, "t", "cf", durability="SKIP_WAL", **options) as table:
        table.put("a", {"cf:q": "lost"})
        table.put("b", {"cf:q": "kept"}, durability="SYNC_WAL")
        table.put("c", {"cf:q": "kept"}, durability="FSYNC_WAL")
        table.delete("b")
        table.delete("c", durability="SYNC_WAL")
        table.increment("d", "cf:n")
        assert table.increment("d", "cf:n", 4, durability="SYNC_WAL") == 5
        for write in (
            lambda: table.put("e", {"cf:q": "x"}, durability="sync"),
            lambda: table.delete("d", durability="sync"),
            lambda: table.increment("d", "cf:n", durability="sync"),
        ):
            with pytest.raises(ValueError, match="FSYNC_WAL"):
                write()
        # another process, as after a crash of this one
        shutil.copytree(root, copied)
    with hregion.open(copied, "t", writable=True) as crashed:
        assert [row.key for row in crashed.scan()] == [b"b", b"d"]
        assert crashed.get("d")["cf:n"] == (5).to_bytes(8, "big")
    assert [row.key for row in hregion.open(root, "t").scan()] == [b"a", b"d"]
    with hregion.open(root, "t", writable=True, durability="SKIP_WAL") as table:
        table.put("e", {"cf:q": "lost"})
        shutil.rmtree(copied)
        shutil.copytree(root, copied)
    assert [row.key for row in hregion.open(copied, "t", writable=True).scan()] == [b"a", b"d"]
    with pytest.raises(ValueError, match="FSYNC_WAL"):
        hregion.open(root, "t", durability="fsync")


def test_torn_edits_are_taken_only_if_that_is_asked_for(tmp_path):
    name, table = "ff10d8df297af2b68f9e71712013bc7f", tmp_path / "root" / "data" / "default" / "w2"
    shutil.copytree(DATA / "wal" / "plain" / "split" / "data" / "default" / "w2", table)
    region = table / name
    sound = cells(hregion.open(region))
    edits = region / "recovered.edits" / "0000000000000000014"
    log = bytearray(edits.read_bytes())
    # the length of the last entry, before its key, which begins with the name of the region
    log[log.rindex(b"\x0a\x20" + name.encode()) - 1] ^= 0x80
    edits.write_bytes(log)
    with pytest.raises(hregion.CorruptError, match="accept_torn_logs"):
        hregion.open(region)
    torn = cells(hregion.open(region, accept_torn_logs=True))
    # the last entry has three cells
    assert len(sound) - len(torn) == 3 and set(torn) < set(sound)
