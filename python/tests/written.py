"""A table that is written to a storage by URL."""

import hregion
import pytest


def make_table(root):
    """Creates `ns:t`, writes it, and takes, clones and deletes a snapshot of it."""
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
    with pytest.raises(ValueError, match="reading only"):
        hregion.open(root, "ns:t").put("a", {"cf:q": "read-only"})
    with hregion.open(root, "ns:t", writable=True) as table:
        assert [row.to_dict()[b"cf:q"] for row in table.scan()] == [b"1", b"3", b"2"]
        table.delete("b")
    assert [row.key for row in hregion.open(root, "ns:t").scan()] == [b"a", b"z"]
    assert hregion.snapshots(root) == ["taken"]
    hregion.clone_snapshot(root, "taken", "ns:copy")
    for taken in (hregion.open(root, snapshot="taken"), hregion.open(root, "ns:copy")):
        assert [row.key for row in taken.scan()] == [b"a", b"b", b"z"]
    hregion.delete_snapshot(root, "taken")
    assert hregion.snapshots(root) == []
