"""Forks while the threads of the parent read ahead; the new process lacks these threads."""

import os
import signal

import hregion
import pytest

ROWS = 5000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_during_a_scan_goes_on_with_it(tmp_path):
    root = tmp_path / "root"
    with hregion.create(root, "t", "cf", durability="SKIP_WAL") as table:
        for number in range(ROWS):
            table.put(b"%05d" % number, {"cf:q": os.urandom(1000)})
    rows = iter(hregion.open(root, "t").scan())
    for read, row in enumerate(rows, 1):
        assert row.key == b"%05d" % (read - 1)
        if read % 101 != 0:
            continue
        child = os.fork()
        if child == 0:
            is_right = False
            # ends the process if it waits for a thread
            signal.alarm(60)
            try:
                left = [row.key for row in rows]
                own = sum(1 for _ in hregion.open(root, "t").scan())
                is_right = left == [b"%05d" % number for number in range(read, ROWS)] and own == ROWS
            finally:
                os._exit(0 if is_right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read == ROWS
